FROM golang:1.22-alpine AS builder
WORKDIR /src
RUN wget -qO/bin/grpc_health_probe https://github.com/grpc-ecosystem/grpc-health-probe/releases/download/v0.4.28/grpc_health_probe-linux-$(go env GOARCH) && chmod +x /bin/grpc_health_probe
COPY . .
ARG SKAFFOLD_GO_GCFLAGS
RUN go build -gcflags="${SKAFFOLD_GO_GCFLAGS}" -o /go/bin/frontend .
FROM scratch
COPY --from=builder /bin/grpc_health_probe /go/bin/frontend /bin/
ENTRYPOINT ["/bin/frontend"]
