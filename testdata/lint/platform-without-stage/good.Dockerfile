FROM alpine:3.22 AS base-amd64
RUN apk add --no-cache libquadmath

FROM alpine:3.22 AS base-arm64

FROM base-${TARGETARCH}
COPY app.sh /usr/bin/app.sh
