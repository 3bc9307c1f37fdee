#!/usr/bin/env bash
# Walks the Kinesis API with the AWS CLI, as a person at a shell would, against AWS_ENDPOINT_URL_KINESIS.
# Prints one line a step and "N passed, 0 failed"; stops at the first failure with exit status 1.
set -euo pipefail
stream=awscli-walk passed=0
ok() { passed=$((passed + 1)); echo "ok  $1"; }
fail() { echo "FAILED: $1"; echo "$passed passed, 1 failed"; exit 1; }
is() { [ "$2" = "$3" ] && ok "$1" || fail "$1: got '$2', want '$3'"; }
k() { aws kinesis "$@" --output text; }

k create-stream --stream-name $stream --shard-count 1
aws kinesis wait stream-exists --stream-name $stream
is "list-streams" "$(k list-streams --query 'StreamNames[?@==`'$stream'`]')" $stream
is "describe-stream-summary" "$(k describe-stream-summary --stream-name $stream --query StreamDescriptionSummary.StreamStatus)" ACTIVE
seq=$(k put-record --stream-name $stream --partition-key a --data 'hello from the shell' --query SequenceNumber)
is "put-record answers 56 digits" "${#seq}" 56
is "put-records" "$(k put-records --stream-name $stream --records Data=one,PartitionKey=a Data=two,PartitionKey=b --query FailedRecordCount)" 0
it=$(k get-shard-iterator --stream-name $stream --shard-id shardId-000000000000 --shard-iterator-type TRIM_HORIZON --query ShardIterator)
is "get-records" "$(k get-records --shard-iterator "$it" --query 'length(Records)')" 3
is "the data is what was put" "$(k get-records --shard-iterator "$it" --query 'Records[0].Data' | base64 -d)" 'hello from the shell'
it=$(k get-shard-iterator --stream-name $stream --shard-id shardId-000000000000 --shard-iterator-type AFTER_SEQUENCE_NUMBER --starting-sequence-number "$seq" --query ShardIterator)
is "after the first sequence number" "$(k get-records --shard-iterator "$it" --query 'Records[0].PartitionKey')" a
k split-shard --stream-name $stream --shard-to-split shardId-000000000000 --new-starting-hash-key 170141183460469231731687303715884105728
aws kinesis wait stream-exists --stream-name $stream
is "split-shard" "$(k list-shards --stream-name $stream --query 'length(Shards)')" 3
k merge-shards --stream-name $stream --shard-to-merge shardId-000000000001 --adjacent-shard-to-merge shardId-000000000002
aws kinesis wait stream-exists --stream-name $stream
is "merge-shards" "$(k describe-stream-summary --stream-name $stream --query StreamDescriptionSummary.OpenShardCount)" 1
is "the merged shard has two parents" "$(k list-shards --stream-name $stream --query 'Shards[3].[ParentShardId,AdjacentParentShardId]')" \
  "$(printf 'shardId-000000000001\tshardId-000000000002')"
if message=$(k describe-stream --stream-name nobody 2>&1); then fail "a missing stream should be refused"; fi
case $message in *ResourceNotFoundException*"Stream nobody under account"*"not found."*) ok "a missing stream is named" ;; *) fail "message: $message" ;; esac
k delete-stream --stream-name $stream
aws kinesis wait stream-not-exists --stream-name $stream
ok "delete-stream"
echo "$passed passed, 0 failed"
