FROM --platform=$BUILDPLATFORM debian:12 AS fetch
RUN curl -fsSL https://example.com/tool-$(uname -m) -o /tool
FROM debian:12
COPY --from=fetch /tool /tool
RUN ARCH=`arch` && curl -fsSL https://example.com/other-$ARCH -o /other
