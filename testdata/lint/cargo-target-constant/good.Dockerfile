FROM rust:1.80 AS build
ARG TARGETARCH
RUN rustup target add x86_64-unknown-linux-musl aarch64-unknown-linux-musl
RUN case "$TARGETARCH" in amd64) t=x86_64;; arm64) t=aarch64;; *) exit 1;; esac; \
    cargo build --release --target $t-unknown-linux-musl --target-dir /out
FROM scratch
COPY --from=build /out /app
