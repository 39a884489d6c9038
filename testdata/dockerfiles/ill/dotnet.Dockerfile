FROM --platform=linux/amd64 mcr.microsoft.com/dotnet/sdk:8.0 AS build
RUN dotnet publish -c Release -r linux-x64 --self-contained -o /out
FROM mcr.microsoft.com/dotnet/runtime-deps:8.0-alpine-amd64
RUN ["curl", "-o", "/tini", "https://github.com/krallin/tini/releases/download/v0.19.0/tini-amd64"]
COPY --from=build /out /app
ENTRYPOINT ["/app/web"]
