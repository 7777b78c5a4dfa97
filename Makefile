# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-all check install clean

JOBS ?= 2

demo: $(STAMP)                 ## a ratio sweep on embedded data, its curves and its page
	@$(BIN)/optical-sweeps warm-up
	@$(BIN)/optical-sweeps teacher experiment=demo
	@$(BIN)/optical-sweeps train -m experiment=demo \
	  hydra/launcher=joblib hydra.launcher.n_jobs=$(strip $(JOBS)) machine.threads=1
	@$(BIN)/optical-sweeps curves multirun/demo
	@$(BIN)/optical-sweeps figures multirun/demo
	@$(BIN)/optical-sweeps report multirun/demo

test: $(STAMP)                 ## the fast tests, in parallel
	@$(BIN)/optical-sweeps warm-up
	$(BIN)/python -m pytest -n $(strip $(JOBS)) --dist worksteal -m "not slow"

test-all: $(STAMP)             ## all tests
	@$(BIN)/optical-sweeps warm-up
	$(BIN)/python -m pytest -n $(strip $(JOBS)) --dist worksteal

check: $(STAMP)                ## formatter, linter, type checker
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || (echo "error: Python 3.11 to 3.13 is needed, $(PYTHON) is another: make PYTHON=python3.12 ..."; exit 1)
	@echo "making the environment in $(VENV) (some minutes, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo,dev]'
	@touch $(STAMP)

clean:                         ## the environment and caches; results stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
