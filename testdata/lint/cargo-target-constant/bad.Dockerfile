FROM rust:1.80 AS build
ENV CARGO_BUILD_TARGET=x86_64-unknown-linux-musl
RUN cargo build --release --target x86_64-unknown-linux-musl
FROM scratch
COPY --from=build /app /app
