FROM --platform=$BUILDPLATFORM rust:1.79-slim AS build
ARG TARGETARCH
RUN apt-get update && apt-get install -y gcc-aarch64-linux-gnu gcc-x86-64-linux-gnu libc6-dev-arm64-cross
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc
RUN case "$TARGETARCH" in \
      amd64) echo x86_64-unknown-linux-gnu > /target ;; \
      arm64) echo aarch64-unknown-linux-gnu > /target ;; \
      *) exit 1 ;; \
    esac && rustup target add "$(cat /target)"
WORKDIR /src
COPY . .
RUN cargo build --release --target "$(cat /target)" && cp "target/$(cat /target)/release/app" /app
FROM debian:bookworm-slim
COPY --from=build /app /usr/local/bin/app
ENTRYPOINT ["app"]
