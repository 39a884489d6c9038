FROM amd64/golang:1.22 as build
RUN go build -o /x ./...
FROM arm64v8/alpine:3.20
COPY --from=amd64/busybox /bin/busybox /bin/busybox
COPY --from=build /x /x
