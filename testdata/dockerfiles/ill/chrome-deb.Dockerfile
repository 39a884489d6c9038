FROM debian:bookworm
RUN apt-get update && apt-get install -y wget \
 && wget https://dl.google.com/linux/direct/google-chrome-stable_current_amd64.deb \
 && apt-get install -y ./google-chrome-stable_current_amd64.deb \
 && echo "deb [arch=amd64 signed-by=/x.gpg] https://apt.releases.hashicorp.com bookworm main" > /etc/apt/sources.list.d/h.list \
 && dpkg --add-architecture i386
RUN pip download --platform manylinux2014_x86_64 --only-binary=:all: numpy
RUN npm install --cpu=x64 sharp
