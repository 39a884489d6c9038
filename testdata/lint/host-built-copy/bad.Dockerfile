FROM scratch
ARG TARGETARCH
COPY bin/app /app
COPY bin/tool-amd64 /tool
COPY bin/misnamed-${TARGETARCH} /misnamed
COPY modules/ /modules/
COPY mac/app /mac
ENTRYPOINT ["/app"]
