FROM --platform=$BUILDPLATFORM alpine:3.20 AS fetch
RUN wget -qO /tool https://example.com/releases/tool-linux-amd64 && chmod +x /tool
RUN wget -qO- https://example.com/releases/other-x86_64.tar.gz | tar -xz -C /opt
FROM alpine:3.20
COPY --from=fetch /tool /usr/local/bin/tool
COPY --from=fetch /opt/other /usr/local/bin/other
