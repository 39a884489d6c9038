FROM --platform=$BUILDPLATFORM golang:1.23 AS build
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 go build -o /app ./cmd/app

FROM --platform=$BUILDPLATFORM rust:1.80 AS helper
COPY . .
RUN cargo build --release

FROM --platform=$BUILDPLATFORM node:22 AS modules
COPY package*.json ./
RUN npm ci --omit=dev

FROM gcr.io/distroless/nodejs22
COPY --from=build /app /app
COPY --from=helper /target/release/helper /helper
COPY --from=modules /node_modules /node_modules
