# imgarch for linux/amd64 and linux/arm64, from prebuilt static binaries (see .github/workflows/release.yml):
#   cargo build --profile dist --all-features --locked --target x86_64-unknown-linux-musl    -> dist/amd64/imgarch
#   cargo build --profile dist --all-features --locked --target aarch64-unknown-linux-musl   -> dist/arm64/imgarch
#   docker buildx build --platform linux/amd64,linux/arm64 --tag imgarch .
FROM scratch
ARG TARGETARCH
COPY --chmod=0755 dist/${TARGETARCH}/imgarch /usr/local/bin/imgarch
ENV PATH=/usr/local/bin XDG_CACHE_HOME=/tmp
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/imgarch"]
