FROM alpine:3.20
ARG TARGETARCH=amd64
RUN wget https://example.com/tool-$TARGETARCH
