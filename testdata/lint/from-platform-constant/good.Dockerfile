FROM --platform=$BUILDPLATFORM alpine:3.20 AS build
RUN echo built > /out
FROM --platform=linux/amd64 alpine:3.20 AS blobs-amd64
FROM --platform=linux/arm64 alpine:3.20 AS blobs-arm64
FROM blobs-${TARGETARCH} AS blobs
# hadolint ignore=DL3029
FROM --platform=linux/amd64 alpine:3.20 AS wanted
FROM alpine:3.20
COPY --from=build /out /out
COPY --from=blobs /etc/hosts /blob
