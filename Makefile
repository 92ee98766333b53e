# Every module of go.work is found, none is listed here.
# MODULES='soroban bench' restricts a target to some modules.

.DEFAULT_GOAL := help
.PHONY: help deps build test lint fmt bench bench-stores bench-http bench-retention bench-growth microbench fuzz torture model examples conformance

export MODULES TESTFLAGS FUZZTIME GROWTH_KEYS GROWTH_STORES RETENTION_ROWS BENCH_QUICK DSN

FUZZTIME ?= 20s
TORTURE  ?= 20
OPS      ?= 20000

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

deps: ## install what the tests need beyond Go (C compiler, Node.js, Python, PostgreSQL)
	@scripts/deps.sh

build: ## compile everything; the binary goes to bin/onceward
	@scripts/build.sh

test: deps ## test every module with the race detector
	@scripts/test.sh

lint: ## check format, vet, golangci-lint and module files of every module
	@scripts/lint.sh

fmt: ## format, and repair what linters can repair
	@FIX=1 scripts/lint.sh

bench: ## measure stores, middleware, and HTTP beside other layers; results in bench/results
	@scripts/bench.sh

bench-stores: ## the part of bench that needs no HTTP: stores, middleware, the loss watermark
	@scripts/bench.sh stores

bench-http: ## the part of bench over HTTP, beside other layers
	@scripts/bench.sh http

bench-retention: ## sweeps and table size with 5 million records (RETENTION_ROWS) while traffic runs
	@scripts/bench.sh retention

bench-growth: ## latency and memory at 1 and 10 million keys (GROWTH_KEYS=1,10,50); takes long
	@scripts/bench.sh growth

microbench: ## run the Go benchmarks of every module
	@scripts/each.sh -run '^$$' -bench . -benchmem $(TESTFLAGS)

fuzz: ## run every fuzz target for FUZZTIME (20s) each
	@scripts/fuzz.sh

torture: deps ## attack real processes for OPS (20,000) operations, then repeat the randomized tests
	@go run ./cmd/onceward/torture -ops $(OPS) -restores 3 -channels 64 -clients 96 -faulty 15 -ledger-interval 100ms -every-boundary
	@go run ./cmd/onceward/torture -store postgres: -ops $(OPS) -restores 1 -channels 64 -clients 96 -faulty 15 -ledger-interval 100ms
	@scripts/each.sh -race -timeout 60m -count $(TORTURE) -run 'Torture|Metamorphic|Crash' $(TESTFLAGS)

model: ## check the model of the chain protocol within larger bounds, minutes
	@ONCEWARD_MODEL=large MODULES=soroban scripts/each.sh -run '^TestModel' -count 1 -timeout 60m -v $(TESTFLAGS)

examples: ## run the runnable examples of the documentation
	@scripts/each.sh -run '^Example' -v $(TESTFLAGS)

conformance: ## run the store contract on the PostgreSQL or Citus at DSN=postgres://...
	@scripts/conformance.sh
