# `make demo` and `make test` need nothing but python3 (3.11 or newer) and a package registry.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# On a machine with an NVIDIA GPU the usual build of torch, elsewhere the CPU one. (The redirection makes `make` older
# than 4.3 ask a shell, where `command` lives.)
CONSTRAINTS ?= $(if $(shell command -v nvidia-smi 2>/dev/null),,-c constraints-cpu.txt)
# Each of two test processes computes with one thread.
PYTEST := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m pytest

.PHONY: demo test test-slow test-common test-browser docs style format clean

demo: $(VENV)/.installed
	$(BIN)/tgdi demo --output runs/demo

test: $(VENV)/.installed-test
	$(PYTEST) -n 2

test-slow: $(VENV)/.installed-test
	$(PYTEST) -m slow -o verbosity_subtests=0

# transformers' own common tests, against the model, configuration, processor and pipeline of this package. pip fetches
# them once, with the source distribution of the installed version, into the environment or the folder that
# TRANSFORMERS_TESTS names. `make test-slow` skips them where they are missing.
test-common: $(VENV)/.installed-test
	$(BIN)/python -m tests.common.upstream
	$(PYTEST) -m slow -n 2 -p no:cacheprovider -o verbosity_subtests=0 tests/common

# The page of `tgdi app` in Chromium, which the system has to have (Debian: apt install chromium).
test-browser: $(VENV)/.installed-test $(VENV)/.installed-browser
	$(PYTEST) -m slow tests/test_app_in_browser.py

# The site, into docs/_build/html. Warnings are errors; nothing is fetched.
docs: $(VENV)/.installed-docs
	HF_HUB_OFFLINE=1 $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

style: $(VENV)/.installed-style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.installed: setup.py pyproject.toml constraints-cpu.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e .
	touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) -e '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
