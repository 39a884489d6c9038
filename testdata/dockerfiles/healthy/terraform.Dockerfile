FROM alpine:3.20 AS fetch
ARG TERRAFORM_VERSION=1.8.5
ARG TARGETOS
ARG TARGETARCH
ADD https://releases.hashicorp.com/terraform/${TERRAFORM_VERSION}/terraform_${TERRAFORM_VERSION}_${TARGETOS}_${TARGETARCH}.zip /tmp/tf.zip
ADD https://releases.hashicorp.com/terraform/${TERRAFORM_VERSION}/terraform_${TERRAFORM_VERSION}_SHA256SUMS /tmp/
RUN cd /tmp && grep "terraform_${TERRAFORM_VERSION}_${TARGETOS}_${TARGETARCH}.zip" terraform_*_SHA256SUMS | sed 's#terraform_.*zip#tf.zip#' | sha256sum -c - && unzip tf.zip -d /usr/local/bin
FROM scratch
COPY --from=fetch /usr/local/bin/terraform /terraform
COPY --from=gcr.io/distroless/static:nonroot /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
ENTRYPOINT ["/terraform"]
