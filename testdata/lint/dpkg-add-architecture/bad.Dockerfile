FROM debian:12
RUN dpkg --add-architecture i386 && apt-get update && apt-get install -y libc6:i386
