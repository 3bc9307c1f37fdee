package dynamodbapi

import (
	"maps"
	"slices"

	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// object builds a structure from names and values in turn; Null members are left out.
func object(pairs ...any) awshttp.Value {
	v := awshttp.Value{Kind: awshttp.Map}
	for i := 0; i < len(pairs); i += 2 {
		name, isName := pairs[i].(string)
		m, isValue := pairs[i+1].(awshttp.Value)
		if !isName || !isValue {
			panic("BUG: object takes names and values in turn")
		}
		if m.Kind != awshttp.Null {
			v.Put(name, m)
		}
	}
	return v
}

// itemValue writes an item, its attributes in order of their names.
func itemValue(i itemstore.Item) awshttp.Value {
	v := awshttp.Value{Kind: awshttp.Map}
	for _, k := range slices.Sorted(maps.Keys(i)) {
		v.Put(k, attributeValue(i[k]))
	}
	return v
}

// itemOrNull leaves out what is not there.
func itemOrNull(i itemstore.Item) awshttp.Value {
	if i == nil {
		return awshttp.Value{}
	}
	return itemValue(i)
}

func attributeValue(v itemstore.Value) awshttp.Value {
	texts := func() awshttp.Value {
		l := make([]awshttp.Value, len(v.Set))
		for i, m := range v.Set {
			l[i] = awshttp.StringValue(m)
			if v.Type == itemstore.BinarySet {
				l[i].Kind = awshttp.Bytes
			}
		}
		return awshttp.ListValue(l)
	}
	switch v.Type {
	case itemstore.String:
		return object("S", awshttp.StringValue(v.Text))
	case itemstore.Number:
		return object("N", awshttp.StringValue(v.Text))
	case itemstore.Binary:
		return object("B", awshttp.BytesValue([]byte(v.Text)))
	case itemstore.Bool:
		return object("BOOL", awshttp.BoolValue(v.Bool))
	case itemstore.Null:
		return object("NULL", awshttp.BoolValue(true))
	case itemstore.StringSet:
		return object("SS", texts())
	case itemstore.NumberSet:
		return object("NS", texts())
	case itemstore.BinarySet:
		return object("BS", texts())
	case itemstore.Map:
		return object("M", itemValue(v.Map))
	}
	l := make([]awshttp.Value, len(v.List))
	for i, m := range v.List {
		l[i] = attributeValue(m)
	}
	return object("L", awshttp.ListValue(l))
}

// tableValue writes the description of a table.
func tableValue(id awshttp.Identity, t itemstore.Table, status string) awshttp.Value {
	arn := "arn:aws:dynamodb:" + id.Region + ":" + id.Account + ":table/" + t.Name
	var attributes, indexes []awshttp.Value
	for _, a := range t.Attributes {
		attributes = append(attributes, object("AttributeName", awshttp.StringValue(a.Name), "AttributeType", awshttp.StringValue(string(rune(a.Type)))))
	}
	for _, ix := range t.Indexes {
		projection := object("ProjectionType", awshttp.StringValue(ix.Projection))
		if len(ix.Include) > 0 {
			projection.Put("NonKeyAttributes", textList(ix.Include))
		}
		indexes = append(indexes, object(
			"IndexName", awshttp.StringValue(ix.Name), "KeySchema", keyValue(ix.Key), "Projection", projection,
			"IndexStatus", awshttp.StringValue("ACTIVE"), "ProvisionedThroughput", throughput(t),
			"IndexArn", awshttp.StringValue(arn+"/index/"+ix.Name),
		))
	}
	v := object(
		"TableName", awshttp.StringValue(t.Name), "TableArn", awshttp.StringValue(arn), "TableId", awshttp.StringValue(t.ID),
		"TableStatus", awshttp.StringValue(status), "CreationDateTime", awshttp.TimeValue(t.Created),
		"AttributeDefinitions", awshttp.ListValue(attributes), "KeySchema", keyValue(t.Key),
		"ItemCount", awshttp.IntValue(t.Items), "TableSizeBytes", awshttp.IntValue(t.Bytes),
		"ProvisionedThroughput", throughput(t), "DeletionProtectionEnabled", awshttp.BoolValue(t.Protected),
	)
	if t.OnDemand {
		v.Put("BillingModeSummary", object("BillingMode", awshttp.StringValue("PAY_PER_REQUEST"),
			"LastUpdateToPayPerRequestDateTime", awshttp.TimeValue(t.Created)))
	}
	if len(indexes) > 0 {
		v.Put("GlobalSecondaryIndexes", awshttp.ListValue(indexes))
	}
	return v
}

func throughput(t itemstore.Table) awshttp.Value {
	return object("ReadCapacityUnits", awshttp.IntValue(t.ReadUnits), "WriteCapacityUnits", awshttp.IntValue(t.WriteUnits),
		"NumberOfDecreasesToday", awshttp.IntValue(0))
}

func keyValue(k itemstore.Key) awshttp.Value {
	part := func(name, kind string) awshttp.Value {
		return object("AttributeName", awshttp.StringValue(name), "KeyType", awshttp.StringValue(kind))
	}
	l := []awshttp.Value{part(k.Hash, "HASH")}
	if k.Range != "" {
		l = append(l, part(k.Range, "RANGE"))
	}
	return awshttp.ListValue(l)
}

func textList(texts []string) awshttp.Value {
	l := make([]awshttp.Value, len(texts))
	for i, s := range texts {
		l[i] = awshttp.StringValue(s)
	}
	return awshttp.ListValue(l)
}
