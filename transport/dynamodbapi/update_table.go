package dynamodbapi

import (
	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// updateTable makes or drops one index, or changes billing and deletion protection. It is done when it answers.
func (a *API) updateTable(c *call) (awshttp.Value, error) {
	c.absent("StreamSpecification", "SSESpecification", "ReplicaUpdates", "TableClass", "MultiRegionConsistency")
	change := itemstore.TableChange{Attributes: c.attributes()}
	updates := c.list("GlobalSecondaryIndexUpdates")
	if len(updates) > 1 {
		c.fail(&failure{kind: service + "LimitExceededException", message: "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"})
	}
	for _, u := range updates {
		u.absent("Update")
		if create, ok := u.object("Create"); ok {
			ix := create.index()
			change.Create = &ix
			if create.err != nil {
				u.fail(create.err)
			}
		}
		if drop, ok := u.object("Delete"); ok {
			change.Drop = drop.text("IndexName")
			drop.checkName("indexName", change.Drop)
			if drop.err != nil {
				u.fail(drop.err)
			}
		}
		if u.err != nil {
			c.fail(u.err)
		}
	}
	if protected, ok := c.boolean("DeletionProtectionEnabled"); ok {
		change.Protected = &protected
	}
	if c.text("BillingMode") != "" {
		onDemand, _, _ := c.billing()
		change.OnDemand = &onDemand
	}
	name := c.tableName()
	if c.err != nil {
		return awshttp.Value{}, c.err
	}
	t, err := a.store.UpdateTable(c.scope(), name, change)
	if err != nil {
		return awshttp.Value{}, named(err, name)
	}
	return object("TableDescription", tableValue(c.Identity, t, "ACTIVE")), nil
}
