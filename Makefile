# `make help` lists the targets.
GO            ?= go
GOLANGCI_LINT ?= $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   ?= $(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0
VULNERABILITIES ?= https://vuln.go.dev
FUZZTIME      ?= 60s
# The longest tests come early, so that nothing waits for their ends alone.
PACKAGES      := ./internal/... ./test/soak ./test/history ./test/faults ./test/interop ./test/defects ./...
# How many packages are tested at once: they wait for engines more than they work.
AT_ONCE       ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 3 / 2 )))
# Of SQLite, which is C translated to Go, the race detector is kept, and what comes with it
# is not: checkptr looks for Go's pointers, finds none in C's memory, and takes half of the time.
NO_CHECKPTR   := -gcflags=modernc.org/...=-d=checkptr=0
VERSION       ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

.DEFAULT_GOAL := help
.PHONY: help build run check test cover lint fmt generate verify fuzz bench load torture beside newest clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/stoker.
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/stoker ./cmd/stoker

run: ## Run a whole control plane on 127.0.0.1:8776.
	$(GO) run ./cmd/stoker standalone

check: ## A quick look: vet, and the tests that need no engine, in less than a minute.
	$(GO) vet ./...
	$(GO) test -short ./internal/... ./cmd/...

# In the environment: tests build the program with it, too.
test torture: export GOFLAGS += $(NO_CHECKPTR)

test: ## Run every test, with the race detector; none from the cache.
	./test/peers/install.sh
	$(GO) test -race -count=1 -p $(AT_ONCE) -timeout 30m $(PACKAGES)

cover: ## Test coverage by package.
	$(GO) test -cover ./internal/...

lint: ## Check style, what the modules are, and, where its list can be had, for known vulnerabilities.
	$(GO) mod verify
	$(GOLANGCI_LINT) run ./...
	@if curl -fsS -m 10 -o /dev/null $(VULNERABILITIES)/index/modules.json 2>/dev/null; then $(GOVULNCHECK) -db $(VULNERABILITIES) ./...; \
	else echo "not run: govulncheck, as $(VULNERABILITIES) cannot be reached"; fi

fmt: ## Format as the linter wants it.
	$(GOLANGCI_LINT) fmt ./...

generate: ## Rewrite golden files and generated documents.
	grep -rl 'flag.Bool("update"' --include='*_test.go' internal | xargs -n 1 dirname | sort -u | xargs -I % $(GO) test ./% -update

verify: generate ## Fail when a golden file or generated document is not up to date.
	git diff --exit-code

fuzz: ## Run every fuzz target for FUZZTIME (60s) each.
	./test/fuzz.sh $(FUZZTIME)

bench: ## Go benchmarks, then the load runs that doc/performance.md quotes.
	$(GO) test -run '^$$' -bench . -benchmem ./internal/...
	$(MAKE) load

load: ## Load runs over loopback, beside a bare net/http handler.
	$(GO) run ./test/bench

torture: ## The model test, odd texts, kills, the soak and the history at length.
	STOKER_MODEL_STEPS=100000 $(GO) test -count=1 -run '^TestModel$$' -timeout 3h -v ./internal/control
	STOKER_TEXTS=100000 STOKER_TEXTS_SEED=$$(date +%s) $(GO) test -count=1 -timeout 3h -v ./test/texts
	STOKER_KILLS=200 $(GO) test -race -count=1 -timeout 3h -v ./test/kill
	STOKER_SOAK=30m $(GO) test -race -count=1 -timeout 1h -v ./test/soak
	STOKER_HISTORY=1h $(GO) test -race -count=1 -timeout 3h -v ./test/history

beside: ## Lists and get-log beside a real Cinder, for half an hour: see test/peers/install.sh.
	$(GO) test ./test/bench -run '^$$' -bench BesideCinder -benchtime 1x -timeout 1h

newest: export GOFLAGS += $(NO_CHECKPTR)

newest: ## The tests beside a real Cinder and Keystone, with those of Debian sid: Cinder 29 and newer.
	./test/peers/install.sh sid
	STOKER_REQUIRE_PEERS=1 STOKER_RELEASES=sid $(GO) test -race -count=1 -timeout 1h ./test/interop ./test/defects ./test/identity

clean: ## Remove what the targets above made.
	rm -rf bin
