package dynamodbapi

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/shardmill/shardmill/transport/awshttp"
)

// Limits of remembered transactions. DynamoDB remembers for ten minutes as well; a restart forgets them here.
const (
	maxTokens    = 10_000
	maxTokenLen  = 36
	tokenExpires = 10 * time.Minute
)

// tokens remembers transactions by their ClientRequestToken, so that one whose answer got lost can be sent again.
type tokens struct {
	mu    sync.Mutex // guards the following
	known map[string]*list.Element
	order *list.List // of *transaction, oldest first
}

type transaction struct {
	token   string // with account and region
	digest  [sha256.Size]byte
	begun   time.Time
	running bool
}

func newTokens() *tokens { return &tokens{known: map[string]*list.Element{}, order: list.New()} }

// begin notes a transaction. done tells that it happened already; an error that it can not begin.
func (t *tokens) begin(token string, items awshttp.Value, now time.Time) (done bool, err error) {
	if token == "" {
		return false, nil
	}
	digest := sha256.Sum256(awshttp.JSON{}.Append(nil, items))
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.order.Front(); e != nil; e = t.order.Front() {
		if old, ok := e.Value.(*transaction); ok && t.order.Len() < maxTokens && now.Sub(old.begun) < tokenExpires {
			break
		}
		t.forget(e)
	}
	if e := t.known[token]; e != nil {
		old, _ := e.Value.(*transaction)
		switch {
		case old.digest != digest:
			return false, &failure{kind: service + "IdempotentParameterMismatchException", message: "The ClientRequestToken was used with other parameters"}
		case old.running:
			return false, &failure{kind: service + "TransactionInProgressException", message: "The transaction with this ClientRequestToken is under way"}
		}
		return true, nil
	}
	t.known[token] = t.order.PushBack(&transaction{token: token, digest: digest, begun: now, running: true})
	return false, nil
}

// end notes what became of a transaction; one that failed may be tried again.
func (t *tokens) end(token string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.known[token]
	if e == nil {
		return
	}
	if err != nil {
		t.forget(e)
	} else if x, ok := e.Value.(*transaction); ok {
		x.running = false
	}
}

// forget removes an entry. Its caller has the lock.
func (t *tokens) forget(e *list.Element) {
	if x, ok := t.order.Remove(e).(*transaction); ok {
		delete(t.known, x.token)
	}
}
