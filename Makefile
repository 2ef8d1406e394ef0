# The commands of the project; `make help` lists them.

# Tests and the static operator are built for one target with one set of flags, so that they share
# every compiled dependency.
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS_OF_HOST := CARGO_TARGET_$(shell echo '$(HOST)' | tr 'a-z-' 'A-Z_')_RUSTFLAGS
CARGO_BUILD_TARGET ?= $(HOST)
export CARGO_BUILD_TARGET
ifneq (,$(findstring linux-gnu,$(HOST)))
$(RUSTFLAGS_OF_HOST) ?= -C target-feature=+crt-static
export $(RUSTFLAGS_OF_HOST)
endif

# make demo KEEP=1 leaves the cluster up; CLUSTER=current REGISTRY=... plays on the current context.
export KEEP CLUSTER REGISTRY
# make bench RUNS=5 measures each thing five times; SERIES=handovers only those (minutes, rollouts, handovers).
RUNS ?= 20
export RUNS
ifdef SERIES
export SERIES
endif

# Drawn tests draw the same everywhere, so that a red run can be repeated; PROPTEST_RNG_SEED=N draws others.
PROPTEST_RNG_SEED ?= 20261123
export PROPTEST_RNG_SEED

IMAGE ?= hotfix-operator:dev
ENGINE ?= podman

.DEFAULT_GOAL := help
.PHONY: help demo test rollouts hostile faults unit fuzz explore bench generate lint down image

help: ## List the commands.
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: ## Boot a throw-away cluster and play both stories on it (root, Go). KEEP=1 leaves it up.
	@cargo build -p hotfix-e2e --bin demo --bin local-cluster
	@cargo run -p hotfix-e2e --bin demo

test: unit ## Run all tests, also those on a real cluster (root, Go).
	cargo run --quiet --profile explore -p hotfix-explorer
	cargo test --profile explore -p hotfix-explorer
	cargo test -p hotfix-e2e --lib --bins --test admission --test chart --test cluster --test writes --test leaders --test rollouts
	cargo test -p hotfix-e2e --test hostile -- rights
	$(MAKE) faults N=120 MUTANTS=0

rollouts: ## Play whole rollouts on a real cluster (root, Go); ONLY="kill drain" chooses some by their names.
	cargo test -p hotfix-e2e --test rollouts -- $(ONLY)

hostile: ## Take rights away, make every field wrong, garble what is read (root, Go). ONLY="rights fields" N=20 CHANGE=slot ALL=1 SEED=7
	cargo test -p hotfix-e2e --test hostile -- $(ONLY)

# Optimised, a run costs a third less, which pays for the longer build where there are thousands.
faults: WHOLE := $(if $(ALL),--release)
faults: ## Let calls to a real API server go wrong (root, Go). N=120 ALL=1 PART=3/10 SEED=7 LANES=8 PLAN='...' SCENARIOS=...
	@cargo build $(WHOLE) -p securityhotfix --bin hotfix-operator
	@cargo run $(WHOLE) -p hotfix-e2e --bin faults

unit: ## Run the tests that need neither root nor Go.
	cargo test -p securityhotfix -p hotfix-fuzz

# The flags by which the compiler tells libFuzzer what was reached; no sanitizer, since there is no unsafe code to find
# out. The fuzzer itself is C++, so this needs a C++ compiler.
COVERED := --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0
TARGET ?= $(notdir $(wildcard fuzz/corpus/*))
fuzz: SECONDS ?= 60
fuzz: ## Look for bytes that break a target of fuzz/. TARGET="trivy osv" SECONDS=300; MERGE=1 keeps what was found.
	RUSTFLAGS='$(COVERED)' cargo build --quiet --profile fuzz -p hotfix-fuzz
	@fuzz/run.sh '$(CARGO_BUILD_TARGET)' '$(SECONDS)' '$(MERGE)' $(TARGET)

explore: ## Explore every interleaving of the planner with a small world, and break it on purpose. DEEP=1 goes further.
	@cargo run --profile explore -p hotfix-explorer -- $(if $(DEEP),deep)

bench: ## Measure latencies on the real cluster (root, Go). RUNS=5 for a quick look.
	@cargo run -p hotfix-e2e --bin bench

generate: ## Write the definitions, the roles and the manifests from their sources (Go, for Helm).
	UPDATE=1 cargo test --quiet -p securityhotfix --test generated
	UPDATE=1 cargo test --quiet -p hotfix-e2e --test chart

lint: ## Check format and lints, and the licences of dependencies where cargo-deny is installed.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check; else echo 'cargo-deny is not installed: skipped'; fi

down: ## Remove the demonstration's cluster and what died of others; ALL=1 every local cluster, also those in use.
	@cargo build -p hotfix-e2e --bin local-cluster
	@cargo run --quiet -p hotfix-e2e --bin local-cluster -- down $(if $(ALL),--all,--name demo --idle)

image: ## Build the operator's image with a container engine: IMAGE=..., ENGINE=podman or docker.
	$(ENGINE) build --file Containerfile --tag $(IMAGE) .
