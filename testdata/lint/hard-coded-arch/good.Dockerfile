FROM debian:12 AS exit-arm64
COPY exit.arm64.s .
RUN as -o exit.o exit.arm64.s
FROM debian:12
COPY --from=exit-arm64 /exit.o /
ARG TARGETARCH
RUN case "$TARGETARCH" in \
      amd64) url=https://example.com/tool-x86_64; sum=aa ;; \
      arm64) url=https://example.com/tool-aarch64; sum=bb ;; \
      *) exit 1 ;; \
    esac; \
    curl -fsSL "$url" -o /usr/local/bin/tool; \
    echo "$sum  /usr/local/bin/tool" | sha256sum -c -
RUN if [ "$TARGETARCH" = amd64 ]; then curl -O https://example.com/only-x86_64.tgz; fi
RUN [ "$TARGETARCH" != amd64 ] || curl -O https://example.com/only-x86_64.tgz
RUN curl -O https://example.com/tool-linux-${TARGETARCH}.tar.gz
RUN for arch in amd64 arm64; do echo $arch; done
RUN apt-get install -y gcc-aarch64-linux-gnu libc6-dev-arm64-cross && aarch64-linux-gnu-gcc -o /a a.c
RUN curl -O https://example.com/tool-darwin-amd64 https://example.com/tool-amd64.zip https://example.com/tool-arm64.zip
RUN sed -i 's/x86_64/aarch64/' /etc/x.conf
RUN curl -fsSL https://example.com/install.sh | sh
COPY qemu-aarch64-static /usr/bin/
LABEL note="https://example.com/x86_64"
RUN wget https://example.com/tool.deb -O /tmp/tool-amd64.deb && dpkg -i /tmp/tool-amd64.deb
