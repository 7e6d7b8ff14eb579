# Two commands on a fresh machine: `make laptop` and `make test`. Bare `make` prints this help.
# Needs Python 3.11 or later, make and a package registry; conda users: see README.md.

PYTHON ?= python3
TORCH_VERSION := 2.13.0
# another place for torch than requirements/install_torch.sh would choose
export TORCH_INDEX_URL ?=
CORES ?= all
# of make fuzz: another every second
SEED := $(or $(SEED),$(shell date +%s))
# options of `make faults`: --short, --seed N, --only FAULT (python -m tests.faults --help)
FAULTS ?=
# pytest's workers take a file each, in the order in which tests/conftest.py puts them
BY_FILE := --dist loadfile --no-loadscope-reorder
# where it is set, every process compiles what it imports: 24 CPU-seconds of each of verl's workers, 9 without it
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
VERL_BIN := .venv-verl/bin
SLURM_PLUGIN := snakemake-executor-plugin-slurm
# what the engines read where there is no GPU, in this one place: the tests' CPU platform, no network, a small cache, no
# Ray worker before it is needed, the environment's own python
VERL_ENVIRONMENT = env -u CUDA_VISIBLE_DEVICES PATH="$(CURDIR)/$(VERL_BIN):$$PATH" \
	PYTHONPATH="$(CURDIR):$(CURDIR)/tests/verl" VERL_PLATFORM=cpu VERL_ENGINE_DEVICE=cuda \
	VERL_USE_EXTERNAL_MODULES=cpu_platform OMP_NUM_THREADS=1 VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind \
	VLLM_NO_USAGE_STATS=1 RAY_USAGE_STATS_ENABLED=0 RAY_prestart_worker_first_driver=0 HF_HUB_OFFLINE=1 WANDB_MODE=offline
VERL_TESTS = $(VERL_ENVIRONMENT) $(VERL_BIN)/python -m pytest tests/verl --numprocesses 2 $(BY_FILE)
# modules are compiled when they are first imported; most never are, and compiling all takes a minute
INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
LINT := $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && \
	$(BIN)/snakefmt --check Snakefile workflow && $(BIN)/snakemake --lint

.DEFAULT_GOAL := help
.PHONY: help env gpu-env verl-env slurm-plugin test-slurm test-verl test-verl-full exact-pass gpu-check gpu-wheels laptop smoke published report learning_rate_sweep datasets test fuzz faults lint format clean

help:  ## print this help
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' Makefile

env: .venv/complete  ## create .venv from the pinned lock

gpu-env: .venv-gpu/complete  ## create .venv-gpu for GPU machines (verl, vLLM, Ray; Linux x86-64); PYTHON=python3.12 preferred

verl-env: .venv-verl/complete  ## create .venv-verl: the same engines without a GPU, for test-verl

slurm-plugin: .venv-slurm/complete

laptop: env  ## the whole paper at laptop scale, about nine minutes on two cores; ends with the report
	$(SNAKEMAKE)
	@echo "Done. Open results/laptop/report.html."

smoke: env  ## the same DAG in about two minutes: proves the plumbing, measures nothing
	$(SNAKEMAKE) --configfile paper_configs/smoke.yaml

published: env  ## the paper's own tables and curves, drawn from its printed numbers
	$(SNAKEMAKE) --configfile paper_configs/published.yaml

report: env  ## the laptop scale on one page, results/laptop/report.html, and what is missing for it
	$(SNAKEMAKE) report

learning_rate_sweep: env  ## what the laptop's learning rate was chosen by, about 15 more minutes
	$(SNAKEMAKE) learning_rate_sweep --configfile paper_configs/laptop.yaml paper_configs/variants/learning_rate_sweep.yaml

datasets: env  ## fetch and verify the paper's data, and report which benchmark problems the training sets hold
	$(SNAKEMAKE) datasets contamination

test: env  ## lint, and all tests on all cores, the smoke DAG among them
	@said=$$(mktemp); ( $(LINT) ) > $$said 2>&1 & lint=$$!; trap "kill $$lint" INT TERM; \
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 $(BY_FILE); tests=$$?; \
	wait $$lint; lint=$$?; echo "make: lint, beside the tests:"; cat $$said; rm $$said; exit $$((tests | lint))

fuzz: env  ## several minutes of random input for objectives, grading, configuration and files; SEED=N repeats a run
	@echo "make fuzz: SEED=$(SEED)"
	$(BIN)/python -m pytest $(wildcard tests/test_fuzz_*.py tests/*/test_fuzz_*.py) --hypothesis-profile=fuzz --hypothesis-seed=$(SEED)

faults: env  ## kill, damage and starve the real programs at random, 20 minutes; FAULTS=--short: 4 minutes
	$(BIN)/python -m tests.faults $(FAULTS)

test-verl: verl-env  ## the real verl, vLLM and Ray on the CPU (Linux x86-64)
	$(VERL_TESTS) --ignore=tests/verl/full

test-verl-full: verl-env  ## the same, and what is long and seldom breaks: every launch, two Ray nodes, two vLLM engines
	$(VERL_TESTS)

test-slurm: env slurm-plugin  ## a real SLURM of one node in a sandbox (Debian's slurm-wlm and munge), five minutes and more
	PYTHONPATH="$(CURDIR)/.venv-slurm" $(BIN)/python -m pytest tests/slurm -rs --capture=no

exact-pass: verl-env  ## what REAL's extra pass costs in verl, measured on the CPU (benchmarks/README.md)
	$(VERL_ENVIRONMENT) $(VERL_BIN)/torchrun --standalone --nproc-per-node=1 -m benchmarks.exact_pass verl

gpu-check: gpu-env  ## what only a GPU can tell, in about ten minutes on one (benchmarks/README.md)
	.venv-gpu/bin/python -m benchmarks.gpu_check

gpu-wheels: env  ## gather what gpu-check needs on a GPU machine without network, in .gpu-wheels
	$(BIN)/python -m benchmarks.gpu_wheels

lint: env  ## ruff, mypy, snakefmt and snakemake --lint, changing nothing
	$(LINT)

format: env  ## rewrite the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

clean:  ## remove the environments and every result but those in git
	rm -rf .venv .venv-gpu .venv-verl .venv-slurm .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find results -mindepth 1 -maxdepth 1 ! -name README.md ! -name recorded -exec rm -rf {} +

# $(call new_venv,FOLDER,VERSION TEST,ITS WORDS,A VERSION THAT PASSES)
define new_venv
	@$(PYTHON) -c 'import sys; sys.exit(not ($(2)))' 2>/dev/null || \
		{ echo "make: needs $(3), but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | tail -n 1); install one and run 'make $(MAKECMDGOALS) PYTHON=$(4)'"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "make: $(PYTHON) lacks the venv module; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(1)
endef

.venv/complete: requirements/cpu.lock requirements/install_torch.sh Makefile
	$(call new_venv,.venv,sys.version_info >= (3, 11),Python 3.11 or later,python3.11)
	@sh requirements/install_torch.sh $(BIN)/python $(TORCH_VERSION)
	$(BIN)/python $(INSTALL) --require-hashes -r requirements/cpu.lock || \
		{ echo "make: could not install requirements/cpu.lock; check the network and run the same command again"; exit 1; }
	@touch $@

# --no-deps: the lock is complete, and it holds one package to another's wish (requirements/gpu.overrides)
.venv-gpu/complete: requirements/gpu.lock Makefile
	$(call new_venv,.venv-gpu,(3, 11) <= sys.version_info[:2] <= (3, 12),Python 3.12 or 3.11 (verl allows no later one),python3.12)
	.venv-gpu/bin/python $(INSTALL) --no-deps --require-hashes -r requirements/gpu.lock || \
		{ echo "make: could not install requirements/gpu.lock (Linux on x86-64 only); check the network and the disk and run the same command again"; exit 1; }
	@touch $@

# beside .venv, for test-slurm: the plug-in that GPU machines get, whose wish for a newer numpy than theirs is overridden
.venv-slurm/complete: requirements/gpu.lock .venv/complete Makefile
	@awk '/^[a-z]/ {ours = /^$(SLURM_PLUGIN)/} ours' requirements/gpu.lock > .venv-slurm.lock
	$(BIN)/python $(INSTALL) --no-deps --require-hashes --upgrade --target .venv-slurm -r .venv-slurm.lock || \
		{ echo "make: could not install $(SLURM_PLUGIN); check the network and run the same command again"; exit 1; }
	@rm .venv-slurm.lock
	@touch $@

# vLLM's CPU build is linked against torch's CPU build, so no other will do here
.venv-verl/complete: requirements/verl_cpu.lock requirements/install_torch.sh Makefile
	$(call new_venv,.venv-verl,(3, 11) <= sys.version_info[:2] <= (3, 12),Python 3.11 or 3.12 (verl allows no later one),python3.11)
	@sh requirements/install_torch.sh $(VERL_BIN)/python $(TORCH_VERSION) cpu
	$(VERL_BIN)/python $(INSTALL) --no-deps --require-hashes -r requirements/verl_cpu.lock || \
		{ echo "make: could not install requirements/verl_cpu.lock (Linux on x86-64 only); check the network and run the same command again"; exit 1; }
	@touch $@
