FROM alpine:3.20
COPY scripts/run.sh /run.sh
ENTRYPOINT ["/run.sh"]
