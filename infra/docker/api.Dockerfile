# syntax=docker/dockerfile:1
# The HTTP API, and the commands that run once: `migrate`, `provision`. Pin the base by PYTHON_DIGEST=sha256:...
ARG PYTHON_TAG=3.12-slim-bookworm
ARG PYTHON_DIGEST=

FROM python:${PYTHON_TAG}${PYTHON_DIGEST:+@${PYTHON_DIGEST}} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY services services
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
 && python -m venv /opt/framegate \
 && /opt/framegate/bin/pip install --no-cache-dir --only-binary=:all: "$(echo /wheels/*.whl)[aws,traces]" \
 && /opt/framegate/bin/pip uninstall --yes pip

FROM python:${PYTHON_TAG}${PYTHON_DIGEST:+@${PYTHON_DIGEST}}
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="framegate-api" \
      org.opencontainers.image.description="Framegate: the HTTP API" \
      org.opencontainers.image.licenses="AGPL-3.0-or-later" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN pip uninstall --yes pip \
 && groupadd --gid 10001 framegate \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin framegate \
 && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/framegate /opt/framegate
ENV PATH=/opt/framegate/bin:$PATH \
    FRAMEGATE_DATA=/data \
    FRAMEGATE_LOG_JSON=true \
    FRAMEGATE_API__HOST=0.0.0.0 \
    FRAMEGATE_API__PORT=8080 \
    FRAMEGATE_WORKER__HOST=0.0.0.0 \
    FRAMEGATE_WORKER__PORT=9100
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8080 9100
# Alive, not ready: an API must not be restarted because a worker is away.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["framegate"]
CMD ["run", "ingest"]
