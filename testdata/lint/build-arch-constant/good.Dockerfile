FROM golang:1.26
ARG TARGETARCH
COPY . .
RUN XC_ARCH=$TARGETARCH XC_OS=linux make bin
RUN if [ "$TARGETARCH" = amd64 ]; then export CFLAGS=-march=x86-64-v3; fi; make
