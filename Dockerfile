# One file, two images: `docker build --target worker .` (also runs Flower) and `docker build --target endpoint .`.
# Python 3.13: every locked package has a wheel for it on x86_64 and aarch64, so no compiler is needed.

FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /app
COPY pyproject.toml uv.lock ./

FROM build AS worker-build
# The packages first: they change less often than the code.
RUN uv sync --frozen --no-default-groups --group worker --group worker-tracing --group flower --no-install-project
COPY README.md LICENSE ./
COPY hmt_pass hmt_pass
RUN uv sync --frozen --no-default-groups --group worker --group worker-tracing --group flower --no-editable

FROM build AS endpoint-build
RUN uv sync --frozen --no-default-groups --extra endpoint --no-install-project
COPY README.md LICENSE ./
COPY hmt_pass hmt_pass
RUN uv sync --frozen --no-default-groups --extra endpoint --no-editable

FROM python:3.13-slim AS base
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin hmt-pass
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /app
STOPSIGNAL SIGTERM

FROM base AS endpoint
COPY --from=endpoint-build /app/.venv .venv
USER 10001
EXPOSE 8080
# The models take a second or two to load.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --start-interval=1s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
CMD ["python", "-m", "hmt_pass.endpoint", "--host", "0.0.0.0", "--port", "8080"]

FROM base AS worker
COPY --from=worker-build /app/.venv .venv
COPY worker worker
COPY tasks tasks
USER 10001
# One worker a container. All interfaces of the container, because Prometheus comes from outside; publish it on loopback.
ENV HMT_PASS_METRICS_PORTS=9540 HMT_PASS_METRICS_HOST=0.0.0.0
EXPOSE 9540
# Whether it consumes, not whether it lives.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --start-interval=2s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9540/healthz', timeout=4)"]
CMD ["celery", "-A", "worker", "worker", "--loglevel", "INFO", "--without-mingle", "--without-gossip"]
