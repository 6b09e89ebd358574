# Each target sets up what it needs: Python 3.11 or newer, make and the package registries are enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
NODE   := tests/interop/node_modules/.ready
PEERS  := tests/scale/peers/node_modules/.ready
HEAVY  := tests/interop/heavy/node_modules/.ready

.DEFAULT_GOAL := help
.PHONY: help demo run test check bench soak clean

help:
	@echo "make demo    run the hub with its demonstration plant"
	@echo "make run     run the hub with the plant of hub.toml (CONFIG=path/to/hub.toml)"
	@echo "make test    run every test"
	@echo "make check   lint, types, import contracts"
	@echo "make bench   measure speed and memory and print one table"
	@echo "make soak    an hour of faults, broken lines and restless clients: nothing missed, no growth"
	@echo "make clean   remove what the other targets made"

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "JouleHub needs Python 3.11 or newer; $(PYTHON) is older. Set PYTHON=python3.12, for example."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev --editable .
	@touch $@

# The foreign OPC UA client is a Node.js program; without Node.js its tests are skipped by name.
$(NODE): tests/interop/package.json
	@if command -v npm >/dev/null 2>&1; then \
	  cd tests/interop && npm install --no-package-lock --no-audit --no-fund --omit=optional --loglevel=error && touch node_modules/.ready; \
	else echo "npm not found: the node-opcua tests will be skipped (Debian: apt-get install nodejs npm)"; fi

# Node-RED and FUXA, whole programs: about 1.5 minutes and 370 MB, once. One of their parts may have to be compiled;
# where that cannot be, their tests are skipped by name.
$(HEAVY): tests/interop/heavy/package.json
	@if command -v npm >/dev/null 2>&1; then \
	  cd tests/interop/heavy; \
	  if [ -d /usr/include/node ]; then export npm_config_nodedir=/usr; fi; \
	  if npm install --no-package-lock --no-audit --no-fund --omit=optional --loglevel=error; then touch node_modules/.ready; \
	  else rm -rf node_modules; echo "Node-RED and FUXA could not be installed: their tests will be skipped (Debian: apt-get install g++ make python3 libnode-dev)"; fi; \
	else echo "npm not found: the tests with Node-RED and FUXA will be skipped (Debian: apt-get install nodejs npm)"; fi

# node-opcua's own server, to be measured beside; without Node.js its column says so.
$(PEERS): tests/scale/peers/package.json
	@if command -v npm >/dev/null 2>&1; then \
	  cd tests/scale/peers && npm install --no-package-lock --no-audit --no-fund --omit=optional --loglevel=error && touch node_modules/.ready; \
	else echo "npm not found: node-opcua will not be measured (Debian: apt-get install nodejs npm)"; fi

demo: $(READY)
	$(BIN)/joulehub demo $(ARGS)

CONFIG ?= hub.toml
run: $(READY)
	$(BIN)/joulehub run --config $(CONFIG) $(ARGS)

test: $(READY) $(NODE) $(HEAVY)
	$(BIN)/python -m pytest $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) $(PEERS)
	$(BIN)/python -m tests.scale $(ARGS)

soak: $(READY)
	$(BIN)/python -m tests.scale.soak $(ARGS)

clean:
	rm -rf $(VENV) tests/interop/node_modules tests/scale/peers/node_modules tests/interop/heavy/node_modules build dist var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
