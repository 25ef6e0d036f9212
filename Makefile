# `make` lists what there is to do. Each target says what it does and may be run again at any time.
#
#   CLUSTER      local: Kubernetes on this Linux machine without Docker; kind: in Docker; existing: the cluster of your
#                KUBECONFIG. Left out: kind where `docker info` answers, else local. See docs/local-cluster.md.
#   NODES        real nodes of a new local cluster, 2 when left out.
#   IMAGES       of operator, server, server-full and router: which to build. Left out: all.
#   KUBECONFIG   read with CLUSTER=existing only; all else uses .local/kubeconfig, so no target touches by accident what
#                your shell happens to point to.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

CACHE := $(or $(MODELWAY_CACHE),$(HOME)/.cache/modelway)
UV_VERSION := 0.13.9
UV := $(CACHE)/uv-$(UV_VERSION)/bin/uv
LOCAL := python3 -m hack.local

ifneq ($(CLUSTER),existing)
override KUBECONFIG := $(CURDIR)/.local/kubeconfig
endif
export KUBECONFIG CLUSTER

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)


##### the local cluster and its images

.PHONY: cluster
cluster: ## boot a real Kubernetes on this machine, with S3 (first time: 15 min to build; then under a minute)
	@$(LOCAL) up $(if $(NODES),--nodes $(NODES))

.PHONY: cluster-down
cluster-down: ## stop the cluster and remove everything but the caches
	@$(LOCAL) down

.PHONY: cluster-status
cluster-status: ## tell what of the cluster runs
	@$(LOCAL) status

.PHONY: images
images: ## build the operator's and the model server's images and load them into the cluster
	@$(LOCAL) images $(IMAGES)


##### the Python environment

# Many short processes: whoever forbids Python to keep what it compiled pays for it in each of them.
unexport PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE := 1
# Debian's, which the images have too, rather than whichever comes first on the PATH.
ifneq ($(wildcard /usr/bin/python3.11),)
export UV_PYTHON ?= /usr/bin/python3.11
endif

.PHONY: venv
venv: .venv/.synced ## make .venv with the locked dependencies

.venv/.synced: pyproject.toml uv.lock $(UV)
	@echo "installing the locked dependencies into .venv …"
	@$(UV) sync --frozen --quiet
	@touch $@

$(UV):
	@echo "installing uv $(UV_VERSION) into $(CACHE) …"
	@python3 -m venv $(CACHE)/uv-$(UV_VERSION)
	@$(CACHE)/uv-$(UV_VERSION)/bin/pip install --quiet uv==$(UV_VERSION)


##### lint and tests

PYTEST := .venv/bin/pytest

.PHONY: lint
lint: venv ## check style, types, the arrows between packages, and that generated files are up to date
	@echo "ruff …"; .venv/bin/ruff check . ; .venv/bin/ruff format --check --quiet .
	@echo "mypy …"; .venv/bin/mypy
	@echo "import-linter …"; .venv/bin/lint-imports --no-logo >/dev/null || .venv/bin/lint-imports
	@echo "generated files …"; for part in crds reference settings protos schema; do .venv/bin/python -m hack.$$part --check; done

.PHONY: test
test: lint test-unit test-integration test-e2e ## everything: lint, unit, integration and end-to-end tests

.PHONY: test-unit
test-unit: venv ## pure tests and single processes; seconds
	@$(LOCAL) binaries etcd kube-apiserver versitygw helm >/dev/null
	@$(PYTEST) -n auto tests/unit

.PHONY: test-integration
test-integration: venv ## the operator against a real control plane with simulated nodes; root only to install a browser
	@python3 -m hack.browser
	@$(PYTEST) -n 2 --dist loadfile tests/integration

.PHONY: test-e2e
test-e2e: HELM_ARGS = --set 'sinkHosts={*.svc.cluster.local}'
test-e2e: venv cluster images install ## real pods, requests and S3 on the local cluster
	@$(LOCAL) binaries contour >/dev/null
	@$(PYTEST) -n 2 --dist loadfile tests/e2e

.PHONY: test-faults
test-faults: venv cluster images install ## long (40 min): break things, in rollouts under load too; stops the API server
	@$(PYTEST) tests/faults -m faults

.PHONY: fuzz
fuzz: venv ## long: MINUTES= of fuzzing (10) for each part of the model server that reads what strangers send; PARTS=
	@$(UV) sync --frozen --quiet --group fuzz
	@PYTHONPATH=tests .venv/bin/python -m fuzz --minutes $(or $(MINUTES),10) $(PARTS)


##### generated files: crds, docs

.PHONY: crds
crds: venv ## write the CRD, and the chart's copy, from the models
	@.venv/bin/python -m hack.crds

.PHONY: docs
docs: venv ## write the references in docs/ from the models
	@.venv/bin/python -m hack.reference; .venv/bin/python -m hack.settings; .venv/bin/python -m hack.schema


##### install, demo, bench

.PHONY: install
install: ## put the operator on the cluster with Helm
	@python3 -m hack.install $(HELM_ARGS)

.PHONY: uninstall
uninstall: ## take the operator off the cluster; models go on serving
	@python3 -m hack.install --uninstall $(HELM_ARGS)

.PHONY: demo
demo: IMAGES = operator server server-full router
demo: venv cluster images install ## the main job, told as it happens (first time: 25 min; then a few)
	@.venv/bin/python -m hack.demo

.PHONY: demo-rollout
demo-rollout: IMAGES = operator server router
demo-rollout: venv cluster images install ## new versions of a model, good and bad, each decided under load (6 min)
	@.venv/bin/python -m hack.demo.rollout

.PHONY: demo-batch
demo-batch: IMAGES = operator server server-full
demo-batch: venv cluster images install ## two million rows scored in shards, checked row by row, with a pod killed (4 min)
	@.venv/bin/python -m hack.demo.batch

.PHONY: demo-drift
demo-drift: IMAGES = operator server
demo-drift: venv cluster images install ## a model whose inputs drift, break and come back; what its status says (5 min)
	@.venv/bin/python -m hack.demo.drift

.PHONY: bench
bench: venv ## what the operator costs with 1,000 models, on a real control plane (20 min)
	@UV=$(UV) .venv/bin/python -m bench $(BENCH)

.PHONY: bench-rollouts
bench-rollouts: venv ## simulate rollouts: how often they decide wrongly, and how long they take (up to 40 min)
	@.venv/bin/python -m bench.rollouts $(BENCH)

.PHONY: bench-drift
bench-drift: venv ## simulate drift: false alarms, and how soon a true one is told (1 min; BENCH=--full: 16 min)
	@.venv/bin/python -m bench.drift $(BENCH)

.PHONY: bench-monitoring
bench-monitoring: venv ## what reading and judging 4,000 simulated pods a minute costs the operator (8 min)
	@.venv/bin/python -m bench.monitoring_cost $(BENCH)

.PHONY: bench-rollout-cost
bench-rollout-cost: venv ## what 200 rollouts at once cost the operator and the API server, with simulated nodes (15 min)
	@UV=$(UV) .venv/bin/python -m bench.rollout_cost $(BENCH)

.PHONY: bench-routers
bench-routers: venv ## what a router (Envoy) adds to a request, beside the same request without it (6 min; needs wrk)
	@UV=$(UV) .venv/bin/python -m bench.routers $(BENCH)

.PHONY: bench-weights
bench-weights: venv ## how long a new weight takes until all routers have it, on the running local cluster (3 min)
	@.venv/bin/python -m bench.weights $(BENCH)

.PHONY: bench-batch
bench-batch: venv ## rows per core-second of a batch run beside the bare loop, Ray Data and Spark (8 min)
	@.venv/bin/python -m bench.batch $(BENCH)

.PHONY: bench-batch-plane
bench-batch-plane: venv ## what batch jobs cost the operator: 500 models with one each, on a real control plane (10 min)
	@UV=$(UV) .venv/bin/python -m bench.batch_plane $(BENCH)

.PHONY: bench-batch-shards
bench-batch-shards: venv ## what 10,000 shards cost beside the scoring, on a disk and a real S3 server (15 min)
	@.venv/bin/python -m bench.batch_shards $(BENCH)

.PHONY: bench-server
bench-server: venv ## the model server beside KServe, MLServer, Triton, FastAPI and Flask (25 min; needs wrk and h2load)
	@.venv/bin/python -m bench.server $(BENCH)

.PHONY: soak-server
soak-server: venv ## the model server at saturation, with clients that misbehave (10 min)
	@.venv/bin/python -m bench.server.soak $(SOAK)
