# syntax=docker/dockerfile:1.7
FROM --platform=$BUILDPLATFORM tonistiigi/xx:1.4.0 AS xx
FROM --platform=$BUILDPLATFORM golang:1.22-alpine AS build
COPY --from=xx / /
RUN apk add --no-cache clang lld git
ARG TARGETPLATFORM
RUN xx-apk add --no-cache gcc musl-dev
WORKDIR /src
RUN --mount=type=bind,target=. --mount=type=cache,target=/root/.cache \
    CGO_ENABLED=1 xx-go build -trimpath -o /out/app ./cmd/app && xx-verify /out/app
FROM alpine:3.20
COPY --from=build /out/app /usr/bin/app
ENTRYPOINT ["/usr/bin/app"]
