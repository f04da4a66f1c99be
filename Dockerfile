# syntax=docker/dockerfile:1
# The images of the service: docker build --target gateway|worker|triton|train .
#
# Everything Python lies in two folders: /deps has what pyproject.toml asks for in the versions of
# requirements.lock, /code has ours, in a layer above that is small and changes more often. No image
# needs to write anywhere but /tmp (and Triton /dev/shm), so all of them run on a read-only root.

# ---- what builds the others ----

FROM python:3.12.12-slim-bookworm AS builder
WORKDIR /source
# Also of what pip builds with.
ENV PIP_CONSTRAINT=/source/requirements.lock PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock pyproject.toml ./
COPY nfig_proto/pyproject.toml nfig_proto/
COPY .ci/image_requirements.py .ci/

FROM builder AS gateway-deps
RUN python .ci/image_requirements.py gateway > wanted && pip install --target /deps -r wanted

FROM builder AS worker-deps
RUN python .ci/image_requirements.py worker > wanted && pip install --target /deps -r wanted

# torch's variant is left open: the default index answers with the CUDA build. For the CPU build name
# PyTorch's CPU index, which is on its page "Get started".
FROM builder AS triton-deps
ARG TORCH_INDEX=""
RUN python .ci/image_requirements.py triton > wanted \
    && PIP_EXTRA_INDEX_URL=${TORCH_INDEX} pip install --target /deps -r wanted

FROM builder AS train-deps
ARG TORCH_INDEX=""
RUN python .ci/image_requirements.py train > wanted \
    && PIP_EXTRA_INDEX_URL=${TORCH_INDEX} pip install --target /deps -r wanted

FROM builder AS code
COPY README.md LICENSE ./
COPY nfig_proto nfig_proto
COPY nfig_client nfig_client
COPY nfig nfig
COPY service service
RUN pip install --no-deps --target /code ./nfig_proto .

# The model repository with the weights of a checkpoint in it, and the model's card beside them.
FROM triton-deps AS models
ARG CHECKPOINT=checkpoints/avatars-64
ENV PYTHONPATH=/code:/deps
COPY --from=code /code /code
COPY model_repository /models
COPY ${CHECKPOINT} /checkpoint
RUN python -m nfig export --model /checkpoint --repository /models
COPY deploy/triton/gpu.pbtxt /gpu.pbtxt
RUN for model in /models/nfig_*; do \
        mkdir "$model/configs" \
        && { grep -v '^instance_group' "$model/config.pbtxt"; cat /gpu.pbtxt; } \
            > "$model/configs/gpu.pbtxt" || exit 1; \
    done

# ---- what runs ----

FROM python:3.12.12-slim-bookworm AS runtime
RUN groupadd --gid 10001 nfig \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin nfig
ENV PYTHONPATH=/code:/deps PATH=/code/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /code
USER 10001:10001

FROM runtime AS gateway
COPY --from=gateway-deps /deps /deps
COPY --from=code /code /code
# Other machines reach it, so it does not start without NFIG_API_KEYS_FILE or an explicit
# NFIG_ALLOW_ANONYMOUS. Health and metrics have a port of their own.
ENV NFIG_HOST=0.0.0.0 NFIG_PORT=8000 NFIG_GRPC_PORT=50051 \
    NFIG_INTERNAL_HOST=0.0.0.0 NFIG_INTERNAL_PORT=8080
EXPOSE 8000 8080 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/health/ready', timeout=4)"]
CMD ["python", "-m", "service.gateway"]

FROM runtime AS worker
COPY --from=worker-deps /deps /deps
COPY --from=code /code /code
COPY --from=models /models/model.json /models/model.json
ENV NFIG_CARD=/models/model.json NFIG_WORKER_HOST=0.0.0.0 NFIG_WORKER_PORT=9100
EXPOSE 9100
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9100/metrics', timeout=4)"]
CMD ["python", "-m", "service.worker"]

FROM nvcr.io/nvidia/tritonserver:25.12-py3 AS triton
COPY --from=triton-deps /deps /deps
COPY --from=code /code /code
COPY --from=models /models /models
COPY deploy/triton/canary.py /canary.py
# Triton's stub is that of the image's own Python, which must be the builder's minor version.
ENV PYTHONPATH=/code:/deps PYTHONDONTWRITEBYTECODE=1
WORKDIR /models
# The image's own user triton-server.
USER 1000:1000
EXPOSE 8000 8001 8002
# A band drawn and decoded, a picture encoded: Triton's own word on its health is not trusted.
HEALTHCHECK --interval=30s --timeout=35s --start-period=180s --retries=3 \
    CMD ["python3", "/canary.py"]
CMD ["tritonserver", "--model-repository=/models", "--disable-auto-complete-config", \
     "--backend-config=python,stub-timeout-seconds=180", "--exit-timeout-secs=30"]

FROM runtime AS train
COPY --from=train-deps /deps /deps
COPY --from=code /code /code
# Runs and data are mounted; what must be cached goes to /tmp.
ENV NFIG_RUNS=/runs HOME=/tmp
USER 0:0
RUN install -d -o nfig -g nfig /runs
USER 10001:10001
VOLUME /runs
# A command that ends, not a server.
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "nfig"]
CMD ["--help"]
