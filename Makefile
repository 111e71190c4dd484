# What a developer types. `make` alone explains itself.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/lockstep-ml/lockstep/internal/build.version=$(VERSION)
# docker compose v2 where it is, else docker-compose
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
# packages whose goroutines meet
RACE := ./internal/local ./internal/secure ./pkg/allreduce/... ./pkg/cluster ./pkg/coordinator ./pkg/worker ./pkg/client ./pkg/dataset

.PHONY: help build test race e2e generate lint verify bench bench-peers bench-torch test-arm64 test-avx512 image up down clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## static binaries lockstep, coordinator and worker in bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

test: ## all tests but those that start clusters of processes
	go test ./...

race: ## tests of the concurrent packages under the race detector
	go test -race $(RACE)
	go test -race -short ./pkg/tensor

e2e: ## whole clusters of real processes, with faults
	LOCKSTEP_E2E=1 go test -count=1 -timeout 20m ./internal/e2e/...

generate: ## everything that is generated: .proto, kernels, docs
	sh proto/generate.sh
	go generate ./...

lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l cmd internal pkg proto examples)" || { echo 'gofmt -w these files:'; gofmt -l cmd internal pkg proto examples; exit 1; }
	go vet ./...
	@command -v staticcheck >/dev/null || { echo 'install it: go install honnef.co/go/tools/cmd/staticcheck@v0.8.2'; exit 1; }
	staticcheck ./...

verify: generate lint ## generated code, formatting and go.mod are as committed
	go mod verify
	go mod tidy -diff
	@test -z "$$(git status --porcelain)" || { echo 'not as committed:'; git status --porcelain; exit 1; }

bench: ## products, ring and training on this machine, one JSON object a line
	go run ./cmd/lockstep bench gemm --json
	go run ./cmd/lockstep bench allreduce --world 2 --bytes 64MiB --json
	go run ./cmd/lockstep bench train --json

bench-peers: ## the same against OpenBLAS and oneDNN, where they are installed
	@if [ -x bench/peers.sh ]; then bench/peers.sh; else echo 'no comparison in this tree: bench/peers.sh is missing'; fi

bench-torch: ## training against PyTorch, where it is installed
	@bench/torch.sh

test-arm64: ## kernels, networks and augmentation give the same bits on an emulated arm64 (Debian: qemu-user)
	@command -v qemu-aarch64 >/dev/null || { echo 'install it: apt-get install qemu-user'; exit 1; }
	mkdir -p dist
	CGO_ENABLED=0 GOARCH=arm64 go test -c -o dist/tensor.test ./pkg/tensor
	CGO_ENABLED=0 GOARCH=arm64 go test -c -o dist/nn.test ./pkg/nn
	CGO_ENABLED=0 GOARCH=arm64 go test -c -o dist/dataset.test ./pkg/dataset
	cd pkg/tensor && qemu-aarch64 ../../dist/tensor.test -test.short
	cd pkg/nn && qemu-aarch64 ../../dist/nn.test -test.run BitsAre
	cd pkg/dataset && qemu-aarch64 ../../dist/dataset.test -test.run 'Bits|Elementary'

test-avx512: ## tests of the AVX-512 kernels on an emulated CPU, where the machine's has none
	internal/asmgen/emulate/run.sh

image: ## container image lockstep:local from the static binary
	mkdir -p dist/image
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o dist/image/lockstep ./cmd/lockstep
	docker build -q -t lockstep:local -f deploy/Dockerfile.binary .

up: image ## three coordinators and three workers in containers
	LOCKSTEP_DOCKERFILE=deploy/Dockerfile.binary $(COMPOSE) up -d --no-build

down: ## stop the containers and remove their volumes
	$(COMPOSE) down -v

clean: ## remove what make made
	rm -rf bin dist
