FROM golang:1.26
COPY . .
RUN XC_ARCH=amd64 XC_OS=linux make bin
RUN gcc -O2 -march=x86-64-v3 -o /app main.c
