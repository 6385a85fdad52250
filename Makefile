# Needs Python 3.11 or newer, make and a package index; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
LOWEST := .venv-lowest
ROOMS := vectors tokenization modeling training hub inference scripts src/glove_bilstm
SOURCES := $(ROOMS) tests spaces $(wildcard benchmarks)

.PHONY: help install demo test test-slow test-space test-gpu test-lowest format clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The strict editable install is a tree of links: type checkers can follow it, but it has to be made again when a file
# is added, which the rooms' own time stamps tell.
$(VENV)/installed: pyproject.toml constraints.txt $(ROOMS)
	@echo "Installing into $(VENV); the first time this takes minutes."
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--config-settings editable_mode=strict --editable '.[dev]'
	touch $@

install: $(VENV)/installed ## Build .venv with the package and its development tools

demo: $(VENV)/installed ## Train on the bundled reviews, then load the saved folder in a new process and predict
	$(VENV)/bin/glove-bilstm train --recipe classic --output_dir out/demo --overwrite \
		--embedding_dropout 0.2 --learning_rate 2e-3
	$(VENV)/bin/python scripts/demo.py out/demo

test: $(VENV)/installed ## Lint, type-check and run the fast tests
	$(VENV)/bin/ruff format --check $(SOURCES)
	$(VENV)/bin/ruff check $(SOURCES)
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest -n 2

test-slow: $(VENV)/installed ## Run the tests that `make test` leaves out: the README's blocks, the wheel
	$(VENV)/bin/pytest -n 2 -m slow

test-gpu: $(VENV)/installed ## Run the tests that need a GPU, and a torch that computes on it
	$(VENV)/bin/pytest -m gpu

# The browser is the system's: playwright's own can't be had everywhere.
test-space: $(VENV)/installed ## Install gradio and a browser, and try the Space's page in it
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--config-settings editable_mode=strict --editable '.[dev,space,browser]'
	command -v chromium google-chrome >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium >/dev/null)
	$(VENV)/bin/pytest -m space

# Torch's build is chosen by constraints.txt, which names the oldest one too.
test-lowest: ## Run the fast tests with the lowest versions that pyproject.toml allows
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	sed -nE 's/^    "([A-Za-z0-9-]+)>=([0-9.]+)",$$/\1==\2/p' pyproject.toml > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/pip install --quiet --disable-pip-version-check --constraint $(LOWEST)/constraints.txt \
		--config-settings editable_mode=strict --editable '.[dev]'
	$(LOWEST)/bin/pip check
	$(LOWEST)/bin/pytest -n 2

format: $(VENV)/installed ## Rewrite the sources in the house format
	$(VENV)/bin/ruff format $(SOURCES)
	$(VENV)/bin/ruff check --fix $(SOURCES)

clean: ## Remove what was built
	rm -rf $(VENV) $(LOWEST) build out *.egg-info src/*.egg-info
