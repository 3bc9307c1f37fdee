package dynamodbapi

import (
	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// updateItem changes attributes of an item, and makes it where it is not there.
func (a *API) updateItem(c *call) (awshttp.Value, error) {
	return a.do(c, c.readSingle(itemstore.Update, "Key", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"))
}
