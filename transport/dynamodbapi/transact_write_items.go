package dynamodbapi

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// transactWriteItems makes all of several writes, or none. A request that is repeated with its ClientRequestToken is
// answered and not done again.
func (a *API) transactWriteItems(c *call) (awshttp.Value, error) {
	items := c.list("TransactItems")
	if c.err == nil && (len(items) == 0 || len(items) > itemstore.MaxWrites) {
		c.fail(invalid("1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have length between 1 and " + strconv.Itoa(itemstore.MaxWrites)))
	}
	writes := make([]itemstore.Write, len(items))
	show := make([]bool, len(items))
	for i := range items {
		writes[i], show[i] = items[i].transactItem()
		if items[i].err != nil {
			c.fail(items[i].err)
		}
	}
	token := c.requestToken()
	if c.err != nil {
		return awshttp.Value{}, c.err
	}
	done, err := a.tokens.begin(token, c.v.Get("TransactItems"), time.Now())
	if done || err != nil {
		return object(), err
	}
	_, err = a.store.Write(c.scope(), writes...)
	a.tokens.end(token, err)
	if e, ok := errors.AsType[*itemstore.ConditionError](err); ok {
		return awshttp.Value{}, cancelled(e, show)
	}
	return object(), err
}

// requestToken is the ClientRequestToken within its account and region, empty where there is none.
func (c *call) requestToken() string {
	token := c.text("ClientRequestToken")
	if token == "" {
		return ""
	}
	if len(token) > maxTokenLen {
		c.fail(invalid("1 validation error detected: Value '" + token[:maxTokenLen] + "...' at 'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal to " + strconv.Itoa(maxTokenLen)))
	}
	return c.Account + " " + c.Region + " " + token
}

// transactItem reads one write of a transaction.
func (f *fields) transactItem() (w itemstore.Write, show bool) {
	if len(f.v.Keys) != 1 {
		f.fail(invalid("TransactItems can only contain one of Check, Put, Update or Delete"))
		return w, false
	}
	kinds := map[string]itemstore.WriteKind{
		"ConditionCheck": itemstore.Check, "Put": itemstore.Put, "Update": itemstore.Update, "Delete": itemstore.Delete,
	}
	var known bool
	if w.Kind, known = kinds[f.v.Keys[0]]; !known {
		f.fail(invalid("TransactItems can only contain one of Check, Put, Update or Delete"))
		return w, false
	}
	in, ok := f.object(f.v.Keys[0])
	if !ok {
		return w, false
	}
	names := in.names()
	w.Table = in.tableName()
	w.Condition = in.condition("ConditionExpression", names)
	item := "Key"
	if w.Kind == itemstore.Put {
		item = "Item"
	}
	w.Item = in.item(item)
	if w.Kind == itemstore.Update {
		w.Changes = in.updates(names)
	}
	in.unused(names)
	if w.Item == nil || w.Kind == itemstore.Check && w.Condition == nil {
		in.fail(invalid("1 validation error detected: a write of TransactItems lacks its " + item + " or its ConditionExpression"))
	}
	show = in.oneOf("ReturnValuesOnConditionCheckFailure", "NONE", "ALL_OLD") == "ALL_OLD"
	if in.err != nil {
		f.fail(in.err)
	}
	return w, show
}

// cancelled is the answer to a transaction whose conditions did not all hold.
func cancelled(e *itemstore.ConditionError, show []bool) *failure {
	codes := make([]string, len(e.Reasons))
	f := &failure{kind: service + "TransactionCanceledException"}
	for i, r := range e.Reasons {
		codes[i] = "None"
		v := object("Code", awshttp.StringValue("None"))
		if r.Failed {
			codes[i] = "ConditionalCheckFailed"
			v = object("Code", awshttp.StringValue("ConditionalCheckFailed"), "Message", awshttp.StringValue("The conditional request failed"))
			if show[i] {
				if item := itemOrNull(r.Item); item.Kind != awshttp.Null {
					v.Put("Item", item)
				}
			}
		}
		f.reasons = append(f.reasons, v)
	}
	f.message = "Transaction cancelled, please refer cancellation reasons for specific reasons [" + strings.Join(codes, ", ") + "]"
	return f
}
