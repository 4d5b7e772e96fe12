# Every target starts from a fresh machine: Python 3.11 or later, make and a package index are enough.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
# Another Python, as in `make test PYTHON=python3.13`, has an environment of its own.
VENV := .venv$(if $(filter command line,$(origin PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
SETUP := $(VENV)/.set-up
BENCH := .bench
BENCH_SETUP := $(BENCH)/.set-up

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## Say what there is.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 12

.PHONY: setup
setup: $(SETUP) ## Make .venv with everything that developing needs.

$(SETUP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "dialogkit needs Python 3.11 or later to be developed; none was found on PATH (set PYTHON=...)."; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -qq --constraint constraints.txt --group dev --editable '.[fastapi,otel,redis,testing,webhooks]'
	@touch $@

.PHONY: demo
demo: $(SETUP) ## Start the sandbox and walk through the SDK: no account, no network.
	$(BIN)/python examples/demo.py

.PHONY: generate
generate: $(SETUP) ## Make the generated code again from openapi/*.yaml.
	$(BIN)/python -m generator

.PHONY: test
test: $(SETUP) system ## Everything that must hold: lint, types, generated code, wheel, tests; two things at a time.
	+@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-unit test-wheel lint types check-generated

.PHONY: lint
lint: $(SETUP) ## Check style and formatting.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(SETUP) ## Check types, with mypy and pyright, both strict.
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python

.PHONY: check-generated
check-generated: $(SETUP) ## Check that the generated code is what the documents make.
	$(BIN)/python -m generator --check

.PHONY: system
system: ## Install what the tests need from Debian's packages, where that is allowed.
	@missing=; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	  || missing="$$missing chromium"; \
	command -v valgrind >/dev/null || missing="$$missing valgrind"; \
	[ -n "$$missing" ] || exit 0; \
	if ! command -v apt-get >/dev/null; then echo "Missing, and there is no apt-get to install it:$$missing"; exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; \
	else echo "Missing, and installing it takes root: sudo apt-get install$$missing"; exit 0; fi; \
	echo "Installing$$missing ..."; \
	{ $$as_root apt-get update -qq && $$as_root env DEBIAN_FRONTEND=noninteractive \
	  apt-get install -qq -y --no-install-recommends $$missing; } >/dev/null \
	  || echo "It could not be installed: apt-get install$$missing"

.PHONY: test-unit
test-unit: $(SETUP) system ## Run the tests (T="-k name" to choose).
	$(BIN)/python -m pytest $(T)

.PHONY: test-wheel
test-wheel: $(SETUP) system ## Build the wheel and use it in clean environments, on Python 3.10 too.
	$(BIN)/python tests/packaging/check_wheel.py

.PHONY: bench
bench: $(BENCH_SETUP) ## Measure beside the peers, into benchmarks/results.md (B="--help" for less than all).
	$(BENCH)/bin/python -m benchmarks.peers $(or $(B),--write benchmarks)

$(BENCH_SETUP): pyproject.toml benchmarks/requirements.txt
	@test -n "$(PYTHON)" || { echo "The benchmark needs Python 3.11 or later; none was found on PATH (set PYTHON=...)."; exit 1; }
	$(PYTHON) -m venv --clear $(BENCH)
	$(BENCH)/bin/python -m pip install -qq --upgrade pip
	$(BENCH)/bin/python -m pip install -qq --requirement benchmarks/requirements.txt --editable .
	@touch $@

.PHONY: format
format: $(SETUP) ## Format, and fix what can be fixed.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: pins
pins: ## Write constraints.txt anew from the newest versions.
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install -qq --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -qq --group dev --editable '.[fastapi,otel,redis,testing,webhooks]'
	$(BIN)/python tests/packaging/pins.py > constraints.txt
	@touch $(SETUP)

.PHONY: clean
clean: ## Remove what the other targets made.
	rm -rf .venv .venv-* $(BENCH) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
