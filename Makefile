# Every target works on a machine that has only Go; test-clients also needs Python 3 with pip.

GO      ?= go
CYCLES  ?= 500
FUZZTIME ?= 10s
LINT    := bin/golangci-lint

.DEFAULT_GOAL := help
.PHONY: help build test race stress lint fuzz-short crash test-clients bench bench-smoke bench-peers cover cross clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/shardmill
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/shardmill ./cmd/shardmill

test: ## run all tests, in about a minute
	$(GO) test -timeout 10m ./...

race: ## run all tests under the race detector
	$(GO) test -race -timeout 40m ./...

stress: ## run the lane's tests with the scheduler stirred between its atomics
	$(GO) test -race -tags lanestress -count=2 -timeout 40m ./engine/lane

lint: $(LINT) ## check format, vet and golangci-lint (pinned in .ci/lint, built into bin/)
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt'd:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags lanestress ./engine/lane
	$(LINT) run ./...

$(LINT): .ci/lint/go.mod .ci/lint/go.sum
	cd .ci/lint && CGO_ENABLED=0 $(GO) build -trimpath -o ../../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

fuzz-short: ## run every fuzz target for FUZZTIME (10s) each
	@set -e; \
	targets=$$(grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | wc -l); \
	echo "$$targets fuzz targets, $(FUZZTIME) each"; \
	[ "$$targets" -gt 0 ]; \
	grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | while IFS=: read -r file _ func; do \
		name=$${func#func }; pkg=$$(dirname "$$file"); \
		echo "== $$pkg $$name"; \
		$(GO) test "$$pkg" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) </dev/null; \
	done

crash: ## kill -9 a real server CYCLES (500) times and check what it acknowledged
	$(GO) test ./cmd/shardmill -run TestCrash -count=1 -v -timeout 120m -args -cycles=$(CYCLES)

test-clients: ## walk through the API with the AWS CLI and boto3
	.ci/clients/run

bench: build ## measure every part beside its probe: bench/results/latest.json, exit 7 under a floor
	@mkdir -p bench/results
	bin/shardmill bench --json bench/results/latest.json

bench-smoke: build ## the same in short rounds and at a fifth of the floors (a busy machine passes, a broken part does not), and one pass through every micro-benchmark
	@mkdir -p bin
	bin/shardmill bench --quick --slack 0.2 --json bin/bench-smoke.json
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 20m ./...

bench-peers: ## the same load against kinesalite and against this server (needs node and npm)
	bench/peers/kinesalite.sh

cover: ## test coverage per function into coverage.out, total on the last line
	$(GO) test -timeout 20m -coverprofile coverage.out -coverpkg ./... ./...
	$(GO) tool cover -func coverage.out | tail -n 1

cross: ## compile for the systems we cannot run here
	GOOS=linux GOARCH=arm64 $(GO) vet ./...
	GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	GOOS=windows GOARCH=amd64 $(GO) vet ./...

clean: ## remove what the targets above made (never a data folder)
	rm -rf bin shardmill coverage.out
	find . -path ./.git -prune -o -type f \( -name '*.test' -o -name '*.prof' \) -exec rm -f {} +
