FROM debian:12
RUN echo "deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://example.com/debian bookworm stable" \
      > /etc/apt/sources.list.d/x.list
RUN echo 'deb [arch=amd64] https://example.com/debian bookworm main' >> /etc/apt/sources.list
COPY <<EOF /etc/apt/sources.list.d/y.sources
Types: deb
URIs: https://example.com/debian
Suites: bookworm
Architectures: amd64
EOF
