# The hub, the worker and the migrations: one image, three commands (docker-compose.yml).

FROM node:22-slim AS pages
WORKDIR /app/clients/js
COPY clients/js/package.json clients/js/package-lock.json clients/js/.npmrc ./
RUN npm ci
COPY clients/js ./
RUN npm run build

FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /app
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
# What changes seldom comes first, so that it is built seldom.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project
COPY README.md LICENSE ./
COPY hub hub
COPY tasks tasks
COPY --from=pages /app/hub/web/static hub/web/static
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.13-slim
RUN useradd --uid 10001 --create-home hub
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 HUB_ENV=production HUB_HOST=0.0.0.0 HUB_PORT=8000
USER hub
WORKDIR /home/hub
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"HUB_PORT\"]}/livez', timeout=2)"]
CMD ["hub", "serve"]
