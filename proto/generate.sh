#!/bin/sh
# Generates the Go code of every .proto file beside it, with the plugins that
# go.mod pins. Needs protoc (Debian: protobuf-compiler and
# libprotobuf-dev).
set -eu
cd "$(dirname "$0")"
protoc -I . \
  --plugin=protoc-gen-go="$(go tool -n protoc-gen-go)" \
  --plugin=protoc-gen-go-grpc="$(go tool -n protoc-gen-go-grpc)" \
  --go_out=. --go_opt=paths=source_relative \
  --go-grpc_out=. --go-grpc_opt=paths=source_relative \
  lockstep/v1/*.proto onnx/*.proto
