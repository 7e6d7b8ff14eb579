# Two commands on a fresh machine: `make laptop` and `make test`. Bare `make` prints this help.
# Needs Python 3.11 or later, make and a package registry; conda users: see README.md.

PYTHON ?= python3
TORCH_VERSION := 2.13.0
# where torch comes from; empty: the default registry (README.md gives the line for Linux CPU, macOS and CUDA)
TORCH_INDEX_URL ?=
CORES ?= all

BIN := .venv/bin
# the rules call `python`, whichever environment is active
export PATH := $(CURDIR)/$(BIN):$(PATH)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)

.DEFAULT_GOAL := help
.PHONY: help env laptop smoke published learning_rate_sweep datasets test lint format clean

help:  ## print this help
	@awk -F ':.*## ' '/^[a-z_]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' Makefile

env: .venv/complete  ## create .venv from the pinned lock

laptop: env  ## the whole paper at laptop scale, about ten minutes on two cores; ends with the claims table
	$(SNAKEMAKE)
	@echo "Done. Open results/laptop/claims.html, then results/laptop/tables/ and results/laptop/figures/."

smoke: env  ## the same DAG in about a minute: proves the plumbing, measures nothing
	$(SNAKEMAKE) --configfile paper_configs/smoke.yaml

published: env  ## the paper's own tables and curves, drawn from its printed numbers
	$(SNAKEMAKE) --configfile paper_configs/published.yaml

learning_rate_sweep: env  ## what the laptop's learning rate was chosen by, about 15 more minutes
	$(SNAKEMAKE) learning_rate_sweep --configfile paper_configs/laptop.yaml paper_configs/variants/learning_rate_sweep.yaml

datasets: env  ## fetch and verify the paper's data, and report which benchmark problems the training sets hold
	$(SNAKEMAKE) datasets contamination

test: env lint  ## lint, format check, tests, and the smoke DAG
	$(BIN)/python -m pytest
	$(SNAKEMAKE) --configfile paper_configs/smoke.yaml

lint: env  ## ruff, mypy, snakefmt and snakemake --lint, changing nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: env  ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

clean:  ## remove the environment and every result
	rm -rf .venv .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +

.venv/complete: requirements/cpu.lock Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "make: needs Python 3.11 or later, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | tail -n 1); install one and run 'make $(MAKECMDGOALS) PYTHON=python3.11'"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "make: $(PYTHON) lacks the venv module; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	@# torch comes first, by a line of its own: its CPU and CUDA builds have different hashes, so no lock can hold it
	$(PIP) $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) torch==$(TORCH_VERSION) || \
		{ echo "make: could not install torch $(TORCH_VERSION); check the network, or name another index with TORCH_INDEX_URL"; exit 1; }
	$(PIP) --require-hashes -r requirements/cpu.lock || \
		{ echo "make: could not install requirements/cpu.lock; check the network and run the same command again"; exit 1; }
	@touch $@
