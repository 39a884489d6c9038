FROM alpine:3.20
ARG PROM_VERSION=2.53.0
RUN wget https://github.com/prometheus/prometheus/releases/download/v${PROM_VERSION}/prometheus-${PROM_VERSION}.linux-amd64.tar.gz \
 && echo "aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899  prometheus-${PROM_VERSION}.linux-amd64.tar.gz" | sha256sum -c - \
 && tar xzf prometheus-${PROM_VERSION}.linux-amd64.tar.gz \
 && mv prometheus-${PROM_VERSION}.linux-amd64/prometheus /bin/
