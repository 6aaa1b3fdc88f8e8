# Every target makes the virtual environment that it needs from a bare Python 3.11-3.13; a second run starts at once.
# Settings: PYTHON (the interpreter to start from), VENV (where the environment goes), ARGS (more options for pytest),
# WORKERS (processes that run tests beside each other: most of what they do is to wait for others),
# REGISTA_TEST_REQUIRE=all (an engine that is missing, and any skipped test, is a failure).

VENV ?= .venv
ARGS ?=
WORKERS ?= 2
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(SUPPORTED)' 2>/dev/null && echo "$$python" && exit; done; echo python3)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PIN := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help up up-kafka test compose-test soak demo demo-kafka demo-deploy bench check format build lock newcomer clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*##/make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

up: $(VENV)/.server  ## install the server and run it on http://127.0.0.1:8080, its data in ./.regista
	@echo 'Regista is installed. In another terminal:  . $(BIN)/activate  and then  regista --help'
	@exec $(BIN)/regista up

up-kafka: $(VENV)/.dev  ## Kafka and the spread-out services without Docker, their data in ./.regista-kafka
	@exec $(BIN)/python tools/up_kafka.py $(ARGS)

test: $(VENV)/.dev  ## run all tiers whose engine is present, and say what was left out
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal $(ARGS)

compose-test: $(VENV)/.dev  ## bring docker-compose.yml up, follow the README against it, and take it down
	$(BIN)/python tools/compose_test.py $(ARGS)

soak: $(VENV)/.dev  ## run the long tests
	$(BIN)/python -m pytest -m soak $(ARGS)

demo: $(VENV)/.dev  ## train, register, promote, roll back; then verify the log and rebuild the views
	$(BIN)/python examples/demo.py

demo-kafka: $(VENV)/.dev  ## the same, then Kafka is added: every act is a record, and the views come from there
	PYTHONPATH=tools $(BIN)/python examples/demo_kafka.py

demo-deploy: $(VENV)/.dev  ## train, register, canary on nginx, promote, roll back by itself; embedded and on Kafka
	PYTHONPATH=tools $(BIN)/python examples/demo_deploy.py

bench: $(VENV)/.dev  ## measure, each figure with its floor in the same run
	$(BIN)/python -m tests.bench.run

check: $(VENV)/.dev  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.dev  ## write the format, and the fixes that are safe
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

build: $(VENV)/.dev  ## wheel and source distribution into dist/
	$(BIN)/python -m build --no-isolation

lock: $(VENV)/.lock  ## write requirements/*.txt again; UPGRADE=1 takes newer versions
	$(PIN) pyproject.toml --extra all --group dev --output-file requirements/dev.txt
	$(PIN) pyproject.toml --constraints requirements/dev.txt --output-file requirements/client.txt
	$(PIN) pyproject.toml --extra server --constraints requirements/dev.txt --output-file requirements/server.txt
	$(PIN) pyproject.toml --extra server --extra kafka --extra postgres --extra deployer --extra kubernetes --constraints requirements/dev.txt \
		--output-file requirements/image.txt
	$(PIN) --group build --constraints requirements/dev.txt --output-file requirements/build.txt
	$(PIN) --group lock --output-file requirements/lock.txt

newcomer:  ## a fresh clone, an empty home, a bare environment: the README word for word, in under 120 s
	$(PYTHON) tools/newcomer.py

clean:  ## remove what was built; ./.regista, the registry's data, stays
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find services projections schemas tests tools examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c '$(SUPPORTED)' || { echo 'Regista needs Python 3.11, 3.12 or 3.13: make PYTHON=/path/to/python' >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { echo 'The venv module is missing; on Debian: apt-get install python3-venv' >&2; exit 1; }

# A stamp is newer than what it was made from, so that nothing is installed twice. The hashes of the pinned files are
# checked; Regista itself goes in last, editable, with the build tools that are pinned too.
$(VENV)/.server: requirements/server.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo 'Installing the server into $(VENV) ...'
	@$(PIP) install --require-hashes -r requirements/server.txt -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo 'Installing the server, its extras and the development tools into $(VENV) (about a minute) ...'
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.server $@

$(VENV)/.lock: requirements/lock.txt | $(BIN)/python
	@$(PIP) install --require-hashes -r requirements/lock.txt
	@touch $@
