# The menu: `make` alone prints it. Each line of a recipe is something a person could type.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := menu
.SUFFIXES:
.NOTPARALLEL:
.DELETE_ON_ERROR:

UV_VERSION := 0.13.8
PYTHON := .venv/bin/python
JS := clients/js
JS_SOURCES := $(shell find $(JS)/src $(JS)/pages $(JS)/*.ts $(JS)/*.json -type f)
# What kills and floods, or drives a browser, runs two at a time, apart from the others.
HEAVY := browser chaos conformance
# Empty when npm is missing, or node is older than the build needs.
NPM := $(shell node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null && command -v npm)

# What an uv outside has to say about other environments is of no use here.
unexport VIRTUAL_ENV
# The hub starts hundreds of times in its tests: its bytecode is kept, also where the shell says otherwise.
unexport PYTHONDONTWRITEBYTECODE
export UV_PYTHON_DOWNLOADS := never
# Which certificates are good is for the machine to say, also where a proxy signs with its own.
export UV_SYSTEM_CERTS := 1
export NPM_CONFIG_UPDATE_NOTIFIER := false
CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt)
ifneq ($(CERTIFICATES),)
export NODE_EXTRA_CA_CERTS ?= $(CERTIFICATES)
endif
# uv and npm keep their caches in HOME; without one, they keep them here.
ifeq ($(HOME),)
export HOME := $(CURDIR)/.venv/home
endif

.PHONY: menu
menu:
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

.PHONY: run
run: .venv/synced pages ## the hub with everything it needs, and real bookings to watch
	@$(PYTHON) -m hub dev --demo

.PHONY: test
test: .venv/synced tools pages ## the whole gate: style, types, every test, both languages, examples, docs
	@.ci/step "format" $(PYTHON) -m ruff format --check
	@.ci/step "lint" $(PYTHON) -m ruff check
	@.ci/step "types" $(PYTHON) -m mypy
	@.ci/step "lock" .venv/bin/uv lock --check
	@.ci/step "tests" $(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(addprefix --ignore=tests/,$(HEAVY))
	@.ci/step "heavy tests" $(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(addprefix tests/,$(HEAVY))
ifneq ($(NPM),)
	@$(MAKE) js
endif
	@echo; echo "All of it passed."

.PHONY: lint
lint: .venv/synced ## style and common mistakes
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m ruff check

.PHONY: types
types: .venv/synced ## mypy --strict
	$(PYTHON) -m mypy

.PHONY: format
format: .venv/synced ## format the code, mend what can be mended
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

.PHONY: docs
docs: .venv/synced ## write what the code knows better into the pages of docs
	$(PYTHON) docs/generate.py

.PHONY: chaos
chaos: .venv/synced tools ## kill, stop, flood and wipe parts while many clients watch; ten minutes
	CHAOS=long $(PYTHON) -m pytest tests/chaos -rP

.PHONY: bench
bench: .venv/synced ## how fast it is, beside Node, nginx and C; QUICK=1 takes two minutes
	@$(PYTHON) -m benchmarks $(if $(QUICK),--quick)

.PHONY: js
js: $(JS)/node_modules/.installed ## the browser client: style, types, tests
	@.ci/step "js lint" npm --prefix $(JS) run lint
	@.ci/step "js types" npm --prefix $(JS) run typecheck
	@.ci/step "js tests" npm --prefix $(JS) run test

.PHONY: pages
ifneq ($(NPM),)
pages: $(JS)/node_modules/.built ## the demo and admin pages, from clients/js
else
pages:
	@echo "=== NODE 20.19 OR NEWER AND NPM ARE MISSING: the hub runs without its pages; their tests are SKIPPED ==="
endif

.PHONY: clean
clean: ## remove what make has made; the data in .hub stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis hub/web/static $(JS)/node_modules benchmarks/build
	find hub tasks tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +

.PHONY: tools
tools:
	@.ci/tools

# -- what is made once ------------------------------------------------------------------------------

.venv/uv-$(UV_VERSION):
	@echo "making .venv, once ..."
	@.ci/venv $(UV_VERSION)
	@touch $@

.venv/synced: pyproject.toml uv.lock .venv/uv-$(UV_VERSION)
	@.venv/bin/uv sync --quiet --frozen
	@touch $@

$(JS)/node_modules/.installed: $(JS)/package.json $(JS)/package-lock.json
	@echo "fetching what the web pages need, once ..."
	@npm --prefix $(JS) ci --no-audit --no-fund --loglevel=error
	@touch $@

$(JS)/node_modules/.built: $(JS)/node_modules/.installed $(JS_SOURCES)
	@echo "building the web pages ..."
	@npm --prefix $(JS) run build --silent
	@touch $@
