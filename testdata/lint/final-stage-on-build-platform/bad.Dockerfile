FROM --platform=$BUILDPLATFORM alpine:3.20
RUN apk add --no-cache curl
