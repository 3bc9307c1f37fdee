package dynamodbapi

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"time"

	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// createTable makes a table that is ACTIVE at once.
func (a *API) createTable(c *call) (awshttp.Value, error) {
	c.absent("LocalSecondaryIndexes", "StreamSpecification", "SSESpecification", "ResourcePolicy")
	t := itemstore.Table{
		Name: c.tableName(), ID: newID(), Created: time.Now(), Attributes: c.attributes(), Key: c.key(),
		Indexes: c.indexes("GlobalSecondaryIndexes"),
	}
	t.Protected, _ = c.boolean("DeletionProtectionEnabled")
	t.OnDemand, t.ReadUnits, t.WriteUnits = c.billing()
	for _, tag := range c.list("Tags") {
		t.Tags = append(t.Tags, itemstore.Tag{Key: tag.text("Key"), Value: tag.text("Value")})
	}
	if len(t.Tags) > 50 {
		c.fail(invalid("One or more parameter values were invalid: Too many tags"))
	}
	if c.err != nil {
		return awshttp.Value{}, c.err
	}
	err := a.store.CreateTable(c.scope(), t)
	if errors.Is(err, itemstore.ErrTableExists) {
		return awshttp.Value{}, &failure{kind: service + "ResourceInUseException", message: "Table already exists: " + t.Name}
	}
	return object("TableDescription", tableValue(c.Identity, t, "ACTIVE")), err
}

// newID is a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	x := hex.EncodeToString(b[:])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}
