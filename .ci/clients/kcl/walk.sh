#!/usr/bin/env bash
# Calls the neighbours (DynamoDB, CloudWatch, STS) with boto3, then runs two workers of the Kinesis Client Library 3, from
# Maven Central, on them: by polling and by enhanced fan-out. The server is one of its own, which verifies signatures and
# syncs what it acknowledges. Expects python3 with boto3.  usage: walk.sh BINARY
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); binary=$1
scratch=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$scratch"' EXIT
port=$((20000 + RANDOM % 20000))
export AWS_ACCESS_KEY_ID=walker AWS_SECRET_ACCESS_KEY=secret/key+1 AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
SHARDMILL_AUTH_KEYS=walker:secret/key+1 "$binary" serve --data "$scratch/data" --listen 127.0.0.1:$port --tls off --native off >"$scratch/server.log" 2>&1 &
for _ in $(seq 100); do grep -q 'Ready\.$' "$scratch/server.log" && break; sleep 0.1; done
grep -q 'Ready\.$' "$scratch/server.log" || { echo "the server did not start:"; cat "$scratch/server.log"; exit 1; }
eval "$("$binary" env --endpoint http://127.0.0.1:$port)"
python3 "$here/neighbours_walk.py"
for tool in mvn java; do
  command -v $tool >/dev/null || { echo "== SKIPPED: there is no $tool here, so the Kinesis Client Library did not run"; exit 0; }
done
cp -r "$here/pom.xml" "$here/src" "$scratch"
for retrieval in polling fanout; do
  if ! (cd "$scratch" && mvn -B -q -Dstyle.color=never compile exec:java -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    -Dexec.args="http://127.0.0.1:$port $retrieval") >"$scratch/$retrieval.log" 2>&1; then
    tail -n 60 "$scratch/$retrieval.log"; echo "FAILED: Kinesis Client Library by $retrieval"; exit 1
  fi
  grep -o 'kcl-[a-z]*: .*' "$scratch/$retrieval.log" | sed 's/^/ok  /'
done
echo "2 passed, 0 failed"
