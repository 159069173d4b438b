# `make` or `make help` lists what there is.

HOST ?= 127.0.0.1
PORT ?= 8000
DATA_DIR ?= data
PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
# Lint and tests never touch the data of `make run`.
LINT := CHAT_DATA_DIR=var/lint

.DEFAULT_GOAL := help
.PHONY: help run dev browser promtool services services-stop test test-fast lint format bench drills lock proto clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  Variables of make run: HOST=$(HOST) PORT=$(PORT) DATA_DIR=$(DATA_DIR)"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with PYTHON=<path>." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Stamps: pip runs only when a lock file changed.
$(VENV)/.installed: requirements.txt | $(BIN)/python
	@echo "Installing the pinned dependencies (the first time this takes a minute) …"
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

run: $(VENV)/.installed ## Start everything on this machine, with demo people; Ctrl-C stops it
	@exec env CHAT_DATA_DIR="$(DATA_DIR)" $(BIN)/python manage.py run --demo --host "$(HOST)" --port "$(PORT)"

dev: $(VENV)/.installed-dev ## Install what lint, tests and benchmarks need

# Debian's browser for the end-to-end tests; without it, or without root, they are left out and named at the end.
browser:
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends \
			chromium fonts-noto-core fonts-noto-color-emoji; } >/dev/null \
		|| echo "chromium could not be installed; the tests in a browser will be left out" >&2; \
	fi

# Checks the alert rules. Unpacked from Debian's package and not installed, which would start a Prometheus as well.
promtool:
	@if ! command -v promtool >/dev/null && [ ! -x var/promtool/usr/bin/promtool ] && command -v apt-get >/dev/null; then \
		{ mkdir -p var/promtool && cd var/promtool && { [ "$$(id -u)" != 0 ] || apt-get update -q; } && \
			apt-get -q download prometheus && dpkg -x prometheus_*.deb . && rm -f prometheus_*.deb; } >/dev/null 2>&1 \
		|| echo "promtool could not be had; the tests of the alert rules will be left out" >&2; \
	fi

services: dev ## Start Redis, PostgreSQL, Kafka and Cassandra here, without Docker, and say how to reach them
	@$(BIN)/python -m tests.servers start

services-stop: dev ## Stop them; their data stays in var/services
	@$(BIN)/python -m tests.servers stop

test: dev browser promtool lint ## Lint, then every test; ends with a list of what was left out
	@$(BIN)/python -m tests.parts

test-fast: dev ## The core, in about a minute: no browser, no process tree, no server
	@$(BIN)/python -m tests.parts --core

lint: dev ## Style, types, import directions, migrations in step with the models, the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(LINT) $(BIN)/mypy
	$(LINT) $(BIN)/lint-imports
	$(LINT) $(BIN)/python manage.py check --fail-level WARNING
	$(LINT) $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/hadolint docker/Dockerfile

format: dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: dev ## Measure: make bench SCENARIO=dm ARGS="--json out.json"
	$(BIN)/python -m bench $(or $(SCENARIO),--help) $(ARGS)

drills: dev ## Break a running installation and judge it: make drills DRILL=gateway-kill ARGS="--json out.json"
	$(BIN)/python -m drills $(or $(DRILL),all) $(ARGS)

lock: $(BIN)/python ## Pin the dependencies again, with hashes
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header -o requirements.txt requirements.in
	$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header -o requirements-otlp.txt requirements-otlp.in
	$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header -o requirements-dev.txt requirements-dev.in

proto: dev ## Make the Protobuf code from messaging/protocol/chat.proto
	$(BIN)/python -m grpc_tools.protoc -Imessaging/protocol --python_out=messaging/protocol --pyi_out=messaging/protocol chat.proto

clean: ## Remove what was made, but not the data
	@if [ -d var/services ] && [ -x $(BIN)/python ]; then $(BIN)/python -m tests.servers stop; fi
	rm -rf $(VENV) var staticfiles .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
