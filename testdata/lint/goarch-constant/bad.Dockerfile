FROM golang:1.23 AS build
ENV GOOS=linux GOARCH=amd64
RUN GOOS=linux GOARCH=amd64 go build -o /app .
RUN export GOARCH="arm64" && go build -o /other .
FROM scratch
COPY --from=build /app /app
