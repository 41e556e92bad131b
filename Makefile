# The two commands: `make demo` shows the thing working, `make test` runs all tests. All install what they need
# from Debian's packages when root runs them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help packages build demo peers test simulate machine differential e2e lint deny bench bench-peers bench-readme bench-steps bench-cluster image deb

help:
	@echo "make demo    build, and show it working: namespaces, a directory of manifests, real traffic"
	@echo "make test    run all tests (root)"
	@echo "make simulate  the whole loop on kernels in memory, with random faults, for about half an hour (SEEDS=N)"
	@echo "make machine every scenario, and what needs modules that not every kernel has, in virtual machines, on four kernels (root, half an hour)"
	@echo "make differential  compare us with the real kube-proxy, packet by packet, at length (root, half an hour)"
	@echo "make lint    check formatting, and clippy with warnings denied"
	@echo "make deny    licences, versions and sources of all crates, by cargo-deny; DENY=advisories: known vulnerabilities"
	@echo "make bench   iptables mode, kube-proxy's nftables mode, IPVS and kube-verdict side by side (root, 15 minutes)"
	@echo "make bench-peers  build the real kube-proxy that the benchmark measures"
	@echo "make bench-steps  what each step from an object to the kernel takes, and how much memory is allocated for a change (root)"
	@echo "make bench-cluster  with a real API server, next to the real kube-proxy (root, ten minutes)"
	@echo "make image   the container image, as an archive in target/"
	@echo "make deb     the Debian package for machines without Kubernetes, in target/"
	@echo "make e2e     a cluster of three nodes on this machine, and upstream's e2e suite for Services (root)"
	@echo "make build   the release binary: target/release/kube-verdict"

packages:
	@scripts/packages.sh

build: packages
	cargo build --release --locked

demo: build
	cargo build --release --locked -p kube-verdict-scenario-tests --example demo
	scripts/demo.sh

# The real etcd, kube-apiserver and kube-proxy that tests run against: built once, kept in ~/.cache/kube-verdict.
peers: packages
	scripts/peers.sh

# The scenario tests start the daemon as a user would: it is built first. They run twice: on this machine's kernel, and
# in IPVS mode in a virtual machine.
test: packages peers
	cargo build --locked
	cargo test --workspace --locked --no-fail-fast
	KUBE_VERDICT_MODE=ipvs scripts/vm/test.sh $(KERNEL) --workspace --test scenarios

# The whole loop on kernels in memory, from random seeds (docs/simulation.md). One that fails says how to see it again.
SEEDS ?= 50000
simulate:
	KUBE_VERDICT_SEEDS=$(SEEDS) cargo test --locked -p kube-verdict --lib simulation::tests::seeds -- --nocapture

# In virtual machines: what needs IPVS, ipsets and dummy devices, and every scenario, in each mode. `make test` has it
# on one kernel.
KERNEL ?= 6.1
KERNELS ?= 5.10 6.1 6.12 7.2
MODES ?= nftables ipvs
machine: packages
	set -e; for kernel in $(KERNELS); do \
		KUBE_VERDICT_VM_KERNEL=$$kernel cargo test --workspace --locked --test machine; \
		for mode in $(MODES); do KUBE_VERDICT_MODE=$$mode scripts/vm/test.sh $$kernel --workspace --test scenarios; done; \
	done

# The same objects and packets to the real kube-proxy and to us, for about half an hour.
differential: packages peers
	KUBE_VERDICT_STEPS=1000 cargo test --locked -p kube-verdict-scenario-tests --test differential -- --nocapture

lint: packages
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

# What deny.toml says. Advisories are in a database on GitHub: whoever has the network asks for them by name.
DENY ?= licenses bans sources
deny:
	@cargo deny --version >/dev/null 2>&1 || \
		{ echo "cargo-deny is missing. Install it, which takes a few minutes: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny --locked check $(DENY)

# The benchmark starts the daemon that was built beside it, and the real kube-proxy if it is there or can be built.
# BENCH: more words for its command line.
bench: build
	cargo build --release --locked -p kube-verdict-bench
	@if command -v go >/dev/null || [ -x /usr/local/go/bin/go ]; then scripts/peers.sh kube-proxy >/dev/null || \
		echo "kube-proxy cannot be built: it is measured only if it is there already" >&2; \
	else echo "Go is not there: the real kube-proxy is measured only if it was built before (make bench-peers)" >&2; fi
	target/release/kube-verdict-bench run $(BENCH)

# Where there is no Go, one is fetched.
bench-peers: packages
	scripts/peers.sh kube-proxy

# The figures of README, and its picture, from the run in benches/results/.
bench-readme:
	cargo run --release --locked -p kube-verdict-bench -- report benches/results --readme README.md

# Of our own steps alone, at 10,000 Services of 10 endpoints; criterion compares them with the last time.
bench-steps: packages
	cargo bench --locked -p kube-verdict-bench

# The same number of Services in a real API server: us, and the real kube-proxy.
bench-cluster: build peers
	cargo run --release --locked -p kube-verdict-bench -- inside cluster

# The container image, as a file for `ctr images import`, `docker load` or `podman load`.
image: build
	scripts/image.sh

# For a machine without Kubernetes: the daemon with a unit for systemd.
deb: build
	scripts/deb.sh

# A whole cluster with that image on every node, and upstream's own tests. PROXY=kube-proxy: the real one instead.
e2e: image
	scenario-tests/e2e/run.sh
