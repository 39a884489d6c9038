ARG PLATFORM=linux/amd64
FROM --platform=linux/amd64 golang:1.23 AS build
RUN echo built > /out
FROM --platform=$PLATFORM alpine:3.20
COPY --from=build /out /out
