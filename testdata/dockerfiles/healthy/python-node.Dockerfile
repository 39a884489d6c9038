FROM --platform=$BUILDPLATFORM node:20-alpine AS frontend
WORKDIR /web
COPY web/package*.json ./
RUN npm ci
COPY web .
RUN npm run build
FROM python:3.12-slim AS deps
WORKDIR /app
COPY requirements.txt .
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir -r requirements.txt
FROM python:3.12-slim
ENV PATH="/opt/venv/bin:$PATH" LD_LIBRARY_PATH=/usr/local/lib
COPY --from=deps /opt/venv /opt/venv
COPY --from=frontend /web/dist /app/static
COPY app /app
HEALTHCHECK --interval=5s CMD curl -f http://localhost:8000/healthz || exit 1
CMD ["gunicorn", "app:app"]
