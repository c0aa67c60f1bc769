# `make` alone prints this help. TARANTOOL=/path/to/tarantool before or after any target uses another server.
.DEFAULT_GOAL := help
.PHONY: help run test test-lua test-python lint lint-types lint-rules bench bench-analysis bench-surfaces demo-faults contract console setup pins rockspec clean
PYTHON_BIN := .venv/bin

help: ## show this help
	@echo 'Lycosa: customer intelligence that lives in Tarantool'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-23s%s\n", $$1, $$2}'

run: ## set up what is missing, start Tarantool and the server, stream one real analysis
	@deploy/setup.sh runtime
	@exec $(PYTHON_BIN)/python deploy/foreground.py $(PYTHON_BIN)/lycosa up --demo

test: ## all tests against the real Tarantool, with both coverages
	@deploy/setup.sh dev
	@$(MAKE) --no-print-directory -j2 test-lua test-python
	$(PYTHON_BIN)/pytest -n 2 -m '(seconds or no_cover) and not alone' \
		tests/chaos tests/migration tests/model tests/tidy_test.py $$(grep -rl 'mark\.seconds' tests/*/*_test.py)
	$(PYTHON_BIN)/pytest -m alone $$(grep -rl 'mark\.alone' tests/*/*_test.py)
	$(PYTHON_BIN)/coverage report --fail-under=90

test-lua:
	@echo 'The Lua specs run beside the Python tests; what they print follows when they are done.'
	@printed=$$(mktemp) && trap 'rm -f "$$printed"' EXIT && status=0 && \
	$${TARANTOOL:-tarantool} tests/lua/run.lua --coverage >"$$printed" 2>&1 || status=$$?; cat "$$printed"; exit $$status

test-python:
	$(PYTHON_BIN)/pytest -n 2 --dist loadfile -m 'not alone and not seconds and not no_cover' --cov --cov-report=

lint: ## ruff, mypy --strict, luacheck, the import rules
	@deploy/setup.sh dev
	@$(MAKE) --no-print-directory -j2 lint-types lint-rules

lint-types:
	$(PYTHON_BIN)/mypy --num-workers 2

lint-rules:
	$(PYTHON_BIN)/ruff check .
	$(PYTHON_BIN)/ruff format --check .
	luacheck --quiet --no-color lua tests/lua deploy instance.lua
	$(PYTHON_BIN)/pytest -q tests/tidy_test.py

bench: ## the benchmarks, with their dated results
	@deploy/setup.sh dev
	$(PYTHON_BIN)/lycosa bench

bench-analysis: ## an analysis beside a naive chain, on stand-ins of known latency (QUICK=1: small and short)
	@deploy/setup.sh dev
	$(PYTHON_BIN)/lycosa bench analysis $(if $(QUICK),--quick)

bench-surfaces: ## a read over MCP beside the same through REST and beside an empty tool (QUICK=1: small and short)
	@deploy/setup.sh dev
	$(PYTHON_BIN)/lycosa bench surfaces $(if $(QUICK),--quick)

demo-faults: ## an analysis while each fault of search and model is switched on, and what the user gets
	@deploy/setup.sh dev
	$(PYTHON_BIN)/python -m tests.standins.demo_faults

contract: ## write contract.json, procedures.py and the reference pages from a running server
	@deploy/setup.sh dev
	$(PYTHON_BIN)/python -m lycosa.codegen

console: ## open the console of the running server
	@deploy/setup.sh runtime
	@exec $(PYTHON_BIN)/python deploy/foreground.py $(PYTHON_BIN)/lycosa console

setup: ## everything the other targets need, without running anything
	@deploy/setup.sh dev --retry

pins: ## compile requirements/*.txt again (UPGRADE=1 takes newer versions)
	@deploy/setup.sh dev
	deploy/pins.sh

rockspec: ## write the rockspec's module list from the files under lua/
	@python3 deploy/rockspec.py

clean: ## remove .venv, caches and build output; never data
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* python/*.egg-info
	find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +
