"""Calls every action of the neighbours (DynamoDB, CloudWatch, STS) with boto3, against the endpoints in AWS_ENDPOINT_URL_*.

Prints one line a step and ends with the pytest-like line "N passed, 0 failed"; the exit status is 1 at the first failure.
"""
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

config = Config(retries={"max_attempts": 1})
dynamodb = boto3.client("dynamodb", config=config)
cloudwatch = boto3.client("cloudwatch", config=config)
TABLE = "boto3-walk"
KEY = {"leaseKey": {"S": "shard-1"}}
passed = 0


def step(what, ok=True):
    global passed
    if not ok:
        raise SystemExit(f"FAILED: {what}\n{passed} passed, 1 failed")
    passed += 1
    print(f"ok  {what}")


def refused(code, status, call, **args):
    try:
        call(**args)
    except ClientError as e:
        step(f"{call.__name__} refused with {code}", e.response["Error"]["Code"] == code)
        step(f"{call.__name__} refusal is a {status}", e.response["ResponseMetadata"]["HTTPStatusCode"] == status)
        return e.response
    step(f"{call.__name__} refused with {code}", False)


step("get_caller_identity", boto3.client("sts", config=config).get_caller_identity()["Account"] == "000000000000")
small = [{"MetricName": "m", "Value": 1.5}]
large = [{"MetricName": f"metric-{i}", "Value": i / 7, "Dimensions": [{"Name": "Shard", "Value": "x" * 40}]} for i in range(500)]
for data in (small, large):  # the large one goes compressed
    cloudwatch.put_metric_data(Namespace="walk", MetricData=data)
    step(f"put_metric_data of {len(data)}")
refused("UnknownOperationException", 501, cloudwatch.list_metrics)

hash_key = [{"AttributeName": "leaseKey", "KeyType": "HASH"}]
string = [{"AttributeName": "leaseKey", "AttributeType": "S"}]
refused("ResourceNotFoundException", 400, dynamodb.describe_table, TableName=TABLE)
dynamodb.create_table(TableName=TABLE, KeySchema=hash_key, AttributeDefinitions=string, BillingMode="PAY_PER_REQUEST")
dynamodb.get_waiter("table_exists").wait(TableName=TABLE)
step("create_table")
refused("ResourceInUseException", 400, dynamodb.create_table, TableName=TABLE, KeySchema=hash_key, AttributeDefinitions=string, BillingMode="PAY_PER_REQUEST")
dynamodb.update_table(
    TableName=TABLE,
    AttributeDefinitions=string + [{"AttributeName": "leaseOwner", "AttributeType": "S"}],
    GlobalSecondaryIndexUpdates=[{"Create": {
        "IndexName": "owners", "Projection": {"ProjectionType": "KEYS_ONLY"},
        "KeySchema": [{"AttributeName": "leaseOwner", "KeyType": "HASH"}, {"AttributeName": "leaseKey", "KeyType": "RANGE"}],
    }}],
)
table = dynamodb.describe_table(TableName=TABLE)["Table"]
step("update_table makes an index", table["GlobalSecondaryIndexes"][0]["IndexStatus"] == "ACTIVE")
item = {
    **KEY, "leaseOwner": {"S": "w1"}, "n": {"N": "1"}, "set": {"SS": ["a", "b"]}, "b": {"B": b"\0\xff"},
    "m": {"M": {"l": {"L": [{"BOOL": True}, {"NULL": True}, {"N": "-1.5"}]}}},
}
dynamodb.put_item(TableName=TABLE, Item=item, Expected={"leaseKey": {"Exists": False}})
step("put_item and get_item", dynamodb.get_item(TableName=TABLE, Key=KEY, ConsistentRead=True)["Item"] == item)
refused("ConditionalCheckFailedException", 400, dynamodb.put_item, TableName=TABLE, Item=item, ConditionExpression="attribute_not_exists(leaseKey)")
got = dynamodb.update_item(
    TableName=TABLE, Key=KEY, ReturnValues="ALL_NEW", Expected={"n": {"Value": {"N": "1.0"}}},
    AttributeUpdates={"n": {"Action": "ADD", "Value": {"N": "1"}}, "m": {"Action": "DELETE"}},
)["Attributes"]
step("update_item with AttributeUpdates", got["n"] == {"N": "2"} and "m" not in got)
got = dynamodb.update_item(
    TableName=TABLE, Key=KEY, ReturnValues="UPDATED_NEW", UpdateExpression="SET #o = :o REMOVE b",
    ConditionExpression="attribute_exists(leaseKey) AND #o = :old", ExpressionAttributeNames={"#o": "leaseOwner"},
    ExpressionAttributeValues={":o": {"S": "w2"}, ":old": {"S": "w1"}},
)["Attributes"]
step("update_item with expressions", got == {"leaseOwner": {"S": "w2"}})
failed = refused(
    "ConditionalCheckFailedException", 400, dynamodb.update_item, TableName=TABLE, Key=KEY, UpdateExpression="REMOVE n",
    ConditionExpression="n = :n", ExpressionAttributeValues={":n": {"N": "9"}}, ReturnValuesOnConditionCheckFailure="ALL_OLD",
)
step("the refusal shows the item", failed["Item"]["n"] == {"N": "2"})
by_owner = dict(TableName=TABLE, IndexName="owners", KeyConditionExpression="leaseOwner = :o")
found = dynamodb.query(ExpressionAttributeValues={":o": {"S": "w2"}}, **by_owner)
step("query of the index", found["Items"] == [{**KEY, "leaseOwner": {"S": "w2"}}])
step("query of an empty key", dynamodb.query(ExpressionAttributeValues={":o": {"S": "w1"}}, **by_owner)["Count"] == 0)
put = {"TableName": TABLE, "Item": {"leaseKey": {"S": "shard-2"}}, "ConditionExpression": "attribute_not_exists(leaseKey)"}
check = {"TableName": TABLE, "Key": KEY, "ConditionExpression": "leaseOwner = :o", "ExpressionAttributeValues": {":o": {"S": "w1"}}}
failed = refused("TransactionCanceledException", 400, dynamodb.transact_write_items, TransactItems=[{"Put": put}, {"ConditionCheck": check}])
step("the reasons of a cancelled transaction", [r["Code"] for r in failed["CancellationReasons"]] == ["None", "ConditionalCheckFailed"])
check["ExpressionAttributeValues"][":o"]["S"] = "w2"
dynamodb.transact_write_items(TransactItems=[{"Put": put}, {"ConditionCheck": check}])
step("transact_write_items")
pages = list(dynamodb.get_paginator("scan").paginate(TableName=TABLE, PaginationConfig={"PageSize": 1}))
step("scan by pages", sum(p["Count"] for p in pages) == 2 and len(pages) > 1)
halves = [dynamodb.scan(TableName=TABLE, Segment=i, TotalSegments=2)["Count"] for i in range(2)]
step("scan by segments", sum(halves) == 2)
some = dynamodb.scan(TableName=TABLE, FilterExpression="n = :n", ExpressionAttributeValues={":n": {"N": "2"}}, ConsistentRead=True)
step("scan with a filter", (some["Count"], some["ScannedCount"]) == (1, 2))
refused("UnknownOperationException", 501, dynamodb.batch_get_item, RequestItems={TABLE: {"Keys": [KEY]}})
refused("UnknownOperationException", 501, dynamodb.scan, TableName=TABLE, FilterExpression="n > :n", ExpressionAttributeValues={":n": {"N": "2"}})
step("delete_item", dynamodb.delete_item(TableName=TABLE, Key=KEY, ReturnValues="ALL_OLD")["Attributes"]["n"] == {"N": "2"})
step("list_tables", TABLE in dynamodb.list_tables()["TableNames"])
dynamodb.delete_table(TableName=TABLE)
refused("ResourceNotFoundException", 400, dynamodb.describe_table, TableName=TABLE)
print(f"{passed} passed, 0 failed")
