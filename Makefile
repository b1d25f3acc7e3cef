# The commands of this repository. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Where rustup puts cargo, and where Debian keeps ip, ethtool, nginx and tcpdump.
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/sbin:/sbin
TARGET := $(or $(CARGO_TARGET_DIR),target)
DENY := $(TARGET)/tools/bin/cargo-deny
# Making network namespaces takes root.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help
help: ## List the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

.PHONY: demo
demo: packages ## Show a client reaching two servers through Sluice (KEEP=1 leaves it up)
	cargo build --locked --release --bins
	$(SUDO) $(TARGET)/release/demo $(if $(KEEP),--keep)

.PHONY: demo-down
demo-down: ## Remove what `make demo KEEP=1` left up
	$(SUDO) $(TARGET)/release/demo --down

.PHONY: demo-ha
demo-ha: packages ## Show two machines that back each other up, and what a client sees of it
	cargo build --locked --release --bins
	$(SUDO) $(TARGET)/release/demo-ha

.PHONY: build
build: packages ## Build everything, for use
	cargo build --locked --release --bins

.PHONY: fmt
fmt: ## Format the code
	cargo fmt

.PHONY: test
test: packages check deny layers run-tests ## Everything a change has to pass (as root)

.PHONY: check
check: packages
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --workspace --no-deps

.PHONY: deny
deny: $(DENY)
	$(DENY) --locked check licenses bans sources

$(DENY):
	cargo install --locked --debug --root $(TARGET)/tools cargo-deny@0.20.2

# The engine runs under simulation and builds where DPDK is not installed: nothing may bring that in by the back door.
.PHONY: layers
layers:
	@for crate in sluice-net sluice-engine; do \
	    tree=$$(cargo tree --locked -p $$crate --prefix none); \
	    if grep -E '^(sluice-dpdk|sluice-daemon|tokio|zbus|ractor)' <<<"$$tree"; then \
	        echo "layers: $$crate must not depend on the above" >&2; exit 1; \
	    fi; \
	done
	PKG_CONFIG_PATH= PKG_CONFIG_LIBDIR=/nonexistent cargo test --locked -p sluice-net -p sluice-engine

# The tests of the lab take turns by themselves where workers poll. The programs they run are built first.
.PHONY: run-tests
run-tests: packages
	cargo build --locked --workspace --all-targets
	cargo test --locked --workspace

# Seconds of simulation, and runs of each of the fuzz bodies.
SOAK ?= 600
FUZZ ?= 1000000

.PHONY: soak
soak: packages soak-simulation soak-fuzz boot ## Tests at full size: SOAK=seconds, FUZZ=runs, then the lab at full size
	cargo build --locked --workspace --all-targets
	SLUICE_TRANSFER_MIB=1024 SLUICE_RESTARTS=20 SLUICE_REQUESTS=10000 SLUICE_CHANGES=2000 SLUICE_CONNECTIONS=500 \
	    SLUICE_MALFORMED=100000 SLUICE_MEASURE=1 SLUICE_SERVICES=10000 SLUICE_ADVERTS=1000 SLUICE_VRRPD_RESTARTS=100 \
	    SLUICE_ELECTIONS=100 \
	    cargo test --locked --workspace --test '0*' --test '1*' -- --nocapture

.PHONY: boot
boot: packages ## Boot the units under a systemd of their own, in a container that changes nothing here (as root)
	cargo build --locked --workspace --bins
	cargo test --locked -p sluice-integration --test 180_boot -- --ignored

.PHONY: bench
bench: packages ## Measure, and write target/bench/report.json (QUICK=1 is over in three minutes)
	cargo build --locked --release -p sluice-bench -p sluice-dataplane -p sluice-cli
	$(SUDO) env QUICK=$(QUICK) PATH="$$PATH" $(TARGET)/release/bench

.PHONY: bench-ha
bench-ha: packages ## Measure what a client sees of failovers: RUNS=50 of each kind, at each of INTERVALS="1000 100 10" ms
	cargo build --locked --release --bins
	$(SUDO) $(TARGET)/release/bench-ha $(or $(RUNS),50) $(INTERVALS)

.PHONY: soak-simulation
soak-simulation: ## Simulate for SOAK seconds, with seeds of its own
	SLUICE_SOAK_SECONDS=$(SOAK) cargo test --locked --release -p sluice-engine -p sluice-vrrpd --test simulation \
	    -- --nocapture

.PHONY: soak-fuzz
soak-fuzz: ## Run each of the fuzz bodies FUZZ times, and count
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; start=$$SECONDS; \
	PROPTEST_CASES=$(FUZZ) cargo test --locked --release -p sluice-net -p sluice-engine -p sluice-api -p sluice-vrrpd \
	    --test fuzz -- --nocapture | tee "$$log"; \
	bodies=$$(grep -c '^test .* ok$$' "$$log"); \
	echo "$$bodies fuzz bodies, $$((bodies * $(FUZZ))) runs in $$((SECONDS - start)) s"

.PHONY: miri
miri: ## Run the flow table's tests under miri, which sees every wrong access to memory (needs a nightly toolchain)
	@cargo +nightly miri --version >/dev/null 2>&1 || { \
	    echo "miri: needs a nightly toolchain: rustup toolchain install nightly --component miri,rust-src" >&2; exit 1; }
	PROPTEST_CASES=4 MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --locked -p sluice-engine \
	    --lib --test table -- flow:: cpu:: a_lookup

.PHONY: packages
packages:
	@integration/install-packages
