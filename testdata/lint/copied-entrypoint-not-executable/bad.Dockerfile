FROM alpine:3.20
COPY scripts/plain.sh /run.sh
ENTRYPOINT ["/run.sh"]
