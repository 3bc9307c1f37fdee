#!/usr/bin/env bash
# PutRecords against kinesalite and against this server: the same generator, interleaved rounds, 500 records of 100 B a
# request over 4 connections. Prints records per second of each round and the ratio of the medians.
#   needs: node and npm.   usage: bench/peers/kinesalite.sh [ROUNDS=5]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd); rounds=${1:-5}
scratch=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$scratch"' EXIT
(cd "$root" && go build -o "$scratch/shardmill" ./cmd/shardmill)
(cd "$scratch" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund kinesalite@3.3.3 >/dev/null)
peer=$((20000 + RANDOM % 10000)) ours=$((30000 + RANDOM % 10000))
node "$scratch/node_modules/kinesalite/cli.js" --port $peer --createStreamMs 0 --shardLimit 1000 >"$scratch/peer.log" 2>&1 &
"$scratch/shardmill" serve --data "$scratch/data" --durability os --listen 127.0.0.1:$ours --tls off --native off >"$scratch/ours.log" 2>&1 &
for port in $peer $ours; do
  for _ in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null && break; sleep 0.1; done
done
load() { # port, file
  "$scratch/shardmill" load run --target "kinesis+http://127.0.0.1:$1" --mode saturate --size 100 --batch-records 500 \
    --producers 4 --ack os --shards 4 --duration 5s --warmup 2s --no-verify --stream "peer-$RANDOM" --json "$2" >/dev/null
  grep -m1 -o '"records_per_second": *[0-9.e+]*' "$2" | grep -o '[0-9.e+]*$'
}
for i in $(seq "$rounds"); do
  printf 'round %d  kinesalite %s  shardmill %s\n' "$i" "$(load $peer "$scratch/p.json")" "$(load $ours "$scratch/o.json")"
done | tee "$scratch/table"
middle() { awk "{print \$$1}" "$scratch/table" | sort -g | sed -n "$(((rounds + 1) / 2))p"; }
awk -v ours="$(middle 6)" -v peer="$(middle 4)" 'BEGIN { printf "ratio of medians %.1f\n", ours / peer }'
