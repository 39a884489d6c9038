ARG ARCH=amd64
FROM debian:bookworm
ARG ARCH=amd64
ARG GO_VERSION=1.22.4
ENV PATH=/usr/local/go/bin:$PATH
RUN curl -fsSL https://go.dev/dl/go${GO_VERSION}.linux-${ARCH}.tar.gz | tar -C /usr/local -xz
