FROM --platform=$BUILDPLATFORM alpine:3.20 AS page
RUN echo hello > /index.html
FROM nginx:1.27
COPY --from=page /index.html /usr/share/nginx/html/
