# The commands people type.  `make demo` and `make test` work on a machine with python3 (>= 3.11, with venv), a C compiler,
# make and a package registry; everything they make is in .venv, .venv-peers, build and dist.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

ROOT := $(CURDIR)
PYTHON ?= $(shell .ci/find-python 3.11)
PEERS_PYTHON ?= $(shell .ci/find-python 3.12 newest)
PIP_FLAGS := --quiet --disable-pip-version-check

VENV := .venv
PY := $(ROOT)/$(VENV)/bin/python
PEERS := .venv-peers
PEERS_PY := $(ROOT)/$(PEERS)/bin/python

# What a wheel is made from.
SOURCES := setup.py pyproject.toml MANIFEST.in LICENSE README.md $(wildcard vendor/*) \
	$(shell find csrc -name '*.[ch]') $(shell find zarrc -name '*.py' -o -name '*.py[xi]' -o -name '*.pxd' -o -name py.typed)

# What pytest is given; e.g. make test TESTS="tests/codecs -k zstd"
TESTS ?= tests
# Processes that run tests side by side; many tests wait for servers, disks and killed children.
JOBS ?= 2
# What the benchmark program is given; python -m bench --help says what there is.
BENCH ?=
SANITIZE_TESTS ?= tests/kernels tests/codecs tests/storage tests/indexing tests/engine

##@ Using it
.PHONY: help
help:	## show this
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(VENV)/.installed	## import a climate file, slice it, draw it
	@$(PY) -m pip install $(PIP_FLAGS) "$$(echo build/wheel/zarrc-*.whl)[netcdf,cli,plot]" --group demo
	$(PY) examples/demo.py

##@ Testing
.PHONY: test
test: $(VENV)/.installed build/servers/.made build/check	## run the tests on an installed wheel
	@$(RUN_TESTS) $(PY) -m pytest -p no:cacheprovider --durations=15 -n $(JOBS) --dist loadfile $(TESTS)

.PHONY: soak
soak: $(VENV)/.installed build/servers/.made build/check	## run the tests with the long counts (kills, races, fuzzing)
	@$(RUN_TESTS) ZARRC_SOAK=1 $(PY) -m pytest -p no:cacheprovider --durations=15 $(TESTS)

.PHONY: peers
peers: $(PEERS)/.installed	## a second environment with the other Zarr libraries and zarrc
	@$(PEERS_PY) tests/peers/worker.py --versions

.PHONY: sanitize
sanitize: $(VENV)/.ready build/check	## run tests under address and undefined-behaviour sanitizers
	@rm -rf build/sanitize/lib
	@ZARRC_SANITIZE=1 $(PY) setup.py --quiet build --build-lib build/sanitize/lib --build-temp build/sanitize/temp
	@$(RUN_TESTS) PYTHONPATH=$(ROOT)/build/sanitize/lib PYTHONMALLOC=malloc ZARRC_SANITIZE=1 \
		LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
		UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
		$(PY) -m pytest -p no:cacheprovider -q -s \
		$$(for folder in $(SANITIZE_TESTS); do if [ -e "$$folder" ]; then echo "$$folder"; fi; done)

.PHONY: lint
lint: $(VENV)/.ready	## check style, types and compiler warnings
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) vendor/check_warnings.py

##@ Measuring
.PHONY: bench
bench: $(PEERS)/.installed build/check	## time the wheel beside other Zarr libraries; e.g. make bench BENCH="--size small"
	@$(RUN_BENCH) $(BENCH)

.PHONY: bench-docs
bench-docs: $(PEERS)/.installed build/check	## the same, three times, into docs/benchmarks.md
	@$(RUN_BENCH) --runs 3 --docs $(ROOT)/docs $(BENCH)

##@ Developing
.PHONY: dev
dev: $(VENV)/.ready	## build the extension modules next to their sources
	$(PY) setup.py --quiet build_ext --inplace

.PHONY: format
format: $(VENV)/.ready	## write the formatter's style
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

.PHONY: annotate
annotate: $(VENV)/.ready	## Cython's coloured HTML, in build/cython
	$(PY) -c "import setup; setup.translate(setup.extensions(), annotate=True)"
	@find build/cython -name '*.html'

.PHONY: vendor
vendor: $(VENV)/.ready	## bring the pinned C sources
	$(PY) vendor/fetch.py

.PHONY: sdist
sdist: $(VENV)/.ready	## a source distribution, vendored sources included, in dist
	$(PY) -m build --sdist --no-isolation

.PHONY: wheel
wheel: build/wheel/.made	## a wheel for this machine and Python, in dist
	@mkdir -p dist
	cp build/wheel/zarrc-*.whl dist/

.PHONY: clean
clean:	## remove what was built; keep environments and vendored sources
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find zarrc -name '*.so' -delete
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

# An environment is ready when the groups of pyproject.toml are in it.
$(VENV)/.ready: pyproject.toml
	@test -n "$(PYTHON)"
	@echo "Python: $(PYTHON) ($$($(PYTHON) -c 'import platform; print(platform.python_version())'))"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install $(PIP_FLAGS) --upgrade pip
	@$(PY) -m pip install $(PIP_FLAGS) --group dev
	@touch $@

$(PEERS)/.ready: pyproject.toml
	@test -n "$(PEERS_PYTHON)"
	@echo "Python for the peers: $(PEERS_PYTHON) ($$($(PEERS_PYTHON) -c 'import platform; print(platform.python_version())'))"
	@test -x $(PEERS_PY) || $(PEERS_PYTHON) -m venv $(PEERS)
	@$(PEERS_PY) -m pip install $(PIP_FLAGS) --upgrade pip
	@$(PEERS_PY) -m pip install $(PIP_FLAGS) --group peers
	@touch $@

# build/lib.* would carry modules that are gone into the wheel.  The objects under build/objects are what takes time.
build/wheel/.made: $(VENV)/.ready $(SOURCES)
	@rm -rf build/lib.* build/bdist.* build/wheel
	$(PY) -m pip wheel $(PIP_FLAGS) --no-build-isolation --no-deps --wheel-dir build/wheel .
	@touch $@

build/wheel-peers/.made: $(PEERS)/.ready $(SOURCES)
	@rm -rf build/lib.* build/bdist.* build/wheel-peers
	$(PEERS_PY) -m pip wheel $(PIP_FLAGS) --no-build-isolation --no-deps --wheel-dir build/wheel-peers .
	@touch $@

$(VENV)/.installed: build/wheel/.made
	@$(PY) -m pip install $(PIP_FLAGS) --force-reinstall --no-deps build/wheel/zarrc-*.whl
	@touch $@

$(PEERS)/.installed: build/wheel-peers/.made
	@$(PEERS_PY) -m pip install $(PIP_FLAGS) --force-reinstall --no-deps build/wheel-peers/zarrc-*.whl
	@touch $@

# Azure's emulator, of npm.  Without a network its tests are skipped, unless ZARRC_REQUIRE_SERVERS=1.
build/servers/.made: $(VENV)/.ready tests/servers/azurite.py
	@$(PY) -m tests.servers.azurite --install
	@touch $@

# Tests run on a copy beside links to everything but the package, so that "import zarrc" finds the installed one.
.PHONY: build/check
build/check:
	@rm -rf $@
	@mkdir -p $@
	@cp -R tests pyproject.toml $@
	@for name in bench csrc docs examples vendor setup.py Makefile README.md; do \
		if [ -e $$name ]; then ln -s $(ROOT)/$$name $@/$$name; fi; done

RUN_BENCH = cd build/check && $(PEERS_PY) -m bench --output $(ROOT)/build/bench
RUN_TESTS = cd build/check && env ZARRC_SOURCE=$(ROOT) ZARRC_EXPECT_INSTALLED=1 ZARRC_PEERS_PYTHON=$(PEERS_PY)
