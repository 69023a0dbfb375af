# Everything a newcomer needs, from a bare machine with Python >= 3.11 and make. `make help` lists it.
# `setup` runs by itself before each target that needs it; a second start takes seconds.

VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
READY := $(VENV)/.drumbeat-ready
# Paths that start with these are ours; the product needs no other setting from the shell.
export DRUMBEAT_SHARED ?= ../shared
PYTEST := $(PY) -m pytest
# Two files side by side that train models would spin for each other's cores with more threads than this.
export OMP_NUM_THREADS ?= 1
# Two files of tests at a time suit two cores; WORKERS=0 runs them one after the other.
WORKERS ?= 2
SIDE_BY_SIDE := -n $(WORKERS) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all soak lint format typecheck bench docs lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## create .venv and install everything, once

$(READY): requirements.lock pyproject.toml scripts/setup.sh
	@VENV="$(VENV)" PYTHON="$(PYTHON)" sh scripts/setup.sh
	@touch $@

demo: $(READY) ## start the whole product with 60 simulated devices; prints the address
	@exec $(BIN)/drumbeat demo $(ARGS)

test: $(READY) ## everything that needs no server, under 6 minutes
	@$(PYTEST) --no-servers $(SIDE_BY_SIDE) -m "not heavy and not soak" $(ARGS)

test-all: $(READY) ## adds real servers and a twentieth of the heavy runs, under 40 minutes
	@$(PYTEST) $(SIDE_BY_SIDE) -m "not soak" --ignore=tests/benchmarks $(ARGS)
	@$(PYTEST) -m "not soak" tests/benchmarks $(ARGS)

soak: $(READY) ## the full figures of docs/benchmarks.md; hours
	@$(PYTEST) -m soak -s $(ARGS)

lint: $(READY) ## ruff, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

format: $(READY) ## rewrite the code in the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

typecheck: $(READY) ## mypy --strict
	@$(BIN)/mypy

bench: $(READY) ## the benchmarks, both sides in one run, ratios printed
	@$(PYTEST) -m "not soak" -s -p no:randomly tests/benchmarks $(ARGS)

docs: $(READY) ## check that every setting, metric, command, route and fault code is documented
	@$(PYTEST) -q tests/architecture/test_docs.py tests/architecture/test_locales.py $(ARGS)

lock: $(READY) ## write requirements.lock anew from pyproject.toml (needs the network)
	@sh scripts/lock.sh "$(BIN)"

clean: ## remove .venv and every cache (data/ stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache build dist
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
