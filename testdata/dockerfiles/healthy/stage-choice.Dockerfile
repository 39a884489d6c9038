ARG BASE=debian:bookworm
FROM ${BASE} AS base
FROM base AS base-amd64
ENV LIB=/usr/lib/x86_64-linux-gnu
RUN curl -fsSLO https://example.com/tool-x86_64.tar.gz
FROM base AS base-arm64
ENV LIB=/usr/lib/aarch64-linux-gnu
RUN curl -fsSLO https://example.com/tool-aarch64.tar.gz
FROM base-${TARGETARCH} AS final
RUN ldconfig
CMD ["tool"]
