package dynamodbapi

import "github.com/shardmill/shardmill/transport/awshttp"

// deleteTable removes a table with its items.
func (a *API) deleteTable(c *call) (awshttp.Value, error) {
	name := c.tableName()
	if c.err != nil {
		return awshttp.Value{}, c.err
	}
	t, err := a.store.DeleteTable(c.scope(), name)
	if err != nil {
		return awshttp.Value{}, named(err, name)
	}
	return object("TableDescription", tableValue(c.Identity, t, "DELETING")), nil
}
