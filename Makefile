# Tasks. Everything that is installed or built goes to a cache outside the tree, keyed by its lock files.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help venv up down status kubeconfig preview test check fast fuzz bench format

NAME ?= dev
CLUSTER ?=
MINUTES ?= 30
CACHE := $(or $(FIRESTORM_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/firestorm)
VENV := $(CACHE)/venv-$(shell sha256sum requirements.lock pyproject.toml | sha256sum | cut -c 1-16)-$(shell pwd | sha256sum | cut -c 1-8)
BIN := $(VENV)/bin
LAB := $(BIN)/python -m firestorm_lab

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Each may be repeated, also after it failed or was interrupted. NAME=dev names the cluster, so that there can be"
	@echo "several; CLUSTER=cluster.yaml describes it, and is remembered. up, preview, down, status, bench and test go on"
	@echo "as root by sudo; on a machine whose libvirt this user may use, only bench and test do."

venv: $(VENV)/.complete ## The Python environment that the others use

$(VENV)/.complete: requirements.lock pyproject.toml
	@bash lab/venv.sh "$(VENV)" requirements.lock

up: venv ## A running cluster: installs, builds and starts what it needs, then `pulumi up`
	@$(LAB) up $(NAME) $(if $(CLUSTER),--cluster "$(CLUSTER)")

preview: venv ## What `make up` would change
	@$(LAB) preview $(NAME) $(if $(CLUSTER),--cluster "$(CLUSTER)")

status: venv ## The cluster's nodes, its API's address and when its certificates expire
	@$(LAB) status $(NAME)

kubeconfig: venv ## The path of the administrator's kubeconfig
	@$(LAB) kubeconfig $(NAME)

down: venv ## Destroy the cluster and end everything that was started for it, also an `up` that goes on
	@$(LAB) down $(NAME)

test: venv ## Every check and every test, the end-to-end ones included (ARGS: pytest's)
	@$(LAB) test $(if $(ARGS),-- $(ARGS))

check: venv ## Formatting, lint and types
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

fast: venv ## The tests that need no lab (ARGS: pytest's)
	@$(BIN)/pytest -m "not lab and not slow" $(ARGS)

fuzz: venv ## Look for what makes the compiler raise or eat memory, for MINUTES=30
	@$(BIN)/python -m firestorm_lab.fuzz $(MINUTES)

bench: venv ## Seconds and ratios of preview, up and their floor
	@$(LAB) bench $(NAME)

format: venv ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .
