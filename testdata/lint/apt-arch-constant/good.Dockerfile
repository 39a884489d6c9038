FROM debian:12
RUN echo "deb [arch=$(dpkg --print-architecture)] https://example.com/debian bookworm stable" > /etc/apt/sources.list.d/x.list
RUN echo "deb [arch=amd64,arm64] https://example.com/debian bookworm stable" > /etc/apt/sources.list.d/z.list
