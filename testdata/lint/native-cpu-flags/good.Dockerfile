FROM rust:1.80
ENV RUSTFLAGS="-C opt-level=3"
RUN gcc -O3 -o /app app.c
