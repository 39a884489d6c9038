FROM --platform=$BUILDPLATFORM golang:1.22 AS tools
RUN curl -fsSLO https://github.com/protocolbuffers/protobuf/releases/download/v25.1/protoc-25.1-linux-x86_64.zip && unzip -q protoc-25.1-linux-x86_64.zip -d /usr/local
FROM tools AS build
ARG TARGETOS TARGETARCH
COPY . .
RUN protoc --go_out=. api.proto && GOOS=$TARGETOS GOARCH=$TARGETARCH go build -o /app .
FROM scratch
COPY --from=build /app /app
