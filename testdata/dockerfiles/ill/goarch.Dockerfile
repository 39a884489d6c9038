FROM --platform=$BUILDPLATFORM golang:1.22 AS build
ENV CGO_ENABLED=0 GOOS=linux GOARCH=amd64
COPY . .
RUN go build -o /app .
FROM scratch
COPY --from=build /app /app
