# Everything here makes and reuses .venv; nothing else is needed but Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

.PHONY: run test check style rest bench bench-gpu docs clean

run: $(READY)  ## train the line-up on the embedded text, rank it, write the report
	$(BIN)/seqarena compare

test: $(READY)  ## the short suite, on all cores: 6 minutes on 2 (tests/thinning.py)
	$(PYTEST)

check: style  ## format, lint, types and every test: under 20 minutes on 2 cores
	$(PYTEST) --whole

style: $(READY)  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

rest: style  ## what `make check` does beyond `make test`
	$(PYTEST) --rest

bench: $(READY)  ## measured ratios against the nearest libraries, side by side
	$(BIN)/python -m benchmarks

bench-gpu: $(READY)  ## contract, speed and memory on one GPU, in 8 minutes; says so where there is none
	$(BIN)/python -m benchmarks.gpu

docs: $(READY)  ## the documentation, into site/; with pages of claims and maps, measured for it
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(BIN)/seqarena claims --quick --only constant-path,gating --runs build/docs --quiet
	$(BIN)/seqarena measure maps --models attention,lstm,mamba --steps 150 --runs build/docs --out measured --quiet
	$(BIN)/seqarena measure gradient --models elman,lstm,gru,attention --runs build/docs --out measured --quiet
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "the documentation: site/index.html"

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $(READY)

clean:
	rm -rf .venv .pytest_cache .ruff_cache build site
