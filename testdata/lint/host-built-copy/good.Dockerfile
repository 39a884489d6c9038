FROM scratch
ARG TARGETARCH
COPY bin/app-${TARGETARCH} /app
COPY prebuilds/ /prebuilds/
COPY scripts/run.sh /run.sh
ENTRYPOINT ["/app"]
