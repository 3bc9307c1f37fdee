package dynamodbapi

import (
	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// readPage reads what Query and Scan share.
func (c *call) readPage(names *itemstore.Names) itemstore.Read {
	c.absent("ProjectionExpression", "AttributesToGet", "QueryFilter", "ScanFilter", "ConditionalOperator", "KeyConditions")
	r := itemstore.Read{Table: c.tableName(), Index: c.text("IndexName"), After: c.item("ExclusiveStartKey")}
	limit, _ := c.number("Limit", 1, 1<<31-1)
	r.Limit = int(limit)
	if consistent, _ := c.boolean("ConsistentRead"); consistent && r.Index != "" {
		c.fail(invalid("Consistent reads are not supported on global secondary indexes"))
	}
	r.Filter = c.condition("FilterExpression", names)
	return r
}

// pageValue writes a page as Query and Scan answer it.
func (c *call) pageValue(p itemstore.Page) awshttp.Value {
	v := object("Count", awshttp.IntValue(int64(len(p.Items))), "ScannedCount", awshttp.IntValue(int64(p.Scanned)))
	if c.text("Select") != "COUNT" {
		l := make([]awshttp.Value, len(p.Items))
		for i := range p.Items {
			l[i] = itemValue(p.Items[i])
		}
		v.Put("Items", awshttp.ListValue(l))
	}
	if p.Last != nil {
		v.Put("LastEvaluatedKey", itemValue(p.Last))
	}
	return v
}
