# `make` alone lists the targets.

GO       ?= go
ARGS     ?=
TEST     ?= ./...
BROKERS  ?= 3
FUZZTIME ?= 30s
MUTATIONS ?= 100000
SEED     ?=
SOCKETS  ?= 10000
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# Checkers, at pinned versions, built once into .tools.
TOOLS         := $(CURDIR)/.tools
STATICCHECK_V := v0.8.2
GOLANGCI_V    := v2.15.0
GOVULNCHECK_V := v1.8.0
STATICCHECK   := $(TOOLS)/staticcheck
GOLANGCI      := $(TOOLS)/golangci-lint
GOVULNCHECK   := $(TOOLS)/govulncheck

# An S3 server for tests, at a pinned version, built once into .tools.
VERSITYGW_V := v1.8.0
VERSITYGW   := $(TOOLS)/versitygw

# Packages whose tests take the log that PARLEY_TEST_KAFKA names. The others have no
# log at all, or one of their own.
KAFKA_TEST ?= ./adapters/kafka/... ./eventstore ./projections ./cmd/parley

# Packages whose goroutines share state: what the race detector is run on. The fault
# suite is not: what it breaks are processes, which it builds without the detector.
RACE ?= ./eventstore/... ./projections/... ./adapters/... ./cmd/bench ./cmd/parley

.DEFAULT_GOAL := help
.PHONY: help build run test test-race test-kafka test-s3 test-faults bench bench-sockets fmt fmt-check vet staticcheck lint vulncheck \
	generate generate-check arrows verify tools postgres clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## Product

build: ## bin/parley
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/parley ./cmd/parley

run: build ## build and start everything on this machine, ARGS='--addr 127.0.0.1:9090'; Ctrl-C stops it
	@bin/parley dev $(ARGS)

## Tests

test: postgres ## the whole suite, or TEST=./domain/...
	$(GO) test -timeout 10m $(TEST)

test-race: postgres ## the packages that share state, under the race detector (needs a C compiler)
	@command -v "$$($(GO) env CC)" >/dev/null || { echo 'test-race: the race detector needs a C compiler: apt-get install gcc' >&2; exit 1; }
	CGO_ENABLED=1 $(GO) test -race -timeout 20m $(RACE)

test-kafka: postgres ## the log, its users and the whole product on a real Apache Kafka, fetched with mvn or found in KAFKA_HOME
	@[ -n "$$KAFKA_HOME" ] || command -v mvn >/dev/null || { \
		echo 'test-kafka: there is no Apache Kafka to test against: install Maven (mvn), which fetches it, or set KAFKA_HOME to an installed distribution' >&2; exit 1; }
	$(GO) run ./adapters/kafka/kafkatest/cluster -brokers $(BROKERS) -- $(GO) test -count=1 -timeout 10m -tags kafka $(KAFKA_TEST)

test-s3: postgres $(VERSITYGW)-$(VERSITYGW_V) ## files in a bucket of a real S3 server, which it builds (minutes, once)
	PARLEY_TEST_VERSITYGW=$(VERSITYGW) $(GO) test -count=1 -timeout 5m -tags s3 -run 'Bucket' ./adapters/files ./cmd/parley

test-faults: postgres ## the fault suite in full, ARGS='-log embedded -case kill -rounds 5'; -list tells the cases (Kafka as test-kafka)
	$(GO) run ./cmd/faults $(ARGS)

# The first test that finds no Postgres installs it. One package alone goes
# first then, so that the others do not wait for the package manager's lock.
postgres:
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
		$(GO) test -count=1 -timeout 15m ./adapters/postgres/pgtest

fuzz: ## every fuzz target for FUZZTIME, one after another; FUZZ=Decode chooses by name
	@GO='$(GO)' FUZZTIME='$(FUZZTIME)' FUZZ='$(FUZZ)' .ci/fuzz

test-mutations: postgres ## MUTATIONS spoilt requests to every endpoint of a running Parley; SEED repeats a run
	PARLEY_TEST_MUTATIONS=$(MUTATIONS) PARLEY_TEST_SEED=$(SEED) $(GO) test -count=1 -timeout 60m -v -tags mutations -run '^TestMutations$$' ./cmd/parley

bench: postgres ## measure ingest, projection, delivery and the whole ring, each beside its ceiling
	$(GO) run ./cmd/bench $(ARGS)

bench-sockets: ## measure what SOCKETS idle sockets of ChannelX cost, and how long an event to all of them takes
	PARLEY_TEST_SOCKETS=$(SOCKETS) $(GO) test -count=1 -timeout 10m -v -tags sockets -run '^TestIdleSockets$$' ./adapters/channelx

## Checks

fmt: $(GOLANGCI)-$(GOLANGCI_V) ## format the code
	$(GOLANGCI) fmt ./...

fmt-check:
	@files=$$(find . -name '*.go' -not -path './.*' -exec gofmt -l {} +); \
	if [ -n "$$files" ]; then printf 'not formatted, run make fmt:\n%s\n' "$$files" >&2; exit 1; fi

vet: ## go vet, with the tests for a real Kafka and a real S3 server too
	$(GO) vet ./...
	$(GO) vet -tags kafka,s3 ./...

staticcheck: $(STATICCHECK)-$(STATICCHECK_V) ## staticcheck
	$(STATICCHECK) -tags kafka,s3 ./...

lint: $(GOLANGCI)-$(GOLANGCI_V) ## golangci-lint, see .golangci.yml
	$(GOLANGCI) run --allow-serial-runners $(TEST)

vulncheck: $(GOVULNCHECK)-$(GOVULNCHECK_V) ## govulncheck, where its database can be reached
	@GOVULNCHECK=$(GOVULNCHECK) .ci/vulncheck ./...

generate: ## rewrite generated files
	$(GO) generate ./...

generate-check:
	@.ci/generated $(GO) generate ./...

arrows:
	$(GO) test -count=1 -run '^TestImport' ./cmd/parley

verify: fmt-check vet staticcheck lint vulncheck generate-check arrows ## every check that is not a test of behaviour

tools: $(STATICCHECK)-$(STATICCHECK_V) $(GOLANGCI)-$(GOLANGCI_V) $(GOVULNCHECK)-$(GOVULNCHECK_V) ## build the checkers into .tools (minutes, once)

# A stamp carries the version, so that a new pin builds anew.
$(STATICCHECK)-$(STATICCHECK_V):
	GOBIN=$(TOOLS) $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_V)
	@touch $@
$(GOLANGCI)-$(GOLANGCI_V):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_V)
	@touch $@
$(GOVULNCHECK)-$(GOVULNCHECK_V):
	GOBIN=$(TOOLS) $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_V)
	@touch $@
$(VERSITYGW)-$(VERSITYGW_V):
	GOBIN=$(TOOLS) $(GO) install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_V)
	@touch $@

clean: ## remove bin and .tools; the data in .parley stays
	rm -rf bin .tools
