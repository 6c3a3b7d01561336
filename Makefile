# SPDX-License-Identifier: Apache-2.0
# A thin door to Meson: every target can be had without it. Packages are installed by tool/deps, and
# only when they are missing.

BUILD = build
ASAN = build-asan
COVERAGE = build-cov
TSAN = build-tsan
FUZZ = build-fuzz
MUTANTS = build-mutants
DEB = build-deb
PREFIX = /usr/local
ARGS =
SEEDS = 20000

.DELETE_ON_ERROR:
.NOTPARALLEL: # two apt-get at once would lock each other out; ninja is parallel enough
.PHONY: help run build test check asan tsan valgrind coverage fuzz seeds mutants bench docs format install deb deps clean

help: # print this list
	@awk -F ': .*# |: # ' '/^[a-z]+:.*# / { printf "make %-8s  %s\n", $$1, $$2 }' Makefile

run: deps-build $(BUILD)/build.ninja # build, then show the demo; ARGS="--once" ends after its story
	@ninja --quiet -C $(BUILD) dides
	@$(BUILD)/dides demo $(ARGS)

build: deps-build $(BUILD)/build.ninja # build everything
	@ninja --quiet -C $(BUILD)

test: deps-test $(BUILD)/build.ninja # build and run all tests; ARGS="rollout" runs one
	@tool/run-tests $(BUILD) $(ARGS)

check: deps-check build # style, floors, purity, printed documents, scripts
	@tool/check $(BUILD)

asan: deps-check $(ASAN)/build.ninja # all tests under ASan and UBSan, compiled with clang
	@tool/run-tests $(ASAN) --label 'under ASan and UBSan' --timeout-multiplier 4 $(ARGS)

tsan: deps-check $(TSAN)/build.ninja # the tests in which threads meet, under ThreadSanitizer
	@tool/tsan $(TSAN) $(ARGS)

valgrind: deps-deep $(BUILD)/build.ninja # the unit tests under memcheck, about 10 minutes; ARGS="core/waves" runs one
	@tool/valgrind $(BUILD) $(ARGS)

coverage: deps-deep $(COVERAGE)/build.ninja # run all tests once, tell which lines and branches they took
	@find $(COVERAGE) -name '*.gcda' -delete
	@status=0; tool/run-tests $(COVERAGE) --label 'for coverage' --timeout-multiplier 20 || status=1; \
		tool/coverage $(COVERAGE) $(ARGS) || status=1; exit $$status

fuzz: deps-fuzz $(FUZZ)/build.ninja # a minute of fuzzing for each decoder; TARGET=selector runs one, FUZZ_SECONDS=600 longer
	@TARGET="$(TARGET)" tool/fuzz $(FUZZ)

seeds: deps-build $(BUILD)/build.ninja # simulate SEEDS=20000 small fleets with all their faults
	@ninja --quiet -C $(BUILD) dides
	@$(BUILD)/dides sim --seeds $(SEEDS) --jobs "$$(nproc)" $(ARGS)

mutants: deps-test # plant bugs, one after the other, and see that tests find them; ARGS="--tables": an hour
	@tool/mutants $(MUTANTS) $(ARGS)

bench: deps-bench $(BUILD)/build.ninja # measure
	@ninja --quiet -C $(BUILD)
	@meson test -C $(BUILD) --no-rebuild --benchmark --verbose $(ARGS)

docs: build # print the diagrams and man pages in doc/ anew
	@tool/generated $(BUILD)

format: deps-check # bring all C files into form
	@find src include test bench fuzz -name '*.[ch]' 2>/dev/null | xargs -r clang-format -i

install: build # install below PREFIX, default /usr/local; DESTDIR is respected
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@meson install -C $(BUILD)

deb: deps-check # make a Debian package in build-deb/
	@tool/deb $(DEB)

deps: deps-check # install every package that building, testing and checking need

clean: # remove what was built
	@rm -rf $(BUILD) $(ASAN) $(COVERAGE) $(TSAN) $(FUZZ) $(MUTANTS) $(DEB)

# The rest is for the targets above.
.PHONY: deps-build deps-test deps-check deps-fuzz deps-bench deps-deep
deps-build deps-test deps-check deps-fuzz deps-bench deps-deep:
	@tool/deps $(@:deps-%=%)

$(BUILD)/build.ninja: | deps-build
	@meson setup $(BUILD) --buildtype=debugoptimized

$(ASAN)/build.ninja: | deps-check
	@CC=clang meson setup $(ASAN) --buildtype=debugoptimized -Db_lundef=false \
		-Db_sanitize=address,undefined -Dc_args=-fno-sanitize-recover=all

$(TSAN)/build.ninja: | deps-check
	@CC=clang meson setup $(TSAN) --buildtype=debugoptimized -Db_lundef=false -Db_sanitize=thread

# As the lines stand: what the optimiser merges has no branch of its own.
$(COVERAGE)/build.ninja: | deps-deep
	@meson setup $(COVERAGE) --buildtype=debug -Db_coverage=true -Dc_args=-fprofile-update=prefer-atomic

$(FUZZ)/build.ninja: | deps-fuzz
	@CC=clang meson setup $(FUZZ) --buildtype=debugoptimized -Dfuzz=true -Db_lundef=false \
		-Db_sanitize=address,undefined -Dc_link_args=-fprofile-instr-generate \
		-Dc_args='-fno-sanitize-recover=all -fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping'
