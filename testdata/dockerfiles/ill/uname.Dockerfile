FROM --platform=$BUILDPLATFORM debian AS fetch
RUN curl -fsSL https://github.com/docker/compose/releases/download/v2.28.1/docker-compose-linux-$(uname -m) -o /dc
RUN ARCH=`uname -m` && curl -fsSLo /t https://x.io/t-${ARCH}
FROM debian
COPY --from=fetch /dc /usr/local/bin/docker-compose
