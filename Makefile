PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.setup

.DEFAULT_GOAL := help
.PHONY: help setup demo test check docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv with everything that is needed

# made again only when what is to be installed changes
$(STAMP): pyproject.toml weights/kilonova-mini/pyproject.toml
	command -v $(PYTHON) >/dev/null || { echo "Kilonova needs Python 3.11 (set PYTHON=... to name it)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e weights/kilonova-mini -e '.[test,up]'
	touch $@

demo: setup ## embed, index and search samples
	$(BIN)/python examples/demo.py

test: setup ## run the tests; what needs more than setup installs is named at the end
	$(BIN)/python -m pytest

check: setup ## linters, layers and the type checker
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: setup ## write the pages of docs/ that are made from the code
	$(BIN)/python -m docs.generate

clean: ## remove .venv
	rm -rf .venv
