# Each target does its own set-up; nothing has to be run before it.
.PHONY: setup demo envtest test test-postgresql-17 lint bench lock docs clean
SHELL := /bin/sh
BIN := .venv/bin
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	--python-version 3.11 --upgrade --constraint requirements/constraints.txt pyproject.toml

setup:
	@tools/setup.sh

# The API server of Kubernetes for the sandbox and the tests; needs Go, and takes some minutes the first time.
envtest:
	@tools/envtest.sh

demo: setup
	@tools/demo.sh

test: setup
	$(BIN)/python -m pytest

# On a Debian before 13, its PostgreSQL is fetched into a folder of the user's cache.
test-postgresql-17: setup
	PG_BIN=$$(tools/debian13.sh) && PG_BIN=$$PG_BIN PATH=$${PG_BIN%/lib/*}/sbin:$$PATH $(BIN)/python -m pytest \
		tests/integration/test_postgres_*.py tests/integration/test_pgbouncer_*.py tests/integration/test_plan_is_truth.py

lint: setup
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy retune plugins tools
	$(BIN)/yamllint . && ANSIBLE_INVENTORY_UNPARSED_FAILED=False ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=False $(BIN)/ansible-lint --offline && $(BIN)/python tools/controls_table.py --check

bench: setup
	$(BIN)/python tests/bench/drift_check.py
	PYTHONPATH=collections $(BIN)/python tests/bench/postgres_scale.py
	PYTHONPATH=collections $(BIN)/python tests/bench/pgbouncer_throughput.py
	$(BIN)/python tests/bench/redis_instances.py
	PYTHONPATH=collections $(BIN)/python tests/bench/redis_sample.py
	PYTHONPATH=collections $(BIN)/python tests/bench/kubernetes_workloads.py

# The lock holds the hashes of every release file and no index's address, so that it serves wherever it is used.
lock: setup
	$(COMPILE) -o requirements/runtime.txt
	$(COMPILE) --extra dev -o requirements/dev.txt

docs: setup
	$(BIN)/python tools/controls_table.py > docs/controls.md

clean:
	-$(BIN)/retune sandbox down
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
