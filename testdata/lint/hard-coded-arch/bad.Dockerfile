FROM debian:12 AS tools
ARG VERSION=1.0
ARG ARCH=amd64
RUN curl -fsSL https://example.com/tool/v1.0/tool-x86_64 -o /usr/local/bin/tool
RUN set -eux; \
    # the archive, its checksum, and what is in it
    curl -fsSLO "https://example.com/jq-linux-amd64-${VERSION}.tar.gz"; \
    echo "0123abcd  jq-linux-amd64-${VERSION}.tar.gz" | sha256sum -c -; \
    tar -xzf jq-linux-amd64-${VERSION}.tar.gz
RUN wget -q https://example.com/app-${ARCH}.deb && dpkg -i app-${ARCH}.deb
RUN NODE=node-v22.1.0-linux-x64 && curl -O https://nodejs.org/dist/$NODE.tar.xz
RUN curl -L 'https://example.com/Tool_Linux_x86_64.tgz' | tar xz
RUN <<EOF
set -e
curl -fsSLO https://example.com/chromedriver_linux64.zip
curl -fsSLO https://example.com/kubectl/amd64/kubectl
EOF
ADD https://example.com/dl/linux/amd64/helm.tar.gz /tmp/
ENV JAVA_HOME=/usr/lib/jvm/java-17-openjdk-amd64

FROM debian:12
COPY --from=tools /usr/lib/x86_64-linux-gnu/libssl.so.3 /usr/lib/
RUN ["curl", "-o", "/t", "https://example.com/t-aarch64"]
COPY --from=tools /usr/local/bin/tool /usr/local/bin/
ONBUILD RUN curl -O https://example.com/plugin-linux-amd64.tgz
