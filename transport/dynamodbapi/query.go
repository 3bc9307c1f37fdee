package dynamodbapi

import "github.com/shardmill/shardmill/transport/awshttp"

// query reads the items of one hash key of a table or an index.
func (a *API) query(c *call) (awshttp.Value, error) {
	c.oneOf("Select", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "COUNT")
	if forward, said := c.boolean("ScanIndexForward"); said && !forward {
		c.fail(notHere("ScanIndexForward false"))
	}
	names := c.names()
	r := c.readPage(names)
	r.Match = c.condition("KeyConditionExpression", names)
	c.unused(names)
	if c.err != nil {
		return awshttp.Value{}, c.err
	}
	p, err := a.store.Query(c.scope(), r)
	return c.pageValue(p), err
}
