package dynamodbapi

import "github.com/shardmill/shardmill/transport/awshttp"

// getItem reads one item; ConsistentRead makes no difference, as every read is.
func (a *API) getItem(c *call) (awshttp.Value, error) {
	c.absent("ProjectionExpression", "AttributesToGet", "ExpressionAttributeNames")
	_, _ = c.boolean("ConsistentRead")
	name, key := c.tableName(), c.item("Key")
	if c.err != nil {
		return awshttp.Value{}, c.err
	}
	i, err := a.store.Get(c.scope(), name, key)
	return object("Item", itemOrNull(i)), err
}
