# Duet in an image:
#
#   docker build -t duet .                                 # CPU
#   docker build -t duet:gpu --build-arg EXTRAS=gpu,serve .  # NVIDIA cards: CUDA comes with TensorFlow's wheels
#
#   docker run --rm -v "$PWD":/data duet prepare --folder photos --out records/photos
#   docker run --rm --gpus all -v "$PWD":/data duet:gpu compare --data records/photos --out runs/photos
#
# The working directory is /data; checkpoints are kept in /data/.cache between runs. With
# `--user "$(id -u):$(id -g)"` what is written belongs to you.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS wheel
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir "build>=1.2" && python -m build --wheel --outdir /wheels && \
    cp requirements-lock.txt /wheels

FROM python:${PYTHON}-slim
ARG EXTRAS=serve
COPY --from=wheel /wheels /wheels
# The versions that were tried together.
RUN pip install --no-cache-dir --constraint /wheels/requirements-lock.txt \
        "$(ls /wheels/*.whl)[${EXTRAS}]" && rm -r /wheels
ENV TF_CPP_MIN_LOG_LEVEL=3 \
    HOME=/data \
    KERAS_HOME=/data/.cache/keras \
    HF_HOME=/data/.cache/huggingface
WORKDIR /data
ENTRYPOINT ["duet"]
CMD ["--help"]
