# All commands; `make help` lists them. Nothing is needed but make and Python 3.11 or newer: whatever
# a command needs goes into .venv, once.

MINIMUM := import sys; sys.exit(sys.version_info < (3, 11))
# The first Python that is new enough; `python3` itself may be an older one beside it.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$python" -c '$(MINIMUM)' 2>/dev/null && echo "$$python" && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A module, not its script: a script's first line breaks where the path of the checkout has a space.
PYTEST = $(BIN)/python -m pytest
# Two processes, with a thread each for torch; the tests of one file, or cells of one notebook, stay
# in one of them.
SHARED = OMP_NUM_THREADS=1 $(PYTEST) --numprocesses=2 --dist=loadfile
NBVAL = $(SHARED) --nbval-lax --nbval-current-env --nbval-cell-timeout=600 -p no:cacheprovider
# The code of the Japanese notebooks is the English one: two of them show that their texts hold too.
SHORT_JA := notebooks/ja/03_watch_one_round.ipynb notebooks/ja/solutions_03_watch_one_round.ipynb
OFFLINE := not hub and not gpu and not browser and not fresh and not binder

PROMPT ?= Explain the concepts of speculative decoding and MTP in 3 sentences.
# The prompt travels in the environment, unexpanded, so that no quote, dollar sign or new line in it
# ever meets make or the shell.
override PROMPT := $(value PROMPT)
export PROMPT REPOSITORY

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo doctor lab test lint type unit model doctest nbval nbval-ja test-browser links test-colab test-binder releases canary memory slides notebooks notebooks-ja buttons records figures screenshots bench pocket clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## make .venv (every other command does it when it is needed)

$(READY): pyproject.toml constraints.txt
	@"$(PYTHON)" -c '$(MINIMUM)' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed; say where it is:  make setup PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	@echo "setting up $(VENV): once, some minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) \
		--constraint constraints.txt --editable '.[lab,dev]'
	@touch $(READY)

demo: $(READY) ## generate with drafts, show every round: make demo PROMPT="Count from 1 to 9."
	@$(BIN)/python -m gemma_mtp_edu demo --prompt="$$PROMPT"

doctor: $(READY) ## what works on this machine, and what to do about the rest; DOCTOR_ARGS="--json"
	@$(BIN)/python -m gemma_mtp_edu doctor $(DOCTOR_ARGS)

lab: $(READY) ## open JupyterLab at the first lesson; LAB_ARGS are handed on
	@$(BIN)/python -m gemma_mtp_edu lab $(LAB_ARGS)

test: lint type nbval ## all that CI runs
	@$(PYTEST) --doctest-modules gemma_mtp_edu tools
	@$(SHARED) tests -m "$(OFFLINE)"
	@$(PYTEST) tests/browser -m "browser and not slow"
	@$(BIN)/python -m tools.releases quick

lint: $(READY) ## format, lint, spelling
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m codespell_lib

type: $(READY) ## types of the package
	@$(BIN)/python -m mypy

unit: $(READY) ## fast tests without a model
	@$(SHARED) tests/unit tests/notebooks -m "$(OFFLINE) and not slow"

model: $(READY) ## tests with the bundled pair
	@$(SHARED) tests/model -m "$(OFFLINE)"

doctest: $(READY) ## examples in docstrings
	@$(PYTEST) --doctest-modules gemma_mtp_edu tools

nbval: $(READY) ## run every notebook, of the Japanese two; compare cells tagged nbval-check-output
	@$(NBVAL) notebooks/*.ipynb $(SHORT_JA)

nbval-ja: $(READY) ## the same for every Japanese notebook
	@$(NBVAL) notebooks/ja

test-browser: $(READY) ## run all lessons and their widgets in JupyterLab and Chromium
	@$(PYTEST) tests/browser -m browser

test-colab: $(READY) ## the setup cell and a lesson in what Colab, Kaggle and VS Code have
	@$(PYTEST) tests/services -m fresh

test-binder: $(READY) ## build the Binder image's environment from binder/ and run a lesson in it
	@$(PYTEST) tests/services -m binder

releases: $(READY) ## all tests on each supported transformers and torch; refused ones: hours, gigabytes
	@$(BIN)/python -m tools.releases full $(RELEASES_ARGS)

canary: $(READY) ## what works on the newest transformers and torch: docs/releases.md; RELEASES_ARGS
	@$(BIN)/python -m tools.releases canary $(RELEASES_ARGS)

memory: $(READY) ## run every lesson, write its peak memory: docs/memory.json and docs/memory.md
	@$(BIN)/python -m tools.lesson_memory $(NAMES)

slides: $(READY) ## the lessons' figures as PNG and SVG with their alt texts, into build/slides
	@$(BIN)/python -m tools.slides build/slides $(NAMES)

links: $(READY) ## ask for every address in documents and lessons, over the network
	@$(BIN)/python -m tools.links

notebooks: $(READY) ## build notebooks/*.ipynb from notebooks/src; NAMES="00_first_run" for some
	@$(BIN)/python -m tools.notebooks $(NAMES)

notebooks-ja: $(READY) ## build notebooks/ja/*.ipynb from the sources and their translations; NAMES too
	@$(BIN)/python -m tools.notebooks --language ja $(NAMES)

buttons: $(READY) ## rewrite all addresses; a fork: make buttons REPOSITORY=https://github.com/me/fork
	@$(BIN)/python -m tools.buttons $(if $(REPOSITORY),--repository "$$REPOSITORY")

screenshots: $(READY) ## take README's pictures of the widgets, in JupyterLab and Chromium
	@$(BIN)/python -m tools.screenshots

bench: $(READY) ## time plain and assisted decoding, ours and the library's; BENCH_ARGS="--quick"
	@$(BIN)/python -m gemma_mtp_edu bench $(BENCH_ARGS)
	$(if $(findstring --out docs/bench.json,$(BENCH_ARGS)),@$(BIN)/python -m tools.bench_table)

records: $(READY) ## measure again what lessons 07 to 09 show where no pair runs; PAIR=E2B
	@$(BIN)/python -m tools.records $(PAIR)

figures: $(READY) ## redraw README's picture; rewrite its alt text, demo output and hardware table
	@$(BIN)/python -m tools.figures

.PHONY: audit fuzz mutation
audit: $(READY) ## is anything known against the pins (asks over the network, fails where it cannot)
	@test -x build/audit/bin/pip-audit || { "$(PYTHON)" -m venv build/audit && \
		build/audit/bin/python -m pip install --quiet pip-audit; } || true
	@build/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

fuzz: $(READY) ## generated cases against plain decoding; FUZZ_ARGS="--cases 10000 --seed 1"
	@$(BIN)/python -m tools.fuzz $(FUZZ_ARGS)

mutation: $(READY) ## put each known fault into a copy of the package; a test must find it
	@$(BIN)/python -m tools.mutation $(MUTATION_ARGS)

pocket: $(READY) ## train the bundled pair from its seeds: hours, resumes where it was cut off
	@$(BIN)/python -m tools.pocket.build
	@$(BIN)/python -m tools.pocket.card

clean: ## remove .venv and build
	@rm -rf $(VENV) build
