# Each target sets up what it needs: a virtual environment in .venv, installed once with the tested versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

CORES := -n auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test check bench demo-model
.DEFAULT_GOAL := demo

demo: $(VENV)/.for-use ## train the bundled model against the offline judge; ARGS="--plain --seed 1" are passed on
	$(BIN)/rlaif-tui demo $(ARGS)

test: $(VENV)/.for-development ## the tests; ARGS="-k config" are passed on
	$(BIN)/python -m pytest $(CORES) $(ARGS)

check: $(VENV)/.for-development ## format, lint, types, import contracts and the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(CORES) $(ARGS)

bench: $(VENV)/.for-use ## seconds of CPU per PPO step, by phase
	$(BIN)/python benchmarks/ppo_step.py $(ARGS)

demo-model: $(VENV)/.for-use ## make the bundled model, tokenizer and prompts again, from nothing
	$(BIN)/python -m core.demo.build $(ARGS)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with 'make PYTHON=/path/to/python3.11 ...'"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.for-use: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV), which takes a few minutes the first time ..."
	$(PIP) -e .
	@touch $@

$(VENV)/.for-development: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV), which takes a few minutes the first time ..."
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.for-use

