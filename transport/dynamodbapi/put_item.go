package dynamodbapi

import (
	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// putItem stores an item in place of what is there.
func (a *API) putItem(c *call) (awshttp.Value, error) {
	return a.do(c, c.readSingle(itemstore.Put, "Item", "ALL_OLD"))
}
