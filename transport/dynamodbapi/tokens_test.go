package dynamodbapi

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/shardmill/shardmill/transport/awshttp"
)

func TestTokens(t *testing.T) {
	start := time.Unix(0, 0)
	items, other := awshttp.StringValue("items"), awshttp.StringValue("other")
	all := newTokens()
	f := func(token string, v awshttp.Value, at time.Duration, wantDone bool, wantErr string) {
		t.Helper()
		done, err := all.begin(token, v, start.Add(at))
		got := ""
		if f, ok := errors.AsType[*failure](err); ok {
			got = f.kind[len(service):]
		}
		if done != wantDone || got != wantErr {
			t.Errorf("%s after %v: %v, %v, want %v, %s", token, at, done, err, wantDone, wantErr)
		}
	}
	f("", items, 0, false, "")
	f("", items, 0, false, "")
	f("a", items, 0, false, "")
	f("a", items, 0, false, "TransactionInProgressException")
	all.end("a", nil)
	f("a", items, time.Minute, true, "")
	f("a", other, time.Minute, false, "IdempotentParameterMismatchException")
	f("b", items, time.Minute, false, "")
	all.end("b", errors.New("condition"))
	f("b", items, time.Minute, false, "")
	f("a", items, tokenExpires, false, "")
	for i := range 2 * maxTokens {
		f(strconv.Itoa(i), items, tokenExpires, false, "")
	}
	if len(all.known) > maxTokens || all.order.Len() != len(all.known) {
		t.Errorf("%d tokens are kept, %d in order", len(all.known), all.order.Len())
	}
}

func TestRepeatedTransaction(t *testing.T) {
	s := server(t)
	ask(t, s, "CreateTable", leases)
	body := `{"ClientRequestToken":"once","TransactItems":[{"Put":{"TableName":"leases","Item":{"leaseKey":{"S":"a"}},"ConditionExpression":"attribute_not_exists(leaseKey)"}}]}`
	ask(t, s, "TransactWriteItems", body)
	ask(t, s, "TransactWriteItems", body)
	if got := ask(t, s, "Scan", `{"TableName":"leases"}`); got["Count"] != 1.0 {
		t.Errorf("the table has %v", got)
	}
}
