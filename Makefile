# Titrate. `make` alone lists what there is.
.DEFAULT_GOAL := help
GO ?= go
BIN := .cache/bin

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/titrate
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/titrate ./cmd/titrate

check: ## the fast tests: no network, under a minute
	$(GO) vet ./...
	$(GO) test ./...

test: ## everything: every test, also the slow ones and the demo
	test/test.sh

race: ## the packages with goroutines under the race detector
	$(GO) test -race -timeout 20m ./internal/...

lint: $(BIN)/golangci-lint ## the linter, with the floors
	$(BIN)/golangci-lint run ./...

generate: ## write generated files anew (schema, reference pages, golden texts)
	$(GO) test ./internal/manifest ./internal/explain ./internal/api ./internal/cli -run 'Generated|Reference|Golden' -update

verify: ## fail if generated files are stale
	test/verify.sh

mutate: ## share of planted faults that the tests of rollout and analysis find
	test/mutate.sh

simulate: ## a million looks at random histories with every fault
	$(GO) run ./cmd/titrate simulate --looks 1000000

bench: ## the figures, each with the command that repeats it
	bench/run.sh

release: ## static programs, .deb, images, SBOM and checksums in bin/release; VERSION=1.2.3
	packaging/image/rootfs.sh bin/rootfs amd64 arm64
	cd tools/release && $(GO) run . -rootfs ../../bin/rootfs $(if $(VERSION),-version $(VERSION))

$(BIN)/golangci-lint: tools/lint/go.mod
	@mkdir -p $(BIN)
	cd tools/lint && $(GO) build -o ../../$(BIN)/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: help build check test race lint generate verify mutate simulate bench release
