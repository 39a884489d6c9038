ARG TARGETARCH
FROM alpine:3.20 AS base
RUN echo "for ${TARGETPLATFORM}" && wget https://example.com/tool-$TARGETARCH
COPY bin/tool-${TARGETARCH} /tool
