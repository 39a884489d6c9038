FROM debian:12
ARG TARGETARCH
RUN echo "$(uname -s) $TARGETARCH"
