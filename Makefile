# On a new machine, `make demo` and `make test` install what they need and run. `make help` lists all targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test test-all check mutants docs install clean

JOBS ?= 2

.DEFAULT_GOAL := demo

help:                          ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

demo: $(STAMP)                 ## sweep the ratio on built-in data, draw the curves and the HTML page
	@$(BIN)/optical-sweeps warm-up
	@$(BIN)/optical-sweeps teacher experiment=demo
	@$(BIN)/optical-sweeps train -m experiment=demo \
	  hydra/launcher=joblib hydra.launcher.n_jobs=$(strip $(JOBS)) machine.threads=1
	@$(BIN)/optical-sweeps curves multirun/demo
	@$(BIN)/optical-sweeps figures multirun/demo
	@$(BIN)/optical-sweeps report multirun/demo

test: $(STAMP)                 ## run the fast tests in parallel
	@$(BIN)/optical-sweeps warm-up
	HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -n $(strip $(JOBS)) --dist worksteal -m "not slow"

test-all: $(STAMP)             ## run all tests in parallel
	@$(BIN)/optical-sweeps warm-up
	$(BIN)/python -m pytest -n $(strip $(JOBS)) --dist worksteal

check: $(STAMP)                ## check formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(STAMP)                 ## build the documentation site in site/, with warnings as errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

mutants: $(STAMP)              ## change FILE in many ways; its tests must fail (COUNT=30: only 30 changes)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[mutation]'
	@$(BIN)/python -W ignore .ci/mutants.py $(FILE) $(if $(COUNT),--count $(COUNT))

install: $(STAMP)              ## create the environment in .venv

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || (echo "error: Python 3.11 to 3.13 is required, but $(PYTHON) has another version; run make PYTHON=python3.12 ..."; exit 1)
	@echo "creating the environment in $(VENV) (takes a few minutes, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,dev]'
	@touch $(STAMP)

clean:                         ## remove the environment and caches, keep results
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .docs_cache site
