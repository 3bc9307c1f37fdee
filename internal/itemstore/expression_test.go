package itemstore

import (
	"errors"
	"strings"
	"testing"
)

func text(s string) Value { return Value{Type: String, Text: s} }

func num(s string) Value { return Value{Type: Number, Text: s} }

func TestConditions(t *testing.T) {
	item := Item{"leaseKey": text("shard-1"), "n": num("5"), "m": num("5"), "o": text("worker")}
	f := func(expression, want string) {
		t.Helper()
		names := &Names{
			Attributes: map[string]string{"#k": "leaseKey", "#and": "AND"},
			Values:     map[string]Value{":five": num("5"), ":w": text("worker"), ":t": text("5")},
		}
		c, err := ParseCondition("ConditionExpression", expression, names)
		got := "false"
		_, wrong := errors.AsType[*InputError](err)
		switch {
		case errors.Is(err, ErrUnsupported):
			got = "unsupported"
		case wrong:
			got = "invalid"
		case err != nil:
			got = err.Error()
		case c.Holds(item):
			got = "true"
		}
		if got != want {
			t.Errorf("%q is %s (%v), want %s", expression, got, err, want)
		}
	}
	f("n = :five", "true")
	f("n = :t", "false") // a number is no text
	f("n = m", "true")
	f(":five=n", "true")
	f("missing = :five", "false")
	f("missing = missing", "false")
	f("attribute_exists(#k) AND n = :five AND o = :w", "true")
	f("attribute_exists (leaseKey)", "true")
	f("attribute_not_exists(#k)", "false")
	f("attribute_not_exists(#and) and (n = :five)", "true")
	f("((n = :five) AND o = :w) AND attribute_exists(m)", "true")
	f("n = :five OR o = :w", "unsupported")
	f("NOT n = :five", "unsupported")
	f("n <> :five", "unsupported")
	f("n < :five", "unsupported")
	f("begins_with(o, :w)", "unsupported")
	f("size(o) = :five", "unsupported")
	f("n BETWEEN :five AND :five", "unsupported")
	f("a.b = :five", "unsupported")
	f("a[0] = :five", "unsupported")
	f("n = #missing", "invalid")
	f("n = :missing", "invalid")
	f("", "invalid")
	f("n =", "invalid")
	f("= :five", "invalid")
	f("n = :five AND", "invalid")
	f("(n = :five", "invalid")
	f("n = :five)", "invalid")
	f("n = :five extra", "invalid")
	f("attribute_exists(:five)", "invalid")
	f("attribute_exists(n", "invalid")
	f("nonsense(n)", "invalid")
	f("n ; m", "invalid")
	f("1n = :five", "invalid")
	f(strings.Repeat("(", 40)+"n = :five"+strings.Repeat(")", 40), "invalid")
	f("n = :five"+strings.Repeat(" ", MaxExpression), "invalid")
	if !Condition(nil).Holds(nil) {
		t.Error("no condition does not hold")
	}
}

func TestUpdateExpressions(t *testing.T) {
	f := func(expression, want string) {
		t.Helper()
		names := &Names{Attributes: map[string]string{"#a": "a"}, Values: map[string]Value{":v": num("1")}}
		changes, err := ParseUpdate(expression, names)
		var b strings.Builder
		for _, c := range changes {
			b.WriteString(map[ChangeOp]string{Set: "+", Remove: "-"}[c.Op] + c.Name + " ")
		}
		got := strings.TrimSpace(b.String())
		_, wrong := errors.AsType[*InputError](err)
		switch {
		case errors.Is(err, ErrUnsupported):
			got = "unsupported"
		case wrong:
			got = "invalid"
		case err != nil:
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q is %q (%v), want %q", expression, got, err, want)
		}
	}
	f("SET #a = :v", "+a")
	f("set #a = :v, b = c remove d, e", "+a +b -d -e")
	f("REMOVE d SET b = :v", "-d +b")
	f("SET a = a + :v", "unsupported")
	f("SET a = if_not_exists(a, :v)", "unsupported")
	f("SET a.b = :v", "unsupported")
	f("ADD a :v", "unsupported")
	f("DELETE a :v", "unsupported")
	f("SET a = :v SET b = :v", "invalid")
	f("SET a = :v, a = :v", "invalid")
	f("SET a = :v, #a = :v", "invalid")
	f("SET a", "invalid")
	f("SET :v = a", "invalid")
	f("REMOVE", "invalid")
	f("a = :v", "invalid")
	f("", "invalid")
}

func TestUnusedPlaceholders(t *testing.T) {
	names := &Names{Attributes: map[string]string{"#a": "a", "#b": "b"}, Values: map[string]Value{":v": num("1"), ":w": num("1")}}
	if _, err := ParseCondition("FilterExpression", "#a = :v", names); err != nil {
		t.Fatal(err)
	}
	want := "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}"
	if err := names.Unused(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := ParseUpdate("SET #b = :w", names); err != nil {
		t.Fatal(err)
	}
	if err := names.Unused(); err != nil {
		t.Error(err)
	}
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{"a = :v", "attribute_exists(#a) AND a = :v", "(a = b)", "SET a = :v REMOVE b", "a.b = :v", "SET", "((((", "a ="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		names := &Names{Attributes: map[string]string{"#a": "a"}, Values: map[string]Value{":v": num("1")}}
		known := func(err error) {
			if _, wrong := errors.AsType[*InputError](err); err != nil && !wrong && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("%q: %v", s, err)
			}
		}
		c, err := ParseCondition("ConditionExpression", s, names)
		known(err)
		if err == nil && len(c) == 0 {
			t.Fatalf("%q holds always", s)
		}
		changes, err := ParseUpdate(s, names)
		known(err)
		if err == nil && len(changes) == 0 {
			t.Fatalf("%q changes nothing", s)
		}
	})
}
