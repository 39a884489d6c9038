FROM --platform=$BUILDPLATFORM golang:1.23 AS build
ARG TARGETOS TARGETARCH
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH go build -o /app ./cmd/app
FROM --platform=$BUILDPLATFORM tonistiigi/xx:1.5 AS xx
FROM --platform=$BUILDPLATFORM rust:1.80 AS helper
COPY --from=xx / /
RUN xx-cargo build --release
FROM --platform=$BUILDPLATFORM node:22 AS page
RUN npm ci && npm run build
FROM nginx:1.27
COPY --from=build /app /app
COPY --from=helper /target/release/helper /helper
COPY --from=page /dist /usr/share/nginx/html
