# SPDX-License-Identifier: GPL-2.0
# The front door; CMakeLists.txt does the work. `make help` lists the targets.

BUILD   := build
ASAN    := build-asan
FUZZ    := build-fuzz
TIDY    := build-tidy
PREFIX  ?= /usr/local
DESTDIR ?=
CLANG   ?= clang
BPFTOOL ?=
ARCH    ?= $(shell uname -m)
JOBS    ?= $(shell nproc)
WERROR  ?= OFF
# Sources are compiled eight at a time: a third of the time from nothing. OFF: each by itself, as `make tidy` does.
UNITY   ?= ON

export BUILD PREFIX DESTDIR CLANG BPFTOOL ARCH JOBS

# bpftool, nft and ip live in sbin, which the PATH of a plain user may lack.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

# Options as CMake gets them. -G only when there is no build directory yet: it cannot be changed later.
GENERATOR = $(if $(wildcard $(1)/CMakeCache.txt),,$(if $(shell command -v ninja),-G Ninja,-G 'Unix Makefiles'))
OPTIONS   = -DCMAKE_INSTALL_PREFIX='$(PREFIX)' -DCMAKE_INSTALL_LIBDIR=lib -DCLANG='$(CLANG)' -DEGRESS_ARCH='$(ARCH)' \
            -DEGRESS_WERROR='$(WERROR)' -DCMAKE_UNITY_BUILD='$(UNITY)' $(if $(BPFTOOL),-DEGRESS_BPFTOOL='$(BPFTOOL)')
# After `sudo make` the build directory is root's, and CMake's complaint about it is fifty lines long.
WRITABLE  = if [ -e $(1) ] && [ ! -w $(1) ]; then \
              echo "make: $(1)/ belongs to $$(stat -c %U $(1)): go on with sudo, or sudo make clean first" >&2; exit 1; fi
CONFIGURE = @$(call WRITABLE,$(1)); cmake -S . -B $(1) $(call GENERATOR,$(1)) --log-level=WARNING $(OPTIONS) $(2) >/dev/null
COMPILE   = @cmake --build $(1) --parallel $(JOBS)

.PHONY: all deps build-deps demo-deps test-deps vm-deps bench-deps lint-deps fuzz-deps info demo test test-unit test-kernels \
        asan install uninstall bench check-format format tidy fuzz clean help
.NOTPARALLEL:

all: build-deps ## BPF object, skeleton, library, command (no root needed)
	$(call CONFIGURE,$(BUILD),)
	$(call COMPILE,$(BUILD))

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18

deps: ## install what building and testing need (root)
	@scripts/deps build test
build-deps:
	@scripts/deps build
demo-deps:
	@scripts/deps build demo
test-deps:
	@scripts/deps build test
vm-deps:
	@scripts/deps build test vm
bench-deps:
	@scripts/deps build test bench
lint-deps: ## install clang-format and clang-tidy (root)
	@scripts/deps lint
fuzz-deps:
	@scripts/deps build fuzz

info: ## tools with versions, flags, paths, what this kernel supports
	@scripts/info

demo: demo-deps all ## from nothing to a running filter, with real packets, and away again (root)
	@scripts/demo

test: test-deps check-format ## build and run every test (root); with EGRESS_CACHE set those on other kernels too
	$(call CONFIGURE,$(BUILD),)
	$(call COMPILE,$(BUILD)) --target all --target all_tests
	$(call CONFIGURE,$(ASAN),-DCMAKE_BUILD_TYPE=Debug -DEGRESS_SANITIZE=ON '-DEGRESS_TEST_KINDS=unit;net')
	$(call COMPILE,$(ASAN)) --target all --target all_tests
	@if [ -n "$$EGRESS_CACHE" ]; then $(MAKE) --no-print-directory test-kernels; fi
	@scripts/run-tests $(BUILD) $(ASAN)

test-unit: test-deps ## the tests that need no root
	$(call CONFIGURE,$(BUILD),)
	$(call COMPILE,$(BUILD)) --target all --target all_tests
	@scripts/run-tests --label '^(unit|abi)$$' $(BUILD)

test-kernels: vm-deps ## boot Debian's 5.10, 6.1 and 6.12 in QEMU and test there; writes docs/kernels.md
	$(call CONFIGURE,$(BUILD),)
	$(call COMPILE,$(BUILD)) --target egress --target bpf_tests --target net_tests
	@tests/vm/test-kernels $(BUILD)

asan: test-deps ## unit and net tests with ASan and UBSan (root)
	$(call CONFIGURE,$(ASAN),-DCMAKE_BUILD_TYPE=Debug -DEGRESS_SANITIZE=ON '-DEGRESS_TEST_KINDS=unit;net')
	$(call COMPILE,$(ASAN)) --target all --target all_tests
	@scripts/run-tests $(ASAN)

install: all ## install, and load unless DESTDIR is set (root)
	@cmake --install $(BUILD) --strip
	@install -D -m 0644 $(BUILD)/install_manifest.txt '$(DESTDIR)$(PREFIX)/share/egress/install_manifest'
ifeq ($(DESTDIR),)
	@'$(PREFIX)/sbin/egress' load
endif

uninstall: ## unload, and remove every installed file (root)
	@scripts/uninstall

bench: bench-deps ## the benchmarks, with their ratios (root)
	$(call CONFIGURE,$(BUILD),-DEGRESS_BENCH=ON)
	$(call COMPILE,$(BUILD)) --target all --target all_benchmarks
	@if [ -x scripts/bench ]; then scripts/bench; else $(BUILD)/egress_bench; fi

check-format: ## would clang-format 14 change a C++ file?
	@scripts/check-format
format: ## let clang-format 14 change them
	@scripts/check-format --fix

tidy: UNITY := OFF
tidy: build-deps lint-deps ## compile each file of src/ by itself, and clang-tidy over it
	$(call CONFIGURE,$(TIDY),)
	$(call COMPILE,$(TIDY))
	@scripts/tidy $(TIDY)

fuzz: fuzz-deps ## run each fuzzer for FUZZ_SECONDS (60)
	$(call CONFIGURE,$(FUZZ),-DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=Debug \
	  -DEGRESS_FUZZ=ON -DEGRESS_TESTS=OFF -DCMAKE_UNITY_BUILD=OFF)
	$(call COMPILE,$(FUZZ)) --target all_fuzzers
	@scripts/fuzz $(FUZZ)

clean: ## remove build artifacts
	@rm -rf $(BUILD) $(ASAN) $(FUZZ) $(TIDY)
