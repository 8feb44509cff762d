# Two commands for a newcomer: `make demo` and `make test`. Everything else is Snakemake's.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-browser test-conda test-slurm nightly lint reference install

# Every experiment on generated corpora with small models; the results go to demo/. Models this small
# keep hardly more than one core busy: a thread for each job, and several jobs at a time.
demo: $(INSTALLED)
	$(BIN)/snakemake --configfile config/demo.yaml --directory demo --logger affectlab \
		--max-threads 1 --resources gpu=4
	@$(BIN)/affectlab results demo/results

# Whole files side by side, each test with one thread of its own.
test: export OMP_NUM_THREADS = 1
test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

# The report in a headless Chromium, which this machine must have; another folder of results than the
# smallest demo's with RESULTS=demo/results.
test-browser: $(INSTALLED)
	$(BIN)/python -m pytest tests/browser $(if $(RESULTS),--results $(RESULTS))

# The real environments of the rules, and the demo at its smallest in them; gigabytes, for a while.
test-conda: $(INSTALLED)
	$(BIN)/python -m pytest tests/conda

# The pipeline on a real SLURM cluster, and what can go wrong there. Without the cluster's script
# (tests/slurm/conftest.py says where it is looked for) it says that nothing was tested.
test-slurm: $(INSTALLED)
	$(BIN)/python -m pytest tests/slurm -m "not nightly"

# What takes hours: mutations of every input, kills of every experiment, the coverage of intervals,
# and the faults of a cluster.
nightly: export OMP_NUM_THREADS = 1
nightly: $(INSTALLED)
	$(BIN)/python -m pytest tests/unit tests/workflow -m nightly \
		--numprocesses logical --maxprocesses 4 --dist loadfile
	$(BIN)/python benchmarks/coverage.py
	AFFECTLAB_FUZZ=5000 $(BIN)/python -m pytest tests/fuzz --timeout 14400 \
		--numprocesses logical --maxprocesses 4
	$(BIN)/python -m pytest tests/slurm -m nightly

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile rules
	$(BIN)/snakemake --lint

# The pages and files that are made from the models of the configuration; a test compares them.
reference: $(INSTALLED)
	$(BIN)/python -m affectlab.config.reference affectlab.experiments:EXPERIMENTS .

install: $(INSTALLED)

# The command `affectlab` comes with the project itself, which needs no build and no more packages.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11, 4) <= sys.version_info < (3, 12))' || \
		{ echo "Python 3.11, from 3.11.4 on, is needed; name it with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
