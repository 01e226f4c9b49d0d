# Thin: the work is in tools/. `make` alone says what there is.
RUN = tools/bootstrap.sh && tools/deno.sh

help: ## say what there is
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)
demo: ## migrate a running guest between two QEMUs, as a story
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/demo.ts
test: ## everything: check, pure tests, net tests, build, scenarios
	@$(RUN) run -A tools/test.ts $(TIERS)
docs: ## write docs/errors.md and docs/launch-options.md from the tables in src
	@$(RUN) run -A tools/errors.ts && $(RUN) run -A tools/launch_options.ts && tools/deno.sh task prose
check: ## format, words, spelling, scripts, lint, types
	@$(RUN) task check
build: ## dist/vmferry, one file
	@$(RUN) run -A tools/build.ts
scenario: ## one story with real QEMUs: make scenario NAME=direct
	@$(RUN) task scenario $(or $(NAME),--list)
scenarios: ## stories between any two QEMUs: make scenarios QEMU=10.0 QEMU_DEST=11.1 NAME="main behind"
	@pair=$$(tools/qemu.sh $(or $(QEMU),system) $(or $(QEMU_DEST),$(QEMU),system)) && tools/bootstrap.sh && \
		env $$pair tools/deno.sh task scenario $(or $(NAME),--all)
versions: ## between this vmferry and one of an earlier commit, both ways: make versions SINCE=e68e06d
	@$(RUN) run -A tools/build.ts && tools/versions.sh $(or $(SINCE),e68e06d) $(NAME)
settings: ## every migration setting that somebody may have left, at each end; takes long
	@pair=$$(tools/qemu.sh $(or $(QEMU),system) $(or $(QEMU_DEST),$(QEMU),system)) && \
		$(RUN) run -A tools/build.ts && env $$pair tools/deno.sh task scenario settings
qemu: ## QEMU 10.0 and 11.1 (or later, of Debian sid) into .tools/, for the tests
	@tools/qemu.sh 10.0 11.1
libvirt: ## libvirt scenarios with libvirt 11 and QEMU 10.0 of Debian 13 as the destination
	@pair=$$(tools/libvirt.sh) && $(RUN) run -A tools/build.ts && env $$pair tools/deno.sh task scenario $(or $(NAME),recipe debian13)
launch: ## every scenario of migrate --launch; make test runs some
	@$(RUN) run -A tools/build.ts && tools/deno.sh task scenario launch/ launch_faults/
guest: ## a Debian guest in .tools/guest/ (root, mmdebstrap), for make scenario NAME=linux
	@tools/guest.sh
memory: ## a guest that checks its RAM crosses to and fro, with KVM and TCG: make memory CROSSINGS=50
	@$(RUN) run -A tools/build.ts && VMFERRY_CROSSINGS=$(or $(CROSSINGS),50) tools/deno.sh task scenario memory
bench: ## vmferry and other relays side by side: mirrors, a raw stream, CPU, memory, RPC (some minutes)
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/main.ts --json dist/bench.json $(ARGS)
bench-long: ## over links with a delay and a rate: share of the bandwidth, RPC behind it
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/long.ts --json dist/bench-long.json $(ARGS)
bench-downtime: ## how long a guest is paused, with vmferry and with nothing between the QEMUs
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/downtime.ts --json dist/bench-downtime.json $(ARGS)
bench-encryption: ## what it costs to encrypt in Deno, without any tunnel
	@$(RUN) run -A tools/bench/relays/encryption.ts $(ARGS)
bench-trips: ## a round trip of a few bytes when nothing else goes on
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/trips.ts $(ARGS)
bench-growth: ## CPU and memory from 1 to 64 disks and from 1 to 32 GiB
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/growth.ts --json dist/bench-growth.json $(ARGS)
bench-startup: ## start-up time and size of the built file, both kinds
	@tools/bootstrap.sh && tools/bench/startup.sh $(ARGS)
matrix: ## every fault in every phase of a migration, with real QEMUs; takes long
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tests/matrix/main.ts $(ARGS)
fuzz: ## random input to everything that parses what a peer sent: make fuzz SECONDS=60 SEED=1, or FRAMES=10000000
	@$(RUN) run -A --v8-flags=--expose-gc tools/fuzz.ts "$(SECONDS)" "$(SEED)" "$(FRAMES)"
clean: ## remove what was built or fetched into the project
	rm -rf dist .tools

.PHONY: help demo test docs check build scenario scenarios versions settings qemu libvirt launch guest memory bench bench-long bench-downtime bench-encryption bench-trips bench-growth bench-startup matrix fuzz clean
