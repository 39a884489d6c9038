FROM alpine:3.20 AS base
ARG TARGETARCH
FROM base
RUN wget https://example.com/tool-$TARGETARCH
# $TARGETOS is only mentioned here
RUN TARGETOS=$(uname -s); echo $TARGETOS ${TARGETVARIANT:?is not set}
