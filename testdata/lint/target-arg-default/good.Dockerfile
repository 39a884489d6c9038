FROM alpine:3.20
ARG TARGETARCH
ARG CHANNEL=stable
RUN wget https://example.com/$CHANNEL/tool-$TARGETARCH
