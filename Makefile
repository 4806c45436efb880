# python3, or the first of these that is new enough
PYTHON ?= $(shell for one in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$one; break; }; done)
BIN := .venv/bin
STAMP := .venv/.setup

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check hooks docs clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv with everything that is needed

# made again only when what is to be installed changes
$(STAMP): pyproject.toml weights/kilonova-mini/pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Kilonova needs Python 3.11 or newer (set PYTHON=... to name it)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e weights/kilonova-mini -e '.[test,up]'
	touch $@

demo: setup ## embed, index and search samples
	$(BIN)/python examples/demo.py

test: setup ## run the tests; what needs more than setup installs is named at the end
	$(BIN)/python -m pytest $(ARGS)

test-fast: setup ## run the tests that need no server and no other program: under a minute
	KILONOVA_TESTS=fast $(BIN)/python -m pytest -q -n auto --dist loadfile -m 'not server and not slow' --ignore=tests/clients $(ARGS)

check: setup ## linters, layers and the type checker
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy

hooks: setup ## run `make check` before each commit, and look at the subject of its message
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pre-commit
	$(BIN)/pre-commit install

docs: setup ## write the pages of docs/ that are made from the code
	$(BIN)/python -m docs.generate

clean: ## remove .venv
	rm -rf .venv
