# Each target installs what it requires into $(VENV). The only requirements are python3 (3.11 or newer) and a package registry.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The CPU build of torch, except on machines with an NVIDIA GPU. (The redirection makes `make` before 4.3 start a shell,
# which `command` is a builtin of.)
CONSTRAINTS ?= $(if $(shell command -v nvidia-smi 2>/dev/null),,-c constraints-cpu.txt)
# Two test processes with one thread each.
PYTEST := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m pytest

# Some containers set it, and then each Python process that the targets start compiles torch and transformers anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo check style types docs test test-lowest test-slow test-common test-browser format clean

demo: $(VENV)/.installed
	$(BIN)/tgdi demo --output runs/demo

# All gates, the quick ones first and side by side. `.ci/run` calls it.
check: $(VENV)/.installed-gates
	$(MAKE) --no-print-directory --jobs=2 style types docs
	$(MAKE) --no-print-directory test

# Formatting and lint.
style: $(VENV)/.installed-style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# mypy looks for `tgdi_hf.modeling` in `tgdi_hf/`. build/types has the layout of an installation, as symbolic links.
types: $(VENV)/.installed-types
	rm -rf build/types/tgdi_hf
	mkdir -p build/types/tgdi_hf
	ln -s $(patsubst %,../../../%,$(wildcard tgdi_hf/*) modeling processing) build/types/tgdi_hf
	mypy=$$(realpath $(BIN)/mypy) && cd build/types && "$$mypy" --config-file ../../pyproject.toml --package tgdi_hf

# The documentation site, in docs/_build/html. Warnings are errors; nothing is downloaded.
docs: $(VENV)/.installed-docs
	HF_HUB_OFFLINE=1 $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

test: $(VENV)/.installed-test
	$(PYTEST) -n 2 --dist worksteal --cov --cov-report=term --durations=20

test-slow: $(VENV)/.installed-test
	$(PYTEST) -m slow -o verbosity_subtests=0

# The tests on the oldest dependencies that setup.py allows, in an environment of their own. Requires uv.
test-lowest:
	uv venv --clear --python 3.11 $(VENV)-lowest
	uv pip install --python $(VENV)-lowest/bin/python --resolution lowest-direct --editable '.[test]'
	$(subst $(BIN)/,$(VENV)-lowest/bin/,$(PYTEST)) -n 2

# The common tests of transformers, run against the model, configuration, processor and pipeline of this package. pip
# downloads them once, with the source distribution of the installed version, into the environment or the folder that
# TRANSFORMERS_TESTS names. `make test-slow` skips them where they are missing.
test-common: $(VENV)/.installed-test
	$(BIN)/python -m tests.common.upstream
	$(PYTEST) -m slow -n 2 -p no:cacheprovider -o verbosity_subtests=0 tests/common

# The page of `tgdi app` in Chromium, a system package (Debian: apt install chromium).
test-browser: $(VENV)/.installed-test $(VENV)/.installed-browser
	$(PYTEST) -m slow tests/demo/test_app_in_browser.py

format: $(VENV)/.installed-style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Python compiles what it imports; compiling everything would take half of the time of the installation.
$(VENV)/.installed: setup.py pyproject.toml constraints-cpu.txt
	@echo 'Installing the requirements into $(VENV); without a warm cache this takes minutes.'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --upgrade pip
	$(BIN)/python -m pip install -qq --no-compile $(CONSTRAINTS) -e .
	touch $@

# pip resolves the requirements of all gates once instead of once per gate.
$(VENV)/.installed-gates: $(VENV)/.installed
	$(BIN)/python -m pip install -qq --no-compile $(CONSTRAINTS) -e '.[style,types,docs,test]'
	touch $@ $(foreach gate,style types docs test,$(VENV)/.installed-$(gate))

$(VENV)/.installed-%: $(VENV)/.installed
	$(BIN)/python -m pip install -qq --no-compile $(CONSTRAINTS) -e '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-lowest build dist docs/_build *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
