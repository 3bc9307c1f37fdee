#!/usr/bin/env bash
# Puts records with the Kinesis Producer Library, from Maven Central, and reads them back with tail, which takes the
# aggregated records apart. The library speaks TLS only, so this starts a server of its own.  usage: walk.sh BINARY
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); binary=$1 records=20000
for tool in mvn java; do
  command -v $tool >/dev/null || { echo "SKIPPED: there is no $tool here, so the Kinesis Producer Library did not run"; exit 0; }
done
scratch=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$scratch"' EXIT
cp -r "$here/pom.xml" "$here/src" "$scratch"
port=$((20000 + RANDOM % 20000))
"$binary" serve --ephemeral --listen 127.0.0.1:$port --tls 127.0.0.1:$((port + 1)) --native off --streams kpl:4 >"$scratch/server.log" 2>&1 &
for _ in $(seq 100); do grep -q 'Ready\.$' "$scratch/server.log" && break; sleep 0.1; done
grep -q 'Ready\.$' "$scratch/server.log" || { echo "the server did not start:"; cat "$scratch/server.log"; exit 1; }
mkdir "$scratch/tmp"
if ! (cd "$scratch" && mvn -B -q -Dstyle.color=never compile exec:java -Djava.io.tmpdir="$scratch/tmp" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
  -Dexec.args="127.0.0.1 $((port + 1)) kpl $records") >"$scratch/put.log" 2>&1; then
  tail -n 60 "$scratch/put.log"; echo "FAILED: put"; exit 1
fi
grep -o "$records records in 4 shards.*" "$scratch/put.log" || { tail -n 20 "$scratch/put.log"; echo "FAILED: not all shards were written to"; exit 1; }
export AWS_ENDPOINT_URL_KINESIS=http://127.0.0.1:$port
"$binary" tail kpl --from horizon --no-follow -o '%k %v' | sort >"$scratch/got"
for ((i = 0; i < records; i++)); do echo "key-$((i % 1000)) record $i"; done | sort >"$scratch/want"
cmp "$scratch/got" "$scratch/want" || { echo "FAILED: $(wc -l <"$scratch/got") records come back, want $records"; exit 1; }
stored=$("$binary" tail kpl --from horizon --no-follow --no-deaggregate -o '%n' | wc -l)
[ "$stored" -lt $((records / 10)) ] || { echo "FAILED: $stored records are stored: nothing was aggregated"; exit 1; }
echo "ok  $records records put, stored as $stored, all back with their keys"
echo "1 passed, 0 failed"
