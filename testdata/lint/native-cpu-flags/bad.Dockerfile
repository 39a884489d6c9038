FROM rust:1.80
ENV RUSTFLAGS="-C target-cpu=native"
RUN gcc -O3 -march=native -o /app app.c
