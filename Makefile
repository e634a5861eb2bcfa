# `make` lists the targets. Whatever needs Python makes .venv first, once; nothing outside this folder is touched.
# Recipes run in this folder from wherever make is called, and always as `.venv/bin/python -m ...`: the scripts in
# .venv/bin carry an absolute path, which a moved folder or one with a space in its name can break.

.DEFAULT_GOAL := help

ifneq ($(strip $(MAKEFILE_LIST)),Makefile)
# Called as `make -f DIR/Makefile`: once more from DIR. `subst` keeps a quote in the path from ending the shell's string.
GOALS := $(or $(MAKECMDGOALS),help)
.PHONY: $(GOALS)
$(GOALS):
	@file='$(subst ','\'',$(MAKEFILE_LIST))'; $(MAKE) --no-print-directory -C "$$(dirname "$${file# }")" $@

else

PY := .venv/bin/python
# The first of these that is supported makes .venv; `make demo PYTHON=/path/to/python` names another one.
PYTHONS := $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11)
SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
INSTALL := $(PY) -m pip install -qq --constraint constraints.txt --editable
# Tests that need what the extra `deploy` brings.
NO_ENGINE := not deploy and not postgres
# What .venv was made for: this folder (an editable install knows its path) and these two files.
WANTED := pwd -P; cat pyproject.toml constraints.txt

.PHONY: help demo real ui bench test test-slow test-browser test-real test-deploy test-postgres drill mutate check format constraints clean set-up

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

demo: FAMILY := $(or $(FAMILY),segger)
demo: set-up ## read real data, train Segger (or FAMILY=hgt, sequence, tissuebert) on it and write the report, all through Dagster
	$(PY) -m dagster asset materialize --select 'group:$(FAMILY)' -m dagster_definitions --config configs/demo.yaml
	@echo
	@echo "The report:  $(CURDIR)/data/artifacts/$(FAMILY)/report/current/report.html"
	@echo "See its run, lineage and checks in Dagster:  make ui"

# The names begin with real-: each preset is run with three seeds, on data of $BIOASSETS_REAL_DATA, and on all folds;
# JOBS runs at a time, which take 3 to 5 GB each.
JOBS := 2
FOLDS_sequence := --across 'splits.fold=[0, 1, 2, 3, 4]'
real: export BIOASSETS_REAL_DATA := $(abspath $(or $(BIOASSETS_REAL_DATA),../shared/data))
real: set-up ## reproduce a family's figures on real data: make real FAMILY=hgt
	@if [ ! -f 'configs/real-$(FAMILY).yaml' ]; then \
	    echo 'make real: configs/real-$(FAMILY).yaml is absent; there are $(wildcard configs/real-*.yaml)' >&2; exit 2; fi
	@if [ ! -d "$$BIOASSETS_REAL_DATA" ]; then \
	    echo "make real: $$BIOASSETS_REAL_DATA is absent; put the real data there or name their folder in BIOASSETS_REAL_DATA" >&2; exit 2; fi
	@status=0; for preset in configs/real-$(FAMILY).yaml $(wildcard configs/real-$(FAMILY)-*.yaml); do \
	    $(PY) -m ml_core seeds $(FAMILY) --config "$$preset" $(FOLDS_$(FAMILY)) --jobs $(JOBS) --data data/real || status=$$?; done; \
	cat data/real/seeds/real-$(FAMILY)*.md; exit $$status

ui: set-up ## start Dagster's web interface (stop it with Ctrl-C)
	$(PY) -m dagster dev -w workspace.yaml

# One case after the other, so that CPU seconds are not disturbed; NAME=hgt measures some of them and keeps the other rows.
# Cases that measure real data too leave them out where they are absent.
bench: export BIOASSETS_REAL_DATA := $(abspath $(or $(BIOASSETS_REAL_DATA),../shared/data))
bench: set-up ## measure speed and memory beside public peers, and write docs/performance.md
	@$(INSTALL) '.[bench]'
	$(PY) -m ml_core bench $(NAME) --json data/bench/bench.json --page docs/performance.md

# A file's tests stay together, for they share what its fixtures train.
test: set-up ## run the fast tests, two files at a time
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile -m 'not slow and not browser and $(NO_ENGINE)'

test-slow: set-up ## run the tests that take longer
	$(PY) -m pytest -m 'slow and not browser and $(NO_ENGINE)' --timeout 1200

test-browser: set-up ## drive the web interface in a browser
	@$(INSTALL) '.[browser]'
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then apt-get update -q && apt-get install -q -y chromium; \
	else $(PY) -m playwright install chromium; fi
	$(PY) -m pytest -m browser --timeout 600

test-real: set-up ## run every test on real data, see data/README.md
	$(PY) -m pytest -m 'real and not browser' --timeout 1200

test-deploy: set-up ## load what deploy/ holds with the real libraries of each engine
	@$(INSTALL) '.[deploy]'
	OMP_NUM_THREADS=1 $(PY) -m pytest -m deploy --timeout 600

test-postgres: set-up ## four runs at once with their history in a PostgreSQL server of their own
	@$(INSTALL) '.[deploy]'
	@if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null; then \
	    if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then apt-get update -q && apt-get install -q -y postgresql; \
	    else echo 'make test-postgres: install PostgreSQL first, for example apt-get install postgresql' >&2; exit 1; fi; fi
	OMP_NUM_THREADS=1 $(PY) -m pytest -m postgres --timeout 1800

# The disk that is full is a tmpfs, so the drill wants root; the library that moves the clock is compiled by cc.
drill: set-up ## twenty kills and other faults at random moments; the outcomes stand in docs/reliability.md
	$(PY) -m tests.drill.drill --page docs/reliability.md

mutate: set-up ## break the library on purpose, one fault at a time: each must turn a test red
	$(PY) tests/mutation/mutate.py

check: set-up ## lint, formatting, types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: set-up ## mend formatting and what ruff can mend by itself
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

# `fewest`: one version of each package on every Python, so that all of them run what the tests ran with. The packages
# that only CUDA builds of torch ask for stay out: pip takes the ones that its torch names.
constraints: set-up ## renew constraints.txt from pyproject.toml
	@$(PY) -m pip install -qq uv
	$(PY) -m uv pip compile pyproject.toml --quiet --upgrade --universal --fork-strategy fewest --python-version 3.11 \
	    --all-extras --no-header --annotation-style line --output-file .venv/compiled.txt
	@{ echo '# Made by `make constraints`; pip install --constraint constraints.txt uses it.'; \
	    grep -vE '^(nvidia|cuda|triton)' .venv/compiled.txt; } > constraints.txt
	@echo "constraints.txt is new; the next make target installs it."

clean: ## remove .venv, caches and Dagster's history; data/ stays
	rm -rf .venv .venv.lock .dagster_home .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The last step writes .venv/made-for, so an interrupted set-up begins again. Two makes at once wait for each other.
set-up:
	@if command -v flock >/dev/null; then exec 9>.venv.lock; flock 9; fi; \
	if { $(WANTED); } | cmp -s - .venv/made-for && [ -x $(PY) ]; then exit 0; fi; \
	if [ "$$(head -n 1 .venv/made-for 2>/dev/null)" != "$$(pwd -P)" ] || ! $(PY) --version >/dev/null 2>&1; then \
	    for python in $(PYTHONS) ''; do "$$python" -c '$(SUPPORTED)' >/dev/null 2>&1 && break; done; \
	    if [ -z "$$python" ]; then \
	        echo "No Python 3.11, 3.12 or 3.13 with venv and pip was found: install one, or name it with PYTHON=/path/to/python." >&2; \
	        exit 1; \
	    fi; \
	    echo "Making .venv with $$("$$python" --version): about 2.3 GB and 2 to 4 minutes, once."; \
	    "$$python" -m venv --clear .venv || exit 1; \
	else \
	    echo "Bringing .venv up to date with pyproject.toml and constraints.txt."; \
	fi; \
	rm -f .venv/made-for; \
	$(INSTALL) '.[dev,export]' || exit 1; \
	{ $(WANTED); } > .venv/made-for

endif
