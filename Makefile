# `make run` is all a newcomer needs; every target sets up first what it lacks. ARGS="..." is handed on: a later option wins.
PYTHON ?= python3
ARGS   ?=
BIN    := .venv/bin
STAMP  := .venv/installed

.DEFAULT_GOAL := help
.PHONY: help setup run test check format bench lock clean

help: ## what can be made
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' Makefile | expand -t 10

setup: $(STAMP) ## .venv with exactly what the lock files say; does something only when they changed

# Debian's Python may lack ensurepip, and its pip refuses to touch the system: so the venv has no pip of its own to start with.
$(STAMP): requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.version_info < (3, 11) and sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear --without-pip .venv
	$(PYTHON) -m pip --disable-pip-version-check --python $(BIN)/python install --quiet --require-hashes -r requirements.txt -r requirements-dev.txt
	@touch $@

run: setup ## the whole thing at once: make run ARGS="--vehicles 500 --duration 60"
	$(BIN)/python run.py demo --vehicles 2000 $(ARGS)

test: setup ## all tests: make test ARGS="-k feed"
	$(BIN)/python -m pytest -n 2 $(ARGS)

check: setup ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup ## put into form what can be
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## the figures, each beside its baseline: make bench ARGS="--only runtime"
	$(BIN)/python -m bench $(ARGS)

COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --annotation-style=line

lock: setup ## newest versions that requirements*.in allow, with their hashes
	$(COMPILE) --output-file requirements.txt requirements.in
	$(COMPILE) --output-file requirements-dev.txt requirements-dev.in

clean: ## forget what setup and the tools made; data/ stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
