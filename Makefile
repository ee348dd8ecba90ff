# Every target sets itself up: .venv from the system's Python 3.11 or 3.12, uv into it, and what the lock files say.
# PYTHON=/path/to/python3.12 chooses another interpreter for a new .venv.
.DEFAULT_GOAL := help
.PHONY: help demo test test-fuzz test-kubernetes test-unit test-crash check bench lock lock-upgrade lock-check hooks clean
SHELL := /bin/sh
.DELETE_ON_ERROR:

bin := .venv/bin
runtime := .venv/.runtime-installed
dev := .venv/.dev-installed

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(runtime) ## the whole loop on a simulated fleet, in one process; ends by itself in under two minutes
	@$(bin)/sentinel demo $(ARGS)

test: $(dev) ## every test; starts the brokers, the PostgreSQL and the Kubernetes that it needs
	@k8s/cluster/build.sh --try >/dev/null
	@$(bin)/python -m pytest $(ARGS)

test-kubernetes: $(dev) ## what needs pods that really run: a box with a real node; as root, with runc and a Go tool chain
	@k8s/cluster/build.sh >/dev/null
	@k8s/cluster/node/build.sh >/dev/null
	@k8s/cluster/node/with.sh $(bin)/python -m pytest tests/remediation/kubernetes/test_real_nodes.py $(ARGS)

test-fuzz: $(dev) ## a million mutated messages through both ways of decode
	@SENTINEL_FUZZED_MESSAGES=1000000 $(bin)/python -m pytest --timeout=1800 tests/operators/test_scanning.py

test-unit: $(dev) ## the tests that need no service and take no time
	@$(bin)/python -m pytest -m "not slow and not kafka and not postgres and not kubernetes" $(ARGS)

test-crash: $(dev) ## a worker dies at every place where something leaves it, in process and by kill -9; takes an hour
	@SENTINEL_CRASHES=all $(bin)/python -m pytest tests/remediation/test_crashes.py tests/chaos/test_crash_points.py $(ARGS)

check: $(dev) ## style, types, imports between rooms, generated files, lock files
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports
	$(bin)/python scripts/check_generated.py
	scripts/lock.sh --check

bench: $(dev) ## the measurements of benchmarks/, one after the other
	@for file in benchmarks/throughput.py benchmarks/end_to_end.py; do \
	  echo "== $$file"; $(bin)/python $$file $(ARGS) || exit; done

lock: $(dev) ## write the lock files anew after a change in pyproject.toml; keeps every pin that still fits
	scripts/lock.sh

lock-upgrade: $(dev) ## write the lock files anew with the newest versions that fit
	scripts/lock.sh --upgrade

lock-check: $(dev) ## fail when the lock files do not follow from pyproject.toml
	scripts/lock.sh --check

hooks: $(dev) ## run the quick checks before each commit
	$(bin)/pre-commit install

clean: ## remove the environment and all caches of the tools
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(runtime): requirements.lock pyproject.toml scripts/install.sh
	@scripts/install.sh requirements.lock
	@touch $@

$(dev): requirements-dev.lock pyproject.toml scripts/install.sh
	@scripts/install.sh requirements-dev.lock
	@touch $(runtime) $@
