# make setup | demo | test | check: see README.md
PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.setup

.PHONY: setup demo test check clean

setup: $(STAMP)

# made again only when what is to be installed changes
$(STAMP): pyproject.toml weights/kilonova-mini/pyproject.toml
	command -v $(PYTHON) >/dev/null || { echo "Kilonova needs Python 3.11 (set PYTHON=... to name it)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e weights/kilonova-mini -e '.[test,up]'
	touch $@

demo: setup
	$(BIN)/python examples/demo.py

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:
	rm -rf .venv
