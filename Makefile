# Each target sets up what it needs in .venv; a machine with Python 3.10 or later and pip is enough.

PYTHON ?= python3
BIN := .venv/bin
# More than the cores that it is meant for, as many tests wait.
JOBS ?= 3
# Otherwise each process of the tests compiles everything anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test test-all check format lint types docs bench clean

demo: .venv/demo
	$(BIN)/python -m pottery_like demo $(FILES)

test: .venv/test
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

# Every test on every kind of server, client and connection; see tests/conftest.py.
test-all: export MATRIX = all
test-all: test

check: .venv/check format lint types test

format: .venv/check
	$(BIN)/ruff format --check .

lint: .venv/check
	$(BIN)/ruff check .

types: .venv/check
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: .venv/docs
	$(BIN)/mkdocs build --strict

bench: .venv/test
	$(BIN)/python -m tests.benchmarks $(ARGS)

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build site *.egg-info

.venv/made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed")'
	$(PYTHON) -m venv .venv || { $(PYTHON) -m pip install --user virtualenv && $(PYTHON) -m virtualenv .venv; }
	touch $@

.venv/demo: .venv/made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[embedded,cli]'
	touch $@

.venv/test: .venv/made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

.venv/check: .venv/made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,check]'
	touch $@

.venv/docs: .venv/made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@
