FROM --platform=$BUILDPLATFORM golang:1.22 AS build
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 go build -o /app .
FROM --platform=$BUILDPLATFORM alpine:3.20
COPY --from=build /app /app
ENTRYPOINT ["/app"]
