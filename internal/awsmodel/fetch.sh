#!/usr/bin/env bash
# fetch.sh: generate transport/kinesisapi anew from the pinned public service model. Needs pip and Go; leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$dir" botocore==1.44.5
go run ./internal/awsmodel -model "$dir"/botocore-1.44.5-py3-none-any.whl -out transport/kinesisapi
