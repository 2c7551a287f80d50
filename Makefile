# Needs GNU make and python3 3.11 or later with pip or venv. The rest is fetched into .boot and .venv, without root.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

UV_VERSION := 0.13.9
UV := .boot/bin/uv
UV_READY := .boot/uv-$(UV_VERSION).dist-info/METADATA

export UV_PROJECT_ENVIRONMENT ?= .venv
export UV_PYTHON_DOWNLOADS := never
# An active environment of something else is not ours to change.
unexport VIRTUAL_ENV
# The tests start over 100 processes, and without kept bytecode each compiles its libraries anew: 2.5 s instead of 0.7.
unexport PYTHONDONTWRITEBYTECODE
BIN := $(UV_PROJECT_ENVIRONMENT)/bin
RUN := $(BIN)/python
SYNCED := $(UV_PROJECT_ENVIRONMENT)/.synced
# A module is one process's, which keeps its servers; the slow folders come first in the alphabet. The chaos suite measures
# how long things take, so nothing runs beside it, and nobody counts its lines.
IN_PARALLEL := -n 2 --dist loadscope --no-loadscope-reorder

# Not `:=`, so that only the set-up looks for an interpreter. A name on PATH may be a shim that does not run: ask each.
PYTHON = $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.version_info < (3, 11) and sys.exit(1); print(sys.executable)' 2>/dev/null && break; done)
NO_PYTHON := python3 is missing or older than 3.11. Debian 12, Ubuntu 24.04 or later: apt install python3. macOS: brew install python
NO_PIP := python3 has neither pip nor venv. Debian, Ubuntu: apt install python3-pip

.PHONY: help setup demo up rehearse test style check chaos chaos-redis chaos-rabbitmq soak bench bench-load bench-ocr codes clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

setup: $(SYNCED) ## install everything into .venv; the other targets do it by themselves

demo: setup ## run the main job on a dozen drawn permits and show what came out
	@$(RUN) -m local demo

up: setup ## start Redis, S3, endpoint, worker and Flower, and keep them until Ctrl-C
	@$(RUN) -m local up

rehearse: setup ## an outage in the middle of 10,000 jobs, 5 minutes as a timeline; OPTIONS="--jobs 500 --on-rabbitmq"
	@$(RUN) -m local rehearse $(OPTIONS)

test: setup ## run all tests, with the coverage gate
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(IN_PARALLEL) --ignore tests/chaos
	@$(BIN)/pytest tests/chaos
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

style: setup ## check format, lint, types, import layers and generated files
	@$(BIN)/ruff format --quiet --diff
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(RUN) -m hmt_pass.codes | diff -u docs/codes.md - || { echo 'docs/codes.md is stale: run make codes' >&2; exit 1; }
	@$(RUN) -m hmt_pass.cures | diff -u docs/dead-letters.md - || { echo 'docs/dead-letters.md is stale: run make codes' >&2; exit 1; }

check: style test ## what CI runs: style, then test

chaos: setup ## break everything on both brokers, a quarter of an hour, and audit it; SEED=7 repeats, OPTIONS="-k deploys" chooses
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target chaos-redis chaos-rabbitmq

chaos-redis: setup ## the half of make chaos on Redis
chaos-rabbitmq: setup ## the half of make chaos on RabbitMQ
chaos-redis chaos-rabbitmq:
	@$(RUN) -m pytest tests/chaos --chaos full --chaos-broker $(@:chaos-%=%) --chaos-report .local/$(subst -,/,$@).md \
		$(if $(SEED),--chaos-seed $(SEED)) $(OPTIONS)

soak: setup ## an hour of random faults at 70 % load on each broker; OPTIONS="--chaos-soak-s 120 --chaos-broker redis"
	@$(RUN) -m pytest tests/chaos --chaos soak $(if $(SEED),--chaos-seed $(SEED)) $(OPTIONS)

bench: setup ## measure what a job costs
	@$(RUN) -m bench

bench-load: setup ## offer the endpoint 1.5 times what it can answer, for 10 minutes
	@$(RUN) -m bench load

bench-ocr: setup ## measure the OCR engine beside others; OPTIONS="--cards 20" or --help. Needs fonts and Tesseract of Debian
	@$(RUN) -m bench ocr $(OPTIONS)

codes: setup ## write docs/codes.md and docs/dead-letters.md again from hmt_pass/codes.py and cures.py
	@$(RUN) -m hmt_pass.codes > docs/codes.md
	@$(RUN) -m hmt_pass.cures > docs/dead-letters.md

clean: ## remove whatever make and the tests have made
	@rm -rf .boot .venv .local .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment that exists keeps its interpreter.
$(SYNCED): pyproject.toml uv.lock $(UV_READY)
	@test -x $(RUN) -o -n "$(PYTHON)" || { echo '$(NO_PYTHON)' >&2; exit 1; }
	@$(UV) sync --quiet --all-extras --frozen $(if $(wildcard $(RUN)),,--python $(PYTHON))
	@touch $@

# pip into a folder of our own: no root, and nothing that an externally managed Python (PEP 668) forbids.
$(UV_READY):
	@test -n "$(PYTHON)" || { echo '$(NO_PYTHON)' >&2; exit 1; }
	@rm -rf .boot
	@python=$(PYTHON); \
	if ! $$python -m pip --version >/dev/null 2>&1; then \
		$$python -m venv .boot/pip >/dev/null 2>&1 || { rm -rf .boot/pip; echo '$(NO_PIP)' >&2; exit 1; }; \
		python=.boot/pip/bin/python; \
	fi; \
	$$python -m pip install -qq --disable-pip-version-check --upgrade --target .boot uv==$(UV_VERSION)
