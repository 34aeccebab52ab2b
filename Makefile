# Everything happens in .venv, which the first target makes; nothing else is installed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python
JOBS ?= 2
INPUTS ?= 10000000
HOURS ?= 24
DATA ?= $(or $(BITWAVE_DATA),../shared/data)

.PHONY: demo test fuzz soak lint study events clean help

demo: .venv/ready ## install, then the whole path on a virtual wrist: record, train, quantize, export, prove, recognise
	.venv/bin/bitwave demo

test: .venv/ready ## install what is missing, then run all tests (JOBS=2 at a time)
	$(PY) -m pytest -q -n $(JOBS) --dist loadfile

fuzz: .venv/ready ## frames, commands, images and slots under sanitizers (INPUTS=10000000)
	$(PY) tests/fuzz.py $(INPUTS)

soak: fuzz ## that, then the simulated board on both links (HOURS=24), record at 1,000 samples/s, replay an hour
	$(PY) tests/test_firmware_hour.py $(HOURS)
	$(PY) -m pytest -q tests/soak.py

lint: .venv/ready ## style and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

study: .venv/ready ## train all variants on the public data sets (hours; goes on where it stopped), write the table
	test -e $(DATA)/seglearn-1.2.5-py3-none-any.whl || \
		$(PY) -m pip download --quiet --no-deps --dest $(DATA) seglearn==1.2.5
	$(PY) -m bitwave_train.study --data $(DATA)

events: .venv/ready ## score events of streams of people who were never met (half an hour; goes on where it stopped)
	$(PY) -m bitwave_train.event_study --data $(DATA)

clean: ## remove the environment, native builds and caches
	rm -rf .venv host/bitwave/_native .pytest_cache .mypy_cache .ruff_cache .hypothesis

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 14

# Made again only when what is installed may differ; a changed C source is rebuilt by bitwave.native itself.
# tf-keras writes the tests' files from the TensorFlow converter; alone, or it pulls in the full tensorflow.
.venv/ready: pyproject.toml host/build_hook.py
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=23'
	$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[train,tune,baselines,verify,dev]'
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps 'tf-keras==2.21.*'
	touch $@
