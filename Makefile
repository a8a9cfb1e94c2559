# The commands of this repository. Each of them prepares what it needs.

.PHONY: demo demo-check test soak fuzz setup build
.DEFAULT_GOAL := build

# Starts a whole tree on loopback, shows it, and keeps it running until Ctrl-C.
demo: setup build
	cargo run --quiet --bin watershed -- demo

# Starts the same tree, compares its numbers with the ground truth, and stops it.
demo-check: setup build
	cargo run --quiet --bin watershed -- demo --check

# Format, lints, and every test, those with real peers among them.
test: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo build --workspace --bins
	cargo test --workspace --no-fail-fast

# Kills tiers of a running tree at random for SOAK_SECONDS, and then asks for every acknowledged sample.
# Before that, many more seeded queries than in the tests.
soak: export SOAK_SECONDS ?= 1800
soak: export FUZZ_ROUNDS ?= 200000
soak: setup build
	cargo test --package promql --test fuzz
	cargo test --package system-tests --test soak -- --ignored --nocapture

# Lets libFuzzer look for queries that break the engine, for FUZZ_SECONDS.
fuzz: FUZZ_SECONDS ?= 600
fuzz: setup
	rustup toolchain install --profile minimal nightly
	command -v cargo-fuzz || cargo install --locked cargo-fuzz
	cargo +nightly fuzz run promql -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -rss_limit_mb=2048

build:
	cargo build --workspace --bins

# Debian's programs that the demo and the tests run beside ours.
setup:
	@.ci/setup
