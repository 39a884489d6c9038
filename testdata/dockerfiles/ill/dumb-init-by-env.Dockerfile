FROM debian:12
ENV DUMB_INIT_URL="https://github.com/Yelp/dumb-init/releases/download/v1.2.5/dumb-init_1.2.5_x86_64"
RUN apt-get update && apt-get install -y wget && wget -O /usr/local/bin/dumb-init "$DUMB_INIT_URL" && chmod +x /usr/local/bin/dumb-init
ENV JAVA_HOME=/usr/lib/jvm/java-17-openjdk-amd64
