# Two commands do everything on a fresh machine: make demo, make test. Both build on make setup.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: setup demo test check bench system clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: PYTHON=/path/to/python3.11 make setup"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/interlock demo

# As root on Debian: the system packages the tests need and the machine lacks.
system:
	@sh .ci/packages

# First what measures, alone; then the rest four at a time, a file on one worker: most of it waits for convergence.
test: setup system
	$(BIN)/python -m pytest -m alone -s
	$(BIN)/python -m pytest -m "not alone" -n 4 --dist loadgroup --no-loadscope-reorder

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup system
	$(BIN)/python -m pytest -m bench -s

clean:
	rm -rf $(VENV) build dist *.egg-info
