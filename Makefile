# Everything here makes and reuses .venv; nothing else is needed but Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: run test check bench clean

run: $(READY)  ## train the line-up on the embedded text, rank it, write the report
	$(BIN)/seqarena compare

test: $(READY)  ## the tests, on all cores
	$(BIN)/python -m pytest -n auto

check: $(READY)  ## what CI runs: format, lint, types, tests (the floors among them)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(MAKE) test

bench: $(READY)  ## measured ratios against the nearest libraries, side by side
	$(BIN)/python -m benchmarks

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $(READY)

clean:
	rm -rf .venv .pytest_cache .ruff_cache
