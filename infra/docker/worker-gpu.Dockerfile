# syntax=docker/dockerfile:1
# Inference with TensorRT. CUDA and TensorRT are the base's, the bindings are NVIDIA's package of exactly that version.
# The host needs an NVIDIA driver of release 580 or newer and the container toolkit. Pin the base by CUDA_DIGEST=sha256:...
ARG CUDA_TAG=13.0.0-tensorrt-runtime-ubuntu24.04
ARG CUDA_DIGEST=

FROM nvidia/cuda:${CUDA_TAG}${CUDA_DIGEST:+@${CUDA_DIGEST}} AS build
# The base fixes Ubuntu's release, and that the version of its Python.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY services services
# The extra `gpu` without tensorrt-cu13, which would bring a second TensorRT. The environment sees the system's packages only
# after everything is installed, so that nothing of what it needs is left to them.
RUN python3 -m venv /opt/framegate \
 && /opt/framegate/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
 && /opt/framegate/bin/pip install --no-cache-dir --only-binary=:all: \
      "$(echo /wheels/*.whl)[aws,traces]" "cuda-bindings>=12.9" "nvidia-ml-py>=12.575" "onnx>=1.17" \
 && /opt/framegate/bin/pip uninstall --yes pip \
 && sed -i 's/^include-system-site-packages = false$/include-system-site-packages = true/' /opt/framegate/pyvenv.cfg

FROM nvidia/cuda:${CUDA_TAG}${CUDA_DIGEST:+@${CUDA_DIGEST}}
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="framegate-worker-gpu" \
      org.opencontainers.image.description="Framegate: inference with TensorRT on NVIDIA GPUs" \
      org.opencontainers.image.licenses="AGPL-3.0-or-later" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 \
      "python3-libnvinfer=$(dpkg-query --show --showformat '${Version}' libnvinfer10)" \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 framegate \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin framegate \
 && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/framegate /opt/framegate
ENV PATH=/opt/framegate/bin:$PATH \
    FRAMEGATE_DATA=/data \
    FRAMEGATE_LOG_JSON=true \
    FRAMEGATE_ENGINE=tensorrt \
    FRAMEGATE_WORKER__HOST=0.0.0.0 \
    FRAMEGATE_WORKER__PORT=9100
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 9100
# Alive, not ready: building an engine takes minutes, and nothing is gained by starting that anew.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9100/healthz', timeout=4)"]
ENTRYPOINT ["framegate"]
CMD ["run", "inference"]
