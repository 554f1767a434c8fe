# `make run` is all a newcomer needs; every target sets up first what it lacks. ARGS="..." is handed on: a later option wins.
PYTHON ?= python3
ARGS   ?=
BIN    := .venv/bin
STAMP  := .venv/installed

# Bytecode is kept even where containers forbid it: the tests start hundreds of processes, and each would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# What tests start besides Python: a command and the Debian packages that bring it. Without a Chinese font, Chromium shows boxes.
TOOLS  := redis-server:redis-server chromium:chromium,chromium-headless-shell,fonts-noto-cjk nginx:nginx caddy:caddy \
	promtool:prometheus systemd-analyze:systemd faketime:faketime

.PHONY: help setup tools web run test check screenshots format torture crash fuzz bench bench-full soak lock clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 13

setup: $(STAMP) ## .venv with exactly what the lock files say; does something only when they changed

# Debian's Python may lack ensurepip, and its pip refuses to touch the system: so the venv has no pip of its own to start with.
$(STAMP): requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.version_info < (3, 11) and sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear --without-pip .venv
	$(PYTHON) -m pip --disable-pip-version-check --python $(BIN)/python install --quiet --require-hashes -r requirements.txt -r requirements-dev.txt
	@touch $@

# Without them the tests that need them skip; with CI=true they fail. RUNLEVEL=1: no package starts its service here.
tools: ## the programs that tests start (servers, a browser, checkers), by apt when it may; else says what is missing
	@missing=""; \
	for tool in $(TOOLS); do command -v "$${tool%%:*}" >/dev/null || missing="$$missing $$(echo "$${tool#*:}" | tr , ' ')"; done; \
	[ -z "$$missing" ] || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
		RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends $$missing >/dev/null; } || \
	echo "missing:$$missing. The tests that need them are left out; apt-get install$$missing brings them" >&2

web: setup ## the pages, into web/dist; does something only when they changed
	@PYTHON=../$(BIN)/python web/build.sh

# Status 3 says that there is no node: all but the pages works without.
PAGES := PYTHON=../$(BIN)/python web/build.sh || [ $$? -eq 3 ]

run: setup ## the whole thing at once: make run ARGS="--vehicles 500 --duration 60"
	@$(PAGES)
	$(BIN)/python run.py demo --vehicles 2000 $(ARGS)

test: setup tools ## all tests: make test ARGS="-k feed"
	@$(PAGES)
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

check: setup ## format, lint, types, and the pages' unit tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@PYTHON=../$(BIN)/python web/build.sh check || [ $$? -eq 3 ]

format: setup ## put into form what can be
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@PYTHON=../$(BIN)/python web/build.sh format || [ $$? -eq 3 ]

screenshots: setup tools ## a picture of every page, into docs/screenshots, which README shows
	@PYTHON=../$(BIN)/python web/build.sh
	$(BIN)/python -m tests.web.screenshots $(ARGS)

torture: setup ## the whole service under disasters, 10,000 seeds: make torture ARGS="--seed 20000 --minutes 30"
	$(BIN)/python run.py torture --runs 10000 $(ARGS)

fuzz: setup ## hostile bytes for the decoders, for a minute each: make fuzz ARGS="--seconds 600"
	$(BIN)/python -m fuzz $(ARGS)

crash: setup tools ## kills the real service under load: make crash ARGS="--rounds 30 --store redis"
	$(BIN)/python -m tests.faults.crashes $(ARGS)

bench: setup ## the figures, each beside its baseline: make bench ARGS="--only runtime"
	$(BIN)/python -m bench $(ARGS)

bench-full: setup ## the same with the large sizes, up to 4 million vehicles: 8 GB of memory, 50 minutes
	$(BIN)/python -m bench --large $(ARGS)

soak: setup ## an hour of everything at once, and what it came to: make soak ARGS="--minutes 10"
	$(BIN)/python -m bench.soak $(ARGS)

COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --annotation-style=line

lock: setup ## newest versions that requirements*.in allow, with their hashes
	$(COMPILE) --output-file requirements.txt requirements.in
	$(COMPILE) --output-file requirements-dev.txt requirements-dev.in

clean: ## forget what setup and the tools made; data/ stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis web/dist web/node_modules
