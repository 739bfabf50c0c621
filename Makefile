# make demo       a whole build on data that ships with the package
# make test       the test suite, the C++ half included, without what is marked slow
# make test-slow  whole chains, kills, wheels, emulation
# make test-all   both in one run, which makes what they share once
# make check      format, lint, types, unit and contract tests
# make native     the C++ runtime, its apps and tests, in build/native
# make cross      the same for arm64 and armhf, in build/arm64 and build/armhf
# make tidy       clang-format and clang-tidy over the C++ half
# make fuzz       every C++ fuzzer for FUZZ_SECONDS, in build/fuzz
# make docs       regenerate the recipe schema and the reference pages

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# headers of the engines: scripts/native-deps fetches those of ONNX Runtime, OpenVINO's are in its Python package
EDGETL_NATIVE_DEPS ?= $(HOME)/.cache/edgetl/native
OPENVINO_INCLUDE   := $(firstword $(wildcard $(VENV)/lib/python3*/site-packages/openvino/include))
ENGINES            := -DONNXRUNTIME_ROOT=$(EDGETL_NATIVE_DEPS)/onnxruntime \
                      $(if $(OPENVINO_INCLUDE),-DEDGETL_OPENVINO_INCLUDE=$(abspath $(OPENVINO_INCLUDE)))
NINJA              := $(if $(shell command -v ninja),-G Ninja)
FUZZ_SECONDS       ?= 60
# each header read once for many sources, which may use each other's names
UNITY              := -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=16 -DCMAKE_CXX_FLAGS=-Wno-error=shadow
# two processes that take whole files, in the order of tests/conftest.py
PYTEST             := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# sources that never meet otherwise may use each other's names
CROSS              := $(UNITY) -DEDGETL_WITH_OPENVINO=OFF -DONNXRUNTIME_ROOT=$(EDGETL_NATIVE_DEPS)/onnxruntime

.PHONY: demo test test-slow test-all check lint native cross build/arm64 build/armhf tidy fuzz docs wheel clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/edgetl demo --out demo

test: $(READY)
	$(PYTEST) -m "not slow"

test-slow: $(READY)
	$(PYTEST) -m slow

test-all: $(READY)
	$(PYTEST)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint
	$(PYTEST) -m "not slow and not stage" tests/unit tests/contract

native:
	cmake -S . -B build/native $(NINJA) $(ENGINES)
	cmake --build build/native -j2

cross: build/arm64 build/armhf

build/arm64: TOOLCHAIN := aarch64-linux-gnu
build/armhf: TOOLCHAIN := armhf-linux-gnueabihf
build/arm64 build/armhf:
	cmake -S . -B $@ $(NINJA) $(CROSS) -DEDGETL_CROSS_ROOT=$(EDGETL_NATIVE_DEPS)/$(notdir $@) \
	  -DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/targets/toolchains/$(TOOLCHAIN).cmake
	cmake --build $@ -j2

tidy:
	cmake -S . -B build/tidy $(NINJA) $(ENGINES) $(UNITY) \
	  -DEDGETL_BUILD_TESTS=OFF -DEDGETL_WARNINGS_AS_ERRORS=OFF
	cmake --build build/tidy --target tidy

fuzz:
	cmake -S . -B build/fuzz $(NINJA) $(UNITY) -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
	  -DEDGETL_BUILD_FUZZERS=ON -DEDGETL_BUILD_TESTS=OFF -DEDGETL_BUILD_APPS=OFF \
	  -DEDGETL_WITH_ONNXRUNTIME=OFF -DEDGETL_WITH_OPENVINO=OFF -DEDGETL_FUZZ_SECONDS=$(FUZZ_SECONDS)
	cmake --build build/fuzz -j2
	ctest --test-dir build/fuzz -j2 -L fuzz --output-on-failure

docs: $(READY)
	$(BIN)/python scripts/make_reference.py

wheel: $(READY)
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) dist demo build
