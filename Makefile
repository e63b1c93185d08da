# Each target does its own set-up; the second time that takes a moment and no network.
SHELL := bash
PYTHON := .venv/bin/python
SETUP := bash deploy/local/setup/run.sh
# Two, for many tests wait; how they are shared out is in tests/conftest.py.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup environment demo demo-stay test check lock bench-gateway bench-ingest bench-predict bench-skill figures-structure proof-cycle proof-ansible proof-ansible-mysql proof-arm proof-logstash clean

help: ## show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## Debian packages, .venv, Elasticsearch, Spark's jars
	@$(SETUP) all

environment:
	@$(SETUP) environment

demo: setup ## a year of real weather from simulated chips into every store, with its proof
	@$(PYTHON) -m deploy.local.demo

demo-stay: setup ## the same, then leave the servers up and print how to look around
	@$(PYTHON) -m deploy.local.demo --stay

test: ## all tests, on real servers
	@$(SETUP) tests
	$(PYTHON) -m pytest $(WORKERS) --durations=15

check: environment ## lint, format, types, layers, spelling, documentation: a minute or two
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	.venv/bin/lint-imports
	.venv/bin/codespell
	cd deploy/ansible && PATH="$(CURDIR)/.venv/bin:$$PATH" ansible-lint --offline --profile production -q
	$(PYTHON) -m pytest tests/docs -q

lock: ## write requirements/*.txt anew from pyproject.toml
	@$(SETUP) lock

bench-gateway: setup ## CPU, bytes and memory of a reading on the gateway
	@$(PYTHON) -m bench.gateway

bench-ingest: setup ## readings a second and core into the lake
	@$(PYTHON) -m bench.ingest

bench-predict: setup ## memory and time of a forecast on the gateway
	@$(PYTHON) -m bench.predict

bench-skill: setup ## skill of the candidate against the baseline over a real year
	@$(PYTHON) -m bench.skill

figures-structure: environment ## files that a change touches, largest module, long lines of docs
	@$(PYTHON) -m bench.structure

proof-cycle: setup ## kill -9 of the stream and of the cycle at random moments, some minutes
	@$(PYTHON) -m pytest tests/faults/proof_cycle.py -s

proof-logstash: environment ## a million documents through the Logstash writer, every answer mixed in
	@PYTHONPATH=. $(PYTHON) tests/faults/proof_logstash.py

proof-ansible: ## Debian systems booted by systemd-nspawn, from bare to a closed ledger, some minutes
	@$(SETUP) machines
	@$(PYTHON) -m pytest tests/faults/proof_ansible.py -s

proof-ansible-mysql: ## the same for the role mysql, on a system of Debian's unstable suite
	@$(SETUP) machines
	@$(PYTHON) -m pytest tests/faults/proof_ansible_mysql.py -s

proof-arm: ## a Raspberry Pi's archives on its kind of processor, emulated: installed, run, a bundle's numbers
	@$(SETUP) machines
	@$(PYTHON) -m pytest tests/faults/proof_arm.py -s

clean: ## remove .venv, var and the tools' caches (the download cache stays)
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
