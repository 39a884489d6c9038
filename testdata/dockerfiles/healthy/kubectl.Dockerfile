# syntax=docker/dockerfile:1
ARG ALPINE_VERSION=3.20
FROM alpine:${ALPINE_VERSION}
ARG TARGETARCH
ARG KUBECTL_VERSION=v1.30.2
ARG HELM_VERSION=v3.15.2
RUN apk add --no-cache curl ca-certificates bash \
 && curl -fsSLo /usr/local/bin/kubectl "https://dl.k8s.io/release/${KUBECTL_VERSION}/bin/linux/${TARGETARCH}/kubectl" \
 && chmod +x /usr/local/bin/kubectl \
 && curl -fsSL https://get.helm.sh/helm-${HELM_VERSION}-linux-${TARGETARCH}.tar.gz | tar xz --strip-components=1 -C /usr/local/bin linux-${TARGETARCH}/helm
ENTRYPOINT ["kubectl"]
