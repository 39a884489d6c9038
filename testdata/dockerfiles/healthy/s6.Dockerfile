FROM ubuntu:22.04
ARG S6_OVERLAY_VERSION=3.2.0.0
ARG TARGETPLATFORM
RUN <<EOF
set -e
apt-get update
apt-get install -y --no-install-recommends curl xz-utils ca-certificates
case "$TARGETPLATFORM" in
  linux/amd64) S6_ARCH=x86_64 ;;
  linux/arm64) S6_ARCH=aarch64 ;;
  linux/arm/v7) S6_ARCH=armhf ;;
  *) echo "unsupported $TARGETPLATFORM"; exit 1 ;;
esac
curl -fsSL "https://github.com/just-containers/s6-overlay/releases/download/v${S6_OVERLAY_VERSION}/s6-overlay-noarch.tar.xz" | tar -C / -Jxpf -
curl -fsSL "https://github.com/just-containers/s6-overlay/releases/download/v${S6_OVERLAY_VERSION}/s6-overlay-${S6_ARCH}.tar.xz" | tar -C / -Jxpf -
EOF
ENTRYPOINT ["/init"]
