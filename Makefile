# Three commands matter: `make run`, `make demo` and `make test`. Everything else serves them.
# Works with GNU make 3.81 (macOS) and needs nothing but a Python of 3.11 or newer.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
            command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
STAMP := .venv/.installed
DEV := .venv/.installed-dev
SANDBOX := .venv/.installed-sandbox
CLIP ?= tests/support/clips/stream-of-water.mp4

.PHONY: run install demo test lint types audit check clean
.DEFAULT_GOAL := run

run: $(STAMP)  ## Start the daemon here; the first start writes a config and the folders.
	@exec $(BIN)/nemod run

install: $(STAMP)

demo: $(SANDBOX)  ## The cloud's way without a cloud: sandbox and daemon here, a clip dropped (CLIP=…), every step told.
	@$(BIN)/python -m nemod.sandbox.demo $(CLIP)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "nemod needs Python 3.11 or newer, and none was found."; \
	  echo "  Debian/Ubuntu:  sudo apt install python3 python3-venv"; echo "  macOS:          brew install python"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python has no ensurepip, so it cannot make a virtual environment."; \
	  echo "  Debian/Ubuntu:  sudo apt install python3-venv"; exit 1; }
	@echo "Making .venv …"
	@$(PYTHON) -m venv .venv

$(STAMP): $(BIN)/python pyproject.toml
	@echo "Installing nemod and its ffmpeg (about 100 MB, once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(SANDBOX): $(BIN)/python pyproject.toml
	@echo "Installing nemod, its ffmpeg and the sandbox (about 100 MB, once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[sandbox]'
	@touch $(STAMP) $@

$(DEV): $(BIN)/python pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(STAMP) $(SANDBOX) $@

test: $(DEV)  ## Everything that CI runs but for lint and types.
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)
	$(BIN)/mypy

audit: $(DEV)  ## Whether an installed package has a known hole; says so when nobody could be asked.
	@$(BIN)/python .ci/audit.py

check: lint types audit test

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
