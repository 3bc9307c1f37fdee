"""Walks the Kinesis API with boto3 as a program written for AWS would, against the endpoint in AWS_ENDPOINT_URL_KINESIS.

Prints one line a step and ends with the pytest-like line "N passed, 0 failed"; the exit status is 1 at the first failure.
"""
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

kinesis = boto3.client("kinesis", config=Config(retries={"max_attempts": 2}))
STREAM = "boto3-walk"
passed = 0


def step(what, ok=True):
    global passed
    if not ok:
        raise SystemExit(f"FAILED: {what}\n{passed} passed, 1 failed")
    passed += 1
    print(f"ok  {what}")


def refused(code, call, **args):
    try:
        call(**args)
    except ClientError as e:
        step(f"{call.__name__} refused with {code}", e.response["Error"]["Code"] == code)
        status = e.response["ResponseMetadata"]["HTTPStatusCode"]
        step(f"{call.__name__} refusal is a 400", status == 400)
        return
    step(f"{call.__name__} should be refused with {code}", False)


def shards(**args):
    return kinesis.list_shards(StreamName=STREAM, **args)["Shards"]


def wait_active():
    kinesis.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


def read_all(kind="TRIM_HORIZON", **args):
    out = []
    for shard in shards():
        it = kinesis.get_shard_iterator(StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType=kind, **args)
        it = it["ShardIterator"]
        for _ in range(100):
            page = kinesis.get_records(ShardIterator=it, Limit=1000)
            out += [(shard["ShardId"], r) for r in page["Records"]]
            it = page.get("NextShardIterator")
            if it is None or (not page["Records"] and page["MillisBehindLatest"] == 0):
                break
    return out


kinesis.create_stream(StreamName=STREAM, ShardCount=2)
wait_active()
summary = kinesis.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]
step("describe_stream_summary: 2 open shards", summary["OpenShardCount"] == 2)
step("arn names the stream", summary["StreamARN"].endswith(f":stream/{STREAM}"))
step("list_streams", STREAM in kinesis.list_streams()["StreamNames"])
refused("ResourceInUseException", kinesis.create_stream, StreamName=STREAM, ShardCount=1)
refused("ResourceNotFoundException", kinesis.describe_stream, StreamName="no-such-stream")
refused("ValidationException", kinesis.put_record, StreamName=STREAM, Data=b"x", PartitionKey="k" * 257)

put = kinesis.put_record(StreamName=STREAM, Data=b"\x00\xff first", PartitionKey="k0")
step("put_record answers a shard and a 56-digit sequence number", len(put["SequenceNumber"]) == 56)
before = time.time()
answer = kinesis.put_records(
    StreamName=STREAM, Records=[{"Data": f"record {i}".encode(), "PartitionKey": f"k{i % 17}"} for i in range(500)]
)
step("put_records: none failed", answer["FailedRecordCount"] == 0 and len(answer["Records"]) == 500)

records = read_all()
step("all 501 records come back", len(records) == 501)
step("bytes are unchanged", any(r["Data"] == b"\x00\xff first" for _, r in records))
for key in {r["PartitionKey"] for _, r in records if r["PartitionKey"] != "k0"}:
    got = [int(r["Data"].split()[1]) for _, r in records if r["PartitionKey"] == key]
    step(f"order of {key}", got == sorted(got))
sequences = [int(r["SequenceNumber"]) for _, r in records]
step("sequence numbers are unique", len(set(sequences)) == len(sequences))

shard, last = records[-1]
at = kinesis.get_shard_iterator(StreamName=STREAM, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER",
                                StartingSequenceNumber=last["SequenceNumber"])["ShardIterator"]
step("AT_SEQUENCE_NUMBER", kinesis.get_records(ShardIterator=at)["Records"][0]["Data"] == last["Data"])
after = kinesis.get_shard_iterator(StreamName=STREAM, ShardId=shard, ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                                   StartingSequenceNumber=last["SequenceNumber"])["ShardIterator"]
step("AFTER_SEQUENCE_NUMBER", kinesis.get_records(ShardIterator=after)["Records"] == [])
step("AT_TIMESTAMP before all", len(read_all("AT_TIMESTAMP", Timestamp=before - 3600)) == 501)
step("LATEST sees nothing old", read_all("LATEST") == [])

first = shards()[0]
low, high = (int(first["HashKeyRange"][k]) for k in ("StartingHashKey", "EndingHashKey"))
kinesis.split_shard(StreamName=STREAM, ShardToSplit=first["ShardId"], NewStartingHashKey=str((low + high) // 2))
wait_active()
children = [s for s in shards() if s.get("ParentShardId") == first["ShardId"]]
step("split_shard: two children", len(children) == 2)
refused("InvalidArgumentException", kinesis.split_shard, StreamName=STREAM, ShardToSplit=first["ShardId"],
        NewStartingHashKey=str((low + high) // 2))
kinesis.merge_shards(StreamName=STREAM, ShardToMerge=children[0]["ShardId"], AdjacentShardToMerge=children[1]["ShardId"])
wait_active()
step("merge_shards: two open again",
     kinesis.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]["OpenShardCount"] == 2)
it = kinesis.get_shard_iterator(StreamName=STREAM, ShardId=first["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
page = kinesis.get_records(ShardIterator=it, Limit=10000)
while page.get("NextShardIterator"):
    page = kinesis.get_records(ShardIterator=page["NextShardIterator"], Limit=10000)
step("a drained closed shard names its children", len(page["ChildShards"]) == 2)
step("nothing was lost by resharding", len(read_all()) == 501)
kinesis.update_shard_count(StreamName=STREAM, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
wait_active()
step("update_shard_count",
     kinesis.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]["OpenShardCount"] == 4)

kinesis.add_tags_to_stream(StreamName=STREAM, Tags={"team": "mill"})
step("tags", kinesis.list_tags_for_stream(StreamName=STREAM)["Tags"] == [{"Key": "team", "Value": "mill"}])
kinesis.remove_tags_from_stream(StreamName=STREAM, TagKeys=["team"])
step("tags removed", kinesis.list_tags_for_stream(StreamName=STREAM)["Tags"] == [])
kinesis.increase_stream_retention_period(StreamName=STREAM, RetentionPeriodHours=48)
kinesis.decrease_stream_retention_period(StreamName=STREAM, RetentionPeriodHours=24)
refused("InvalidArgumentException", kinesis.increase_stream_retention_period, StreamName=STREAM, RetentionPeriodHours=9999)

arn = summary["StreamARN"]
consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="walker")["Consumer"]["ConsumerARN"]
for _ in range(100):
    if kinesis.describe_stream_consumer(ConsumerARN=consumer)["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE":
        break
    time.sleep(0.1)
step("register_stream_consumer", len(kinesis.list_stream_consumers(StreamARN=arn)["Consumers"]) == 1)
open_shard = [s for s in shards() if "EndingSequenceNumber" not in s["SequenceNumberRange"]][0]
low, high = (int(open_shard["HashKeyRange"][k]) for k in ("StartingHashKey", "EndingHashKey"))
events = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=open_shard["ShardId"], StartingPosition={"Type": "LATEST"})["EventStream"]
pushed, end = [], None
for number, event in enumerate(events):
    end = event["SubscribeToShardEvent"]
    pushed += [r["Data"] for r in end["Records"]]
    if number == 0:
        kinesis.put_record(StreamName=STREAM, PartitionKey="k", Data=b"pushed", ExplicitHashKey=str(low))
    elif pushed and "ChildShards" not in end:
        kinesis.split_shard(StreamName=STREAM, ShardToSplit=open_shard["ShardId"], NewStartingHashKey=str((low + high) // 2))
step("subscribe_to_shard: a record put later", pushed == [b"pushed"])
step("subscribe_to_shard: the shard's end", "ContinuationSequenceNumber" not in end and len(end["ChildShards"]) == 2)
wait_active()
refused("ResourceInUseException", kinesis.delete_stream, StreamName=STREAM)
kinesis.delete_stream(StreamName=STREAM, EnforceConsumerDeletion=True)
kinesis.get_waiter("stream_not_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
step("delete_stream")
print(f"{passed} passed, 0 failed")
