FROM alpine:3.20
COPY scripts/windows.sh /run.sh
ENTRYPOINT ["/run.sh"]
