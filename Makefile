# The targets that people type; the build itself is Meson's (meson.build). Everything needed is installed on first use.
BUILD ?= build

.PHONY: all run test test-sanitize test-system bench fuzz lint format install clean deps

# The program alone; tests are built by `make test`.
all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) posthorn

deps:
	@tools/install-packages.sh build

$(BUILD)/build.ninja:
	@tools/install-packages.sh build
	@meson setup $(BUILD) $(MESON_FLAGS) >/dev/null || { cat $(BUILD)/meson-logs/meson-log.txt; exit 1; }

run: all
	@tools/run-demo.sh $(BUILD)

test:
	@tools/run-tests.sh

test-system: all
	@tools/install-packages.sh build test
	@/usr/bin/python3 -m pytest -q tests/system

bench: all
	@tools/install-packages.sh build bench
	@bench/run.sh $(BUILD)
	@bench/mta.py $(BUILD)

fuzz:
	@tools/install-packages.sh build fuzz
	@tools/run-fuzzers.sh

lint:
	@tools/install-packages.sh build lint
	@tools/lint.sh

format:
	@tools/install-packages.sh lint
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: all
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

clean:
	@rm -rf $(BUILD) build-*
