FROM --platform=$BUILDPLATFORM golang:1.23 AS build
ARG TARGETARCH
RUN GOOS=linux GOARCH=$TARGETARCH go build -o /app .
RUN GOARCH=amd64 go build -o /dist/amd64 . && GOARCH=arm64 go build -o /dist/arm64 .
RUN if [ "$TARGETARCH" = arm64 ]; then GOARCH=arm64 go build -o /x .; fi
FROM scratch
COPY --from=build /app /app
