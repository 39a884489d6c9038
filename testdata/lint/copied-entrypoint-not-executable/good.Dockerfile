FROM alpine:3.20
COPY --chmod=755 scripts/plain.sh /run.sh
ENTRYPOINT ["/run.sh"]
