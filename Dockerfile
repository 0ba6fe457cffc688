# The server of `tgdi serve`, on the CPU. The model is a folder that is mounted:
#
#     docker build -t tgdi .
#     docker run --rm -p 8000:8000 -v "$PWD/runs/demo:/model:ro" tgdi
FROM python:3.13-slim

WORKDIR /src
COPY LICENSE README.md constraints-cpu.txt pyproject.toml setup.py ./
COPY modeling modeling
COPY processing processing
COPY tgdi_hf tgdi_hf
# The second index has the build of torch without CUDA.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -c constraints-cpu.txt '.[serve,onnx]' \
    && useradd --uid 1000 --create-home tgdi

# Nothing is downloaded at run time. Docker collects the log as it is written.
ENV HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
USER 1000
WORKDIR /home/tgdi
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
CMD ["tgdi", "serve", "/model", "--host", "0.0.0.0", "--port", "8000"]
