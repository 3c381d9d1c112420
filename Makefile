# Needs Python >= 3.11 and make, nothing else. `make help` lists the targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help demo test browser screenshots lint types check bench chaos clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

$(VENV)/demo.stamp: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Framegate needs Python 3.11 or newer; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing (a minute or so) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/demo.stamp ## start a whole box and stream sample frames through it; ARGS="--images DIR" for your own
	@$(BIN)/framegate demo $(ARGS)

# Tests that start whole boxes run two files at a time, with nothing beside them, those that take longest first.
test: $(VENV)/dev.stamp ## set up and run every test; ARGS="-k name" for some
ifeq ($(ARGS),)
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile \
	  tests/unit tests/contracts tests/integration tests/architecture
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 2 --dist loadfile --no-loadscope-reorder \
	  tests/chaos tests/acceptance
else
	@$(BIN)/python -m pytest $(ARGS)
endif

tests/browser/node_modules: tests/browser/package-lock.json
	@npm ci --prefix tests/browser --no-audit --no-fund --silent
	@touch $@

browser: $(VENV)/dev.stamp tests/browser/node_modules ## the pages in a real Chromium (Debian: apt-get install chromium npm); ARGS="-k name" for some
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 2 --dist loadfile tests/browser $(ARGS)

screenshots: $(VENV)/dev.stamp ## every page as a picture, into screenshots/; ARGS="--only /cameras" for some
	@$(BIN)/python -m tests.browser.screenshots $(ARGS)

lint: $(VENV)/dev.stamp ## ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp ## strict mypy
	@$(BIN)/mypy

check: lint types test ## everything

chaos: $(VENV)/dev.stamp ## the tests that kill processes, in full (make test runs a tenth): most of an hour; ARGS="-k name" for some
	@IMAGES=10000 KILLS=30 STOPS=100 ALERTS=1000 ALERT_KILLS=50 $(BIN)/python -m pytest tests/chaos -s $(ARGS)

bench: $(VENV)/dev.stamp ## the pipeline (ARGS are its own), then the pages with 1,000,000 inspections; leave the machine alone meanwhile
	@$(BIN)/framegate bench $(ARGS)
	@$(BIN)/python -m tests.benchmarks.pages

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
