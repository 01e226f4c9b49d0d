# Thin: the work is in tools/. `make` alone says what there is.
RUN = tools/bootstrap.sh && tools/deno.sh
# What make deb builds for beside the machine that it runs on.
OTHER_ARCH = $(if $(filter aarch64 arm64,$(shell uname -m)),amd64,arm64)
# Scenarios of half a minute and more that make test leaves out: it takes long enough.
MORE = bench cancel_domain converge disk_errors guest_events host_bandwidth preset same_storage ssh_lost start_stop sync_top take_back \
	ticket_resume
# Scenarios of one stream of RAM that make busy plays with --multifd, too.
MULTIFD = main link_cuts resume cancel crashes

help: ## say what there is
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)
demo: ## migrate a running guest between two QEMUs, as a story
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/demo.ts
test: ## everything: check, pure tests, net tests, build, scenarios
	@$(RUN) run -A tools/test.ts $(TIERS)
docs: ## write docs/errors.md, docs/reference/launch-options.md and a part of docs/qemu.md from the tables in src
	@$(RUN) run -A tools/docs/errors.ts && $(RUN) run -A tools/docs/launch_options.ts && \
		$(RUN) run -A tools/docs/migration_settings.ts && tools/deno.sh task prose
check: ## format, words, spelling, scripts, lint, types
	@$(RUN) task check
build: ## dist/vmferry, one file, and its manual pages and completions in dist/share
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/package/write.ts
man: ## manual pages, and completions for bash, zsh and fish, from the tables of commands and flags
	@$(RUN) run -A tools/package/write.ts
install: ## what make build wrote, to PREFIX (/usr/local) below DESTDIR: program, pages, completions, units, docs
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" tools/package/install.sh install
uninstall: ## remove what make install has installed
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" tools/package/install.sh uninstall
deb: build ## Debian packages for amd64 and arm64, and SHA256SUMS, in dist/
	@tools/bootstrap.sh dh:debhelper && tools/deno.sh run -A tools/build.ts --arch $(OTHER_ARCH) && \
		tools/package/deb.sh amd64 arm64
lintian: ## what lintian says about the Debian packages that make deb has made
	@tools/bootstrap.sh lintian:lintian && lintian --allow-root --fail-on error,warning \
		--tag-display-limit 0 -I dist/vmferry_*.deb
kit: ## dist/vmferry-kit-VERSION.tar.gz, from which a host with no network builds and tests
	@$(RUN) --version >/dev/null && tools/package/kit.sh
kit-check: ## unpack the kit that make kit has made, build and test there with no network (some minutes)
	@TIERS="$(TIERS)" tools/package/kit_check.sh
ansible: ## the Ansible collection: ansible-lint, then eight guests leave a host, and one of three hosts dies (root, some minutes)
	@tools/bootstrap.sh ansible-playbook:ansible-core ansible-lint:ansible-lint && tools/check/ansible.sh && \
		tools/deno.sh run -A tools/build.ts && tools/deno.sh task scenario ansible/
arm64: ## the program for arm64, checked by an emulator of its processor (some minutes)
	@tools/bootstrap.sh qemu-aarch64-static:qemu-user-static /usr/aarch64-linux-gnu/lib/libc.so.6:libc6-arm64-cross \
		/usr/aarch64-linux-gnu/lib/libgcc_s.so.1:libgcc-s1-arm64-cross && tools/deno.sh run -A tools/build.ts && \
		tools/deno.sh run -A tools/build.ts --arch arm64 && tools/deno.sh task scenario arm64
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
	@$(RUN) run -A tools/build.ts && tools/deno.sh task scenario launch/ launch_faults/ launch_systemd/
more: ## scenarios of half a minute and more that make test leaves out
	@$(RUN) run -A tools/build.ts && tools/deno.sh task scenario $(MORE) && \
		$(MAKE) --no-print-directory scenarios QEMU=11.1 NAME=preset
slow: ## scenarios that make test leaves out where QEMU emulates the processor (no KVM)
	@$(RUN) run -A tools/build.ts && tools/deno.sh task scenario --slow
busy: ## every scenario of busy guests, --multifd and --postcopy; make test runs some
	@$(RUN) run -A tools/build.ts && tools/deno.sh task scenario busy/ multifd/ postcopy/ && \
		VMFERRY_MIGRATE="--multifd 4" tools/deno.sh task scenario $(MULTIFD)
thin: ## how much space the copies of thin and preallocated images take, over all pairs of QEMU 7.2, 10.0 and 11.1
	@$(RUN) run -A tools/build.ts && for from in system 10.0 11.1; do for to in system 10.0 11.1; do \
		pair=$$(tools/qemu.sh $$from $$to) && env $$pair tools/deno.sh task scenario thin || exit 1; done; done
report-check: ## reports in a headless Chromium: charts, light, dark, print, live, no network, no scripts
	@tools/bootstrap.sh chromium:chromium && tools/deno.sh run -A tools/build.ts && \
		tools/deno.sh task scenario report_browser report_live
guest: ## a Debian guest in .tools/guest/ (root, mmdebstrap), for make scenario NAME=linux
	@tools/guest.sh
memory: ## a guest that checks its RAM crosses to and fro, with KVM and TCG: make memory CROSSINGS=50
	@$(RUN) run -A tools/build.ts && VMFERRY_CROSSINGS=$(or $(CROSSINGS),50) tools/deno.sh task scenario memory
bench: ## vmferry and other relays side by side: mirrors, a raw stream, CPU, memory, RPC (some minutes)
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/main.ts --json dist/bench.json $(ARGS)
bench-long: ## over links with a delay and a rate: share of the bandwidth, RPC behind it
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/long.ts --json dist/bench-long.json $(ARGS)
bench-compress: ## off, auto, on and ssh -C over a slow link, random data, loopback; needs `make guest`
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/compress.ts --json dist/bench-compress.json $(ARGS)
bench-lanes: ## four disks over one connection and over several: a limit for each connection, loopback
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/line/lanes.ts --json dist/bench-lanes.json $(ARGS)
bench-buffers: ## what larger buffers of UNIX sockets (net.core.wmem_default) bring (root, some minutes)
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/buffers/main.ts --json dist/bench-buffers.json $(ARGS)
bench-delta: ## the way back to a host with an old copy of the disk, with --delta and without, over a slow link
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/delta.ts --json dist/bench-delta.json $(ARGS)
bench-verify: ## how fast --verify compares, then 20 flipped bytes and 50 guests that write at full speed
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/verify/one_side.ts && \
		tools/deno.sh run -A tools/bench/verify/main.ts --json dist/bench-verify.json $(ARGS) && \
		VERIFY_FLIPS=$${VERIFY_FLIPS:-20} VERIFY_RUNS=$${VERIFY_RUNS:-50} tools/deno.sh task scenario verify_busy
bench-downtime: ## how long a guest is paused, with vmferry and with nothing between the QEMUs
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/downtime.ts --json dist/bench-downtime.json $(ARGS)
bench-nbd: ## the rate of the NBD client and server of src/nbd, beside nbdkit's and QEMU's
	@$(RUN) run -A tools/bench/nbd.ts $(ARGS)
bench-multifd: ## the rate of RAM in one stream and in several, with vmferry and with nothing between the QEMUs
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/multifd.ts --json dist/bench-multifd.json $(ARGS)
bench-encryption: ## what it costs to encrypt in Deno, without any tunnel
	@$(RUN) run -A tools/bench/relays/encryption.ts $(ARGS)
bench-trips: ## a round trip of a few bytes when nothing else goes on
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/trips.ts $(ARGS)
bench-xbzrle: ## whether --xbzrle shortens the migration of a guest that changes a few bytes in each page
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/xbzrle.ts --json dist/bench-xbzrle.json $(ARGS)
bench-copy: ## vmferry copy and nbdcopy side by side: an image of 20 GiB with 1.2 GiB of data
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/copy/main.ts --json dist/bench-copy.json $(ARGS)
bench-growth: ## CPU and memory from 1 to 64 disks and from 1 to 32 GiB
	@$(RUN) run -A tools/build.ts && tools/deno.sh run -A tools/bench/growth.ts --json dist/bench-growth.json $(ARGS)
bench-startup: ## start-up time and size of the built file, both kinds
	@tools/bootstrap.sh && tools/bench/startup.sh $(ARGS)
matrix: ## every fault in every phase of a migration, with real QEMUs; takes long: make matrix QEMU=10.0
	@pair=$$(tools/qemu.sh $(or $(QEMU),system) $(or $(QEMU_DEST),$(QEMU),system)) && \
		$(RUN) run -A tools/build.ts && env $$pair tools/deno.sh run -A tests/matrix/main.ts $(ARGS)
fuzz: ## random input to everything that parses what a peer sent: make fuzz SECONDS=60 SEED=1, or FRAMES=10000000
	@$(RUN) run -A --v8-flags=--expose-gc tools/fuzz.ts "$(SECONDS)" "$(SEED)" "$(FRAMES)"
clean: ## remove what was built or fetched into the project; a kit keeps what it brought
	rm -rf dist
	[ -e .tools/kit ] || rm -rf .tools

.PHONY: help ansible demo test docs check build man install uninstall deb lintian arm64 kit kit-check scenario scenarios versions settings qemu libvirt launch more slow busy thin guest report-check memory bench bench-long bench-compress bench-lanes bench-buffers bench-delta bench-verify bench-downtime bench-nbd bench-multifd bench-encryption bench-trips bench-xbzrle bench-growth bench-startup matrix fuzz clean bench-copy
