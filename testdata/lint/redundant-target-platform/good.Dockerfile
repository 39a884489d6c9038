FROM --platform=$BUILDPLATFORM alpine:3.20 AS build
RUN true
FROM --platform=linux/${TARGETARCH} alpine:3.20
COPY --from=build /x /x
