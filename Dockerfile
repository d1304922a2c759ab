# The operator's image: docker build -t setpoint:0.1.0 .
#
# PYTHON_VERSION   the interpreter; any that pyproject.toml takes
# ENGINE_IMAGE     an image that holds Terraform or OpenTofu, and ENGINE_PATH where in it: yours from a registry of your
#                  own, where the public one is out of reach. The binary is named `terraform` whichever it is.
# The packages come from where pip is told (PIP_INDEX_URL and the like, as build arguments), checked against the lock's
# hashes; nothing is resolved. A site's filesystem mirror of providers is mounted, not built in: SETPOINT_TERRAFORM_MIRROR.
ARG PYTHON_VERSION=3.13
ARG ENGINE_IMAGE=hashicorp/terraform:1.11.4
ARG ENGINE_PATH=/bin/terraform

FROM ${ENGINE_IMAGE} AS engine

FROM python:${PYTHON_VERSION}-slim AS build
ARG PIP_INDEX_URL
ARG PIP_TRUSTED_HOST
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
COPY requirements/build.lock requirements/run.lock requirements/
RUN python -m venv /opt/setpoint \
 && /opt/setpoint/bin/pip install --no-deps --require-hashes -r requirements/build.lock \
 && /opt/setpoint/bin/pip install --no-deps --require-hashes --no-build-isolation -r requirements/run.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY policies policies
RUN /opt/setpoint/bin/pip install --no-deps --no-build-isolation --no-index . \
 && /opt/setpoint/bin/pip check \
 && /opt/setpoint/bin/pip uninstall --yes pip setuptools \
 && /opt/setpoint/bin/setpoint version

FROM python:${PYTHON_VERSION}-slim
ARG ENGINE_PATH
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git openssh-client tini \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 setpoint \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin setpoint \
 && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/setpoint
COPY --from=engine ${ENGINE_PATH} /usr/local/bin/terraform
COPY --from=build /opt/setpoint /opt/setpoint
ENV PATH=/opt/setpoint/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CHECKPOINT_DISABLE=1
USER 10001:10001
WORKDIR /var/lib/setpoint
EXPOSE 8080
# Runs leave orphans when the manager is killed: tini reaps them.
ENTRYPOINT ["tini", "--"]
CMD ["setpoint", "operator"]
