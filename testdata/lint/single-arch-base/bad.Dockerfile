ARG BASE=arm64v8/alpine:3.20
FROM amd64/debian:12 AS a
RUN true
FROM $BASE AS b
COPY --from=a /etc/hosts /hosts
FROM mcr.example.com/dotnet/runtime:8.0-jammy-amd64
COPY --from=b /hosts /hosts
