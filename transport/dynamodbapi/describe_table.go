package dynamodbapi

import (
	"errors"

	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// describeTable shows a table.
func (a *API) describeTable(c *call) (awshttp.Value, error) {
	name := c.tableName()
	if c.err != nil {
		return awshttp.Value{}, c.err
	}
	t, err := a.store.DescribeTable(c.scope(), name)
	if err != nil {
		return awshttp.Value{}, named(err, name)
	}
	return object("Table", tableValue(c.Identity, t, "ACTIVE")), nil
}

// named says which table is not there, as the actions on tables do.
func named(err error, name string) error {
	if errors.Is(err, itemstore.ErrTableNotFound) {
		return &failure{kind: service + "ResourceNotFoundException", message: "Requested resource not found: Table: " + name + " not found"}
	}
	return err
}
