# Everything here makes and reuses .venv; nothing else is needed but Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
# what is set up in .venv: for a run, for the documentation, for tests and all else
RUNS := .venv/ready-run
WRITES := .venv/ready-docs
READY := .venv/ready

MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
LESSON ?= 1
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

.PHONY: run test check style rest bench bench-gpu docs course clean

run: $(RUNS)  ## train the line-up on the embedded text, rank it, write the report
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

docs: $(WRITES)  ## the documentation, into site/: the lessons run (8 minutes on 2 cores), and samples
	$(BIN)/seqarena claims --quick --only constant-path,gating --runs build/docs --quiet
	$(BIN)/seqarena measure maps --models attention,lstm,mamba --steps 150 --runs build/docs --out measured --quiet
	$(BIN)/seqarena measure gradient --models elman,lstm,gru,attention --runs build/docs --out measured --quiet
	$(MKDOCS)
	@echo "the documentation: site/index.html"

course: $(WRITES)  ## opens the course at a lesson that runs first: make course LESSON=3
	SEQARENA_LESSON=$(LESSON) $(MKDOCS)
	$(BIN)/python docs/lessons.py $(LESSON)

.venv/bin/python:
	$(PYTHON) -m venv .venv

$(RUNS) $(WRITES) $(READY): pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	touch $@
$(RUNS): EXTRAS := fast
$(WRITES): EXTRAS := fast,docs
$(READY): EXTRAS := test

clean:
	rm -rf .venv .pytest_cache .ruff_cache build site
