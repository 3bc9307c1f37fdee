package dynamodbapi

import "github.com/shardmill/shardmill/transport/awshttp"

// maxTablePage is how many names one answer has at most.
const maxTablePage = 100

// listTables lists names in order.
func (a *API) listTables(c *call) (awshttp.Value, error) {
	limit, ok := c.number("Limit", 1, maxTablePage)
	if !ok {
		limit = maxTablePage
	}
	after := c.text("ExclusiveStartTableName")
	if c.err != nil {
		return awshttp.Value{}, c.err
	}
	names, more, err := a.store.ListTables(c.scope(), after, int(limit))
	v := object("TableNames", textList(names))
	if more {
		v.Put("LastEvaluatedTableName", awshttp.StringValue(names[len(names)-1]))
	}
	return v, err
}
