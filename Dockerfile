# One image for every process of Regista; which one it is says the command: serve, relay, project, deploy,
# notify, or up for all in one.
# Packages are pinned and their hashes checked. It runs without root, and needs nothing writable but /data and /tmp.
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
# The tools that build have an environment of their own, which stays behind; so does pip.
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/regista
COPY requirements/build.txt requirements/image.txt requirements/
RUN /build/bin/pip install --quiet --require-hashes --only-binary :all: --requirement requirements/build.txt \
    && /build/bin/pip --python /opt/regista/bin/python install --quiet --require-hashes --only-binary :all: \
        --requirement requirements/image.txt
COPY pyproject.toml README.md LICENSE ./
COPY services services
COPY projections projections
COPY schemas schemas
RUN /build/bin/python -m build --wheel --no-isolation --outdir /wheel . \
    && /build/bin/pip --python /opt/regista/bin/python install --quiet --no-deps --no-index /wheel/*.whl

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Regista" \
      org.opencontainers.image.description="An event-sourced registry for machine-learning models" \
      org.opencontainers.image.licenses="Apache-2.0"
# A new volume takes over the owner of the folder that it is mounted on.
RUN groupadd --gid 10001 regista \
    && useradd --uid 10001 --gid regista --no-create-home --home-dir /data --shell /usr/sbin/nologin regista \
    && install --directory --owner regista --group regista --mode 0750 /data
COPY --from=build /opt/regista /opt/regista
ENV PATH=/opt/regista/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    REGISTA_DATA=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client as h, os; c = h.HTTPConnection('127.0.0.1', int(os.environ.get('REGISTA_PORT') or 8080), timeout=8); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["regista"]
CMD ["up"]
