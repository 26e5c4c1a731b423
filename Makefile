# Two commands: `make demo` shows what bbmr does, `make test` checks that it does it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A range that admits a newer torch may bring gigabytes of GPU libraries along; this release has a CPU build.
TORCH := torch==2.13.0
# Threads that wait should sleep: where cores are busy, spinning makes everything several times slower.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test lint clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable ".[train,evaluate]" --group dev
	touch $@

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

clean:
	rm -rf $(VENV) build
