# Two commands: `make demo` (the whole way once, on a generated world) and `make test`. Both set up what they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)
INSTALL := $(BIN)/python .ci/install.py
# Real data sets are looked for beside the checkout unless the environment says where they are.
ifndef WHYREC_DATA
ifneq ($(wildcard ../shared/data),)
export WHYREC_DATA := $(abspath ../shared/data)
endif
endif
WHYREC_HOME ?= $(CURDIR)/build/home
export WHYREC_HOME

.PHONY: help demo test check bench fuzz studio docs clean
help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "make: no python3 found. Install it: apt-get install python3 python3-venv"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than Python 3.11. Set PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "make: Python's venv module is missing. Install it: apt-get install python3-venv"; exit 2; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# By uv where it sees the same packages as pip, else by pip; the same pinned versions either way.
$(VENV)/.base: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing whyrec and its pinned dependencies into $(VENV) (the first time: a minute with uv, five with pip)"
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "Installing the tools of make test and make check"
	@$(INSTALL) -e '.[dev,grammar,hf,otel,studio]'
	@touch $@

$(VENV)/.docs: $(VENV)/.base
	@echo "Installing the tools of make docs"
	@$(INSTALL) -e '.[docs]'
	@touch $@

demo: $(VENV)/.base ## graphs, vectors, a trained recommender and a table, on a generated world and on real data where found
	@$(BIN)/python -m whyrec demo

test: $(VENV)/.dev ## all tests, without network
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal

check: $(VENV)/.dev ## formatting, lint, types, floors and doors
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy
	@$(BIN)/pyright

bench: $(VENV)/.dev ## costs per call and per epoch, as CPU time; writes build/bench.json
	@$(BIN)/python -m bench

FUZZ_INPUTS ?= 100000
FUZZ_MINUTES ?= 60
FUZZ_SEED ?= 0
fuzz: $(VENV)/.dev ## FUZZ_INPUTS (100,000) odd inputs over every reader, name, file and reply; writes build/fuzz/
	@$(BIN)/python tests/fuzz/run.py --inputs $(FUZZ_INPUTS) --minutes $(FUZZ_MINUTES) --seed $(FUZZ_SEED)

studio: $(VENV)/.dev ## serve the graphs to LangGraph Studio on 127.0.0.1:2024, telling nobody (docs/studio.md)
	@LANGGRAPH_CLI_NO_ANALYTICS=1 $(BIN)/langgraph dev --no-browser

NOTEBOOKS ?= run
docs: $(VENV)/.docs ## redraw what is drawn from the code, then build the site in build/site (NOTEBOOKS=no leaves notebooks unrun)
	@$(BIN)/python -m graphs.engine.draw
	@$(BIN)/python -m graphs.studio
	@$(BIN)/python -m whyrec eval --render --results docs/results
	@$(BIN)/python -m whyrec dial --render --results docs/results/dial --page docs/dial.md
	@$(BIN)/python -m whyrec mechanism --render --results docs/results/mechanisms --page docs/mechanisms.md
	@rm -rf .cache
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && WHYREC_HOME="$$home" \
		NO_MKDOCS_2_WARNING=1 SITE_NOTEBOOKS=$(NOTEBOOKS) $(BIN)/mkdocs build --strict --quiet
	@echo "The site is in build/site. To read it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory build/site 8000"

clean: ## remove everything that make made (the virtual environment, runs and caches under build/)
	rm -rf $(VENV) build dist .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
