package dynamodbapi

import (
	"errors"

	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// single is what PutItem, UpdateItem and DeleteItem share.
type single struct {
	write    itemstore.Write
	want     string // ReturnValues
	showItem bool   // ReturnValuesOnConditionCheckFailure
}

// readSingle reads a request for one write. returns are the values ReturnValues may have.
func (c *call) readSingle(kind itemstore.WriteKind, item string, returns ...string) single {
	c.onlyOneForm([]string{"ConditionExpression", "UpdateExpression"}, []string{"Expected", "AttributeUpdates", "ConditionalOperator"})
	names := c.names()
	s := single{
		write: itemstore.Write{
			Table: c.tableName(), Kind: kind, Item: c.item(item),
			Condition: append(c.expected(), c.condition("ConditionExpression", names)...),
		},
		want:     c.oneOf("ReturnValues", append([]string{"NONE"}, returns...)...),
		showItem: c.oneOf("ReturnValuesOnConditionCheckFailure", "NONE", "ALL_OLD") == "ALL_OLD",
	}
	if s.write.Item == nil {
		c.fail(invalid("1 validation error detected: Value null at '" + lowerFirst(item) + "' failed to satisfy constraint: Member must not be null"))
	}
	if kind == itemstore.Update {
		s.write.Changes = append(c.attributeUpdates(), c.updates(names)...)
	}
	c.unused(names)
	return s
}

// updates reads UpdateExpression.
func (f *fields) updates(names *itemstore.Names) []itemstore.Change {
	text := f.text("UpdateExpression")
	if text == "" || f.err != nil {
		return nil
	}
	changes, err := itemstore.ParseUpdate(text, names)
	if err != nil {
		f.fail(err)
	}
	return changes
}

// do writes and answers.
func (a *API) do(c *call, s single) (awshttp.Value, error) {
	if c.err != nil {
		return awshttp.Value{}, c.err
	}
	results, err := a.store.Write(c.scope(), s.write)
	if e, ok := errors.AsType[*itemstore.ConditionError](err); ok {
		f := &failure{kind: service + "ConditionalCheckFailedException", message: "The conditional request failed"}
		if s.showItem {
			f.item = e.Reasons[0].Item
		}
		return awshttp.Value{}, f
	}
	if err != nil {
		return awshttp.Value{}, err
	}
	return object("Attributes", returned(s.want, results[0], s.write.Changes)), nil
}
