FROM golang:1.26
COPY . .
RUN XC_ARCH=amd64 XC_OS=linux make bin
