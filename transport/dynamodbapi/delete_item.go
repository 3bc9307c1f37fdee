package dynamodbapi

import (
	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// deleteItem removes an item; it need not be there.
func (a *API) deleteItem(c *call) (awshttp.Value, error) {
	return a.do(c, c.readSingle(itemstore.Delete, "Key", "ALL_OLD"))
}
