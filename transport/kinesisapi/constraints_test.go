package kinesisapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// good is a value that satisfies a shape.
func good(s *awshttp.Shape) any {
	switch s.Type {
	case awshttp.StringShape:
		switch {
		case len(s.Enum) > 0:
			return s.Enum[0]
		case strings.HasPrefix(s.Pattern, "arn"):
			return "arn:aws:kinesis:us-east-1:000000000000:stream/x"
		case strings.Contains(s.Pattern, "{20}"):
			return "aaaaaaaaaaaaaaaaaaaa-bbb"
		}
		return "1"
	case awshttp.IntegerShape, awshttp.LongShape, awshttp.DoubleShape:
		if s.Min != nil {
			return max(*s.Min, 1)
		}
		return 1
	case awshttp.BooleanShape:
		return true
	case awshttp.BlobShape:
		return "AQID"
	case awshttp.TimestampShape:
		return 1
	case awshttp.ListShape:
		return []any{good(s.Elem)}
	case awshttp.MapShape:
		return map[string]any{"k": good(s.Elem)}
	case awshttp.StructureShape:
	}
	out := map[string]any{}
	for _, m := range s.Members {
		if m.Required {
			out[m.Name] = good(m.Shape)
		}
	}
	return out
}

// wrong is a value that breaks one constraint, and what the API says to it. Message may be a part.
type wrong struct {
	value   any
	message string
}

func violations(s *awshttp.Shape) (out []wrong) {
	text := func(n int64) string { return strings.Repeat("1", int(n)) }
	num := func(n int64) string { return fmt.Sprint(n) }
	switch s.Type {
	case awshttp.StringShape:
		if s.Pattern != "" {
			out = append(out, wrong{"!", "Value '!' at 'PATH' failed to satisfy constraint: Member must satisfy regular expression pattern: " + s.Pattern})
		}
		if s.Enum != nil {
			out = append(out, wrong{"X", "Value 'X' at 'PATH' failed to satisfy constraint: Member must satisfy enum value set: [" + strings.Join(s.Enum, ", ") + "]"})
		}
		if s.Min != nil && *s.Min > 0 {
			out = append(out, wrong{text(*s.Min - 1), "at 'PATH' failed to satisfy constraint: Member must have length greater than or equal to " + num(*s.Min)})
		}
		if s.Max != nil {
			out = append(out, wrong{text(*s.Max + 1), "at 'PATH' failed to satisfy constraint: Member must have length less than or equal to " + num(*s.Max)})
		}
	case awshttp.IntegerShape, awshttp.LongShape:
		if s.Min != nil {
			out = append(out, wrong{*s.Min - 1, "Value '" + num(*s.Min-1) + "' at 'PATH' failed to satisfy constraint: Member must have value greater than or equal to " + num(*s.Min)})
		}
		if s.Max != nil {
			out = append(out, wrong{*s.Max + 1, "Value '" + num(*s.Max+1) + "' at 'PATH' failed to satisfy constraint: Member must have value less than or equal to " + num(*s.Max)})
		}
	case awshttp.BlobShape:
		if s.Max != nil {
			n := num(*s.Max + 1)
			out = append(out, wrong{base64.StdEncoding.EncodeToString(make([]byte, *s.Max+1)), "Value 'java.nio.HeapByteBuffer[pos=0 lim=" + n + " cap=" + n +
				"]' at 'PATH' failed to satisfy constraint: Member must have length less than or equal to " + num(*s.Max)})
		}
	case awshttp.ListShape:
		if s.Min != nil && *s.Min > 0 {
			out = append(out, wrong{[]any{}, "Value '[]' at 'PATH' failed to satisfy constraint: Member must have length greater than or equal to " + num(*s.Min)})
		}
		if s.Max != nil {
			out = append(out, wrong{slices.Repeat([]any{good(s.Elem)}, int(*s.Max)+1), "at 'PATH' failed to satisfy constraint: Member must have length less than or equal to " + num(*s.Max)})
		}
		for _, v := range scalars(s.Elem) {
			out = append(out, wrong{[]any{v}, "Value '[" + v + "]' at 'PATH' failed to satisfy constraint: Member must satisfy constraint: ["})
		}
	case awshttp.MapShape:
		if s.Min != nil && *s.Min > 0 {
			out = append(out, wrong{map[string]any{}, "Value '{}' at 'PATH' failed to satisfy constraint: Member must have length greater than or equal to " + num(*s.Min)})
		}
		if s.Max != nil {
			many := map[string]any{}
			for i := range *s.Max + 1 {
				many[num(i)] = good(s.Elem)
			}
			out = append(out, wrong{many, "at 'PATH' failed to satisfy constraint: Member must have length less than or equal to " + num(*s.Max)})
		}
		for _, k := range scalars(s.Key) {
			out = append(out, wrong{map[string]any{k: good(s.Elem)}, "' at 'PATH' failed to satisfy constraint: Map keys must satisfy constraint: ["})
		}
		for _, v := range scalars(s.Elem) {
			out = append(out, wrong{map[string]any{"k": v}, "' at 'PATH' failed to satisfy constraint: Map value must satisfy constraint: ["})
		}
	case awshttp.BooleanShape, awshttp.TimestampShape, awshttp.DoubleShape, awshttp.StructureShape:
	}
	return out
}

// served are the input shapes of the actions that exist for clients.
func served(t testing.TB) map[string]*awshttp.Shape {
	t.Helper()
	out := map[string]*awshttp.Shape{}
	for _, a := range bareAPI(t).Service().Actions {
		out[a.Name] = a.Input
	}
	if len(out) < 35 {
		t.Fatalf("only %d actions are served", len(out))
	}
	return out
}

// scalars are the strings that break a constraint of an element's shape.
func scalars(s *awshttp.Shape) (out []string) {
	if s.Type != awshttp.StringShape {
		return nil
	}
	for _, w := range violations(s) {
		if v, ok := w.value.(string); ok {
			out = append(out, v)
		}
	}
	return out
}

// TestEveryConstraint breaks each constraint of each action's members, over HTTP in JSON and in CBOR, one at a time.
func TestEveryConstraint(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	shapes, tried := served(t), 0
	for _, action := range slices.Sorted(maps.Keys(shapes)) {
		walkMembers(shapes[action], "", func(m awshttp.Member, path string, put func(any) map[string]any) {
			bad := violations(m.Shape)
			if m.Required {
				bad = append(bad, wrong{nil, "Value null at 'PATH' failed to satisfy constraint: Member must not be null"})
			}
			for _, w := range bad {
				tried++
				body, err := json.Marshal(put(w.value))
				if err != nil {
					t.Fatal(err)
				}
				want := strings.ReplaceAll(w.message, "PATH", path)
				check := func(code int, doc map[string]any) {
					message, _ := doc["message"].(string)
					if code != http.StatusBadRequest || doc["__type"] != "ValidationException" || !strings.Contains(message, want) ||
						!strings.Contains(message, " detected: ") {
						t.Errorf("%s %.300s: %d %.300v, want %s", action, body, code, doc, want)
					}
				}
				check(call(t, s, action, string(body)))
				check(callCBOR(t, s, action, asCBOR(shapes[action], put(w.value))))
			}
		})
	}
	if tried < 270 {
		t.Errorf("only %d constraints were tried", tried)
	}
}

// walkMembers calls f for each member of a structure and of those inside. put makes a good document with one value in
// that member's place.
func walkMembers(s *awshttp.Shape, path string, f func(m awshttp.Member, path string, put func(any) map[string]any)) {
	for _, m := range s.Members {
		at := path + string(m.Name[0]|0x20) + m.Name[1:]
		put := func(v any) map[string]any {
			doc, _ := good(s).(map[string]any)
			if doc[m.Name] = v; v == nil {
				delete(doc, m.Unless)
			}
			return doc
		}
		f(m, at, put)
		inner, wrap := m.Shape, func(doc map[string]any) any { return doc }
		sub := at + "."
		if m.Shape.Type == awshttp.ListShape {
			inner, wrap, sub = m.Shape.Elem, func(doc map[string]any) any { return []any{doc} }, at+".1.member."
		}
		if inner != nil && inner.Type == awshttp.StructureShape {
			walkMembers(inner, sub, func(im awshttp.Member, ip string, iput func(any) map[string]any) {
				f(im, ip, func(v any) map[string]any { return put(wrap(iput(v))) })
			})
		}
	}
}

// TestEveryType gives each member a value of each wrong type.
func TestEveryType(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	values := map[string]any{"string": "!", "number": 12, "bool": true, "list": []any{}, "map": map[string]any{}}
	accepts := map[awshttp.ShapeType]string{
		awshttp.StringShape: "string", awshttp.IntegerShape: "number", awshttp.LongShape: "number", awshttp.DoubleShape: "number",
		awshttp.BooleanShape: "bool", awshttp.BlobShape: "", awshttp.TimestampShape: "number", awshttp.ListShape: "list",
		awshttp.MapShape: "map", awshttp.StructureShape: "map",
	}
	tried := 0
	for action, shape := range served(t) {
		walkMembers(shape, "", func(m awshttp.Member, path string, put func(any) map[string]any) {
			for kind, value := range values {
				if accepts[m.Shape.Type] == kind {
					continue
				}
				tried++
				doc := put(value)
				body, err := json.Marshal(doc)
				if err != nil {
					t.Fatal(err)
				}
				check := func(code int, doc map[string]any) {
					if text, _ := doc["Message"].(string); code != http.StatusBadRequest || doc["__type"] != "SerializationException" || text == "" {
						t.Errorf("%s %s %s: %d %v", action, path, body, code, doc)
					}
				}
				check(call(t, s, action, string(body)))
				check(callCBOR(t, s, action, asCBOR(shape, doc)))
			}
		})
	}
	if tried < 400 {
		t.Errorf("only %d values were tried", tried)
	}
}

// TestUnknownMembers: members that the model does not have and nulls change nothing.
func TestUnknownMembers(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	for action, shape := range served(t) {
		doc, _ := good(shape).(map[string]any)
		plain, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		doc["Unknown"], doc["StreamId"] = map[string]any{"a": []any{1, nil}}, nil
		more, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if action == "CreateStream" || action == "UpdateAccountSettings" {
			continue // not the same answer twice
		}
		code, want := call(t, s, action, string(plain))
		again, got := call(t, s, action, string(more))
		if code != again || want["__type"] != got["__type"] {
			t.Errorf("%s %s: %d %v; %s: %d %v", action, plain, code, want, more, again, got)
		}
	}
}

// TestUnknownOperations wants every operation that is not in the table to be refused, never a fake success.
func TestUnknownOperations(t *testing.T) {
	s, _ := newServer(t, engine.Options{}, awshttp.Options{})
	for _, action := range []string{"CreateQueue", "ReceiveQueueRecords", "CreateChannel", "ListChannels", "createStream", "X"} {
		if code, doc := call(t, s, action, `{}`); code != http.StatusBadRequest || doc["__type"] != "UnknownOperationException" {
			t.Errorf("%s: %d %v", action, code, doc)
		}
	}
}
