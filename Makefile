# Each target does its own set-up. The second time this takes a second or two and no network.
SHELL := bash
PYTHON := .venv/bin/python
SETUP := bash deploy/local/setup/run.sh
# Two workers, because many tests wait. tests/conftest.py assigns tests to workers.
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder
# Recordings outside the repository for bench-quality: opensmarthome/ and nab/.
RECORDINGS ?= var/recordings

.DEFAULT_GOAL := help
.PHONY: help setup environment demo demo-stay test check lock bench-gateway bench-import bench-ingest bench-predict bench-skill figures-structure proof-cycle proof-hostile proof-api proof-decode proof-import proof-logstash proof-mlflow proof-outbox proof-ansible proof-ansible-mysql proof-arm clean bench-quality

help: ## show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 30

setup: ## install Debian packages, .venv, MySQL, Elasticsearch, Spark's jars
	@$(SETUP) all

environment:
	@$(SETUP) environment

demo: setup ## run a year of real weather from simulated chips into every store, with a proof
	@$(PYTHON) -m deploy.local.demo

demo-stay: setup ## run the demo, keep the servers running, and print how to query them
	@$(PYTHON) -m deploy.local.demo --stay

test: ## run all tests, on real servers
	@$(SETUP) tests
	$(PYTHON) -m pytest $(WORKERS) --durations=15

check: environment ## check style, types, layers, spelling, documentation (a minute or two)
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	.venv/bin/lint-imports
	.venv/bin/codespell
	cd deploy/ansible && PATH="$(CURDIR)/.venv/bin:$$PATH" ansible-lint --offline --profile production -q
	$(PYTHON) -m pytest tests/docs -q

lock: ## write requirements/*.txt from pyproject.toml
	@$(SETUP) lock

bench-gateway: setup ## measure CPU and bytes per reading, and memory, on the gateway
	@$(PYTHON) -m bench.gateway

bench-ingest: setup ## measure readings per second and core into the lake
	@$(PYTHON) -m bench.ingest

bench-import: environment ## measure readings per second and memory of an import of a year
	@$(PYTHON) -m bench.importing

bench-predict: setup ## measure time and memory of a forecast on the gateway
	@$(PYTHON) -m bench.predict

bench-skill: setup ## measure skill of the candidate against the baseline over a real year
	@$(PYTHON) -m bench.skill

bench-quality: setup ## measure how well faults of sensors are found: recall and false alarms
	@$(PYTHON) -m bench.quality --data $(RECORDINGS)

figures-structure: environment ## count files per change, largest module, long lines of docs
	@$(PYTHON) -m bench.structure

proof-cycle: setup ## kill scoring and cycle at random times, check every table (some minutes)
	@$(PYTHON) -m pytest tests/faults/proof_cycle.py -s

proof-hostile: setup ## attack the broker and the cloud beside twenty honest gateways (12 minutes)
	@$(PYTHON) -m pytest tests/faults/proof_hostile.py -s

proof-api: setup ## hold 450 slow connections at the API for two minutes, beside honest clients
	@$(PYTHON) -m pytest tests/faults/proof_api.py -s

proof-decode: environment ## decode a million payloads that are made to be expensive (20 minutes)
	@PYTHONPATH=. $(PYTHON) tests/faults/proof_decode.py

proof-import: environment ## kill -9 an import at thirty random moments, compare the lake (a minute or two)
	@$(PYTHON) -m pytest tests/faults/proof_import.py -s

proof-logstash: environment ## send a million documents to an http input that gives every answer
	@PYTHONPATH=. $(PYTHON) tests/faults/proof_logstash.py

proof-outbox: environment ## damage an outbox in 260 ways, check the account of every number (a minute or two)
	@PYTHONPATH=. $(PYTHON) tests/faults/proof_outbox.py

proof-mlflow: environment ## load exported models with MLflow itself (a minute; needs the network)
	@$(PYTHON) -m pytest tests/faults/proof_mlflow.py -s

proof-ansible: ## install and update Debian systems in systemd-nspawn (some minutes; needs root)
	@$(SETUP) machines
	@$(PYTHON) -m pytest tests/faults/proof_ansible.py -s

proof-ansible-mysql: ## the same for role mysql, on a Debian of the unstable suite
	@$(SETUP) machines
	@$(PYTHON) -m pytest tests/faults/proof_ansible_mysql.py -s

proof-arm: ## install and run a Raspberry Pi's archives on an emulated processor (needs root)
	@$(SETUP) machines
	@$(PYTHON) -m pytest tests/faults/proof_arm.py -s

clean: ## remove .venv, var and the tools' caches (the download cache stays)
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
