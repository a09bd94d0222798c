# Everything from a fresh clone: the first target that you call installs what it needs and says so.
#
#   make run                        boots Debian on Typevisor, ends at its shell
#   make run ARGS="--machine bochs" … with options of `typevisor run`
#   make test                       everything that proves it works

TYPEVISOR := node bin/typevisor.mjs
NPM_STAMP := node_modules/.package-lock.json
REPORT := build/test-report.json

.PHONY: help run test bench doctor build iso setup check format clean

help:
	@echo 'make run [ARGS=…]   boot Debian on Typevisor (make run ARGS=--help lists the options)'
	@echo 'make test           check and test everything (about 25 minutes)'
	@echo 'make bench          measure'
	@echo 'make doctor         what this computer can do, and what is missing'
	@echo 'make build          the hypervisor image, build/typevisor.elf'
	@echo 'make iso            a bootable CD or USB image, build/typevisor.iso'
	@echo 'make setup          install all tools, those of the tests too'
	@echo 'make check          formatting, lint and types only'
	@echo 'make clean          remove everything generated'

run: $(NPM_STAMP)
	@$(TYPEVISOR) setup run
	@$(TYPEVISOR) run $(ARGS)

test: $(NPM_STAMP)
	@$(TYPEVISOR) setup test
	@rm -f $(REPORT)
	@$(MAKE) --no-print-directory check
	npx vitest run --reporter=default --reporter=json --outputFile.json=$(REPORT) $(ARGS)

bench: $(NPM_STAMP)
	@$(TYPEVISOR) setup run
	@npm run --silent bench -- $(ARGS)

doctor: $(NPM_STAMP)
	@$(TYPEVISOR) doctor

build: $(NPM_STAMP)
	@$(TYPEVISOR) setup run
	@$(TYPEVISOR) build $(ARGS)

iso: $(NPM_STAMP)
	@$(TYPEVISOR) setup test
	@$(TYPEVISOR) iso $(ARGS)

setup: $(NPM_STAMP)
	@$(TYPEVISOR) setup test

check: $(NPM_STAMP)
	npx biome check .
	npx tsc --noEmit

format: $(NPM_STAMP)
	npx biome check --write .

clean:
	rm -rf build

# npm writes this file itself: it is as new as the packages.
$(NPM_STAMP): package-lock.json
	@command -v npm >/dev/null || { echo 'Node 20 or newer with npm is needed: https://nodejs.org'; exit 1; }
	@echo 'Installing npm packages into node_modules …'
	npm ci --no-fund --no-audit
	@touch $@
