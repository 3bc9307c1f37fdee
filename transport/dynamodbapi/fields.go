package dynamodbapi

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// fields reads the members of a request. The first thing that has the wrong form stays in err, and later reads yield
// zero values.
type fields struct {
	v   awshttp.Value
	err error
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// get is a member that must be of a kind where it is there; ok tells whether it is.
func (f *fields) get(name string, kind awshttp.Kind, want string) (v awshttp.Value, ok bool) {
	v = f.v.Get(name)
	if v.Kind == awshttp.Null {
		return v, false
	}
	if v.Kind != kind {
		f.fail(wrongType(name, want))
		return awshttp.Value{}, false
	}
	return v, true
}

func (f *fields) text(name string) string {
	v, _ := f.get(name, awshttp.String, "a string")
	return v.Str
}

func (f *fields) boolean(name string) (value, ok bool) {
	v, ok := f.get(name, awshttp.Bool, "a boolean")
	return v.Bool, ok
}

// number is a whole number between low and high; ok tells whether it is there.
func (f *fields) number(name string, low, high int64) (n int64, ok bool) {
	v, ok := f.get(name, awshttp.Int, "a whole number")
	if ok && (v.Int < low || v.Int > high) {
		f.fail(invalid("1 validation error detected: Value at '" + lowerFirst(name) + "' failed to satisfy constraint: Member is out of range"))
		return 0, false
	}
	return v.Int, ok
}

// object is a structure or map; an absent one reads as empty.
func (f *fields) object(name string) (fields, bool) {
	v, ok := f.get(name, awshttp.Map, "a structure")
	return fields{v: v}, ok
}

// list is a list of structures.
func (f *fields) list(name string) (all []fields) {
	v, _ := f.get(name, awshttp.List, "a list")
	for _, m := range v.List {
		if m.Kind != awshttp.Map {
			f.fail(wrongType(name, "a list of structures"))
			return nil
		}
		all = append(all, fields{v: m})
	}
	return all
}

func (f *fields) texts(name string) (all []string) {
	v, _ := f.get(name, awshttp.List, "a list")
	for _, m := range v.List {
		if m.Kind != awshttp.String {
			f.fail(wrongType(name, "a list of strings"))
			return nil
		}
		all = append(all, m.Str)
	}
	return all
}

// oneOf is a text out of a list; absent it is the first.
func (f *fields) oneOf(name string, allowed ...string) string {
	s := f.text(name)
	if s == "" {
		return allowed[0]
	}
	if !slices.Contains(allowed, s) {
		f.fail(invalid("1 validation error detected: Value '" + s + "' at '" + lowerFirst(name) + "' failed to satisfy constraint: Member must satisfy enum value set"))
	}
	return s
}

// absent refuses members whose meaning is not here.
func (f *fields) absent(names ...string) {
	for _, name := range names {
		if v := f.v.Get(name); v.Kind != awshttp.Null {
			f.fail(notHere("the parameter " + name))
		}
	}
}

// tableName is the table a request is about: a name, or the end of an ARN.
func (f *fields) tableName() string {
	name := f.text("TableName")
	if i := len("arn:aws:dynamodb:"); len(name) > i && name[:i] == "arn:aws:dynamodb:" {
		for j := len(name) - 1; j > 0; j-- {
			if name[j] == '/' {
				return name[j+1:]
			}
		}
	}
	f.checkName("tableName", name)
	return name
}

// checkName wants 3 to 255 letters, digits, '_', '-' and '.'.
func (f *fields) checkName(member, name string) {
	const pattern = "[a-zA-Z0-9_.-]+"
	why := ""
	switch {
	case name == "":
		f.fail(invalid("1 validation error detected: Value null at '" + member + "' failed to satisfy constraint: Member must not be null"))
		return
	case len(name) < 3:
		why = "Member must have length greater than or equal to 3"
	case len(name) > 255:
		why = "Member must have length less than or equal to 255"
	}
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.') {
			why = "Member must satisfy regular expression pattern: " + pattern
			break
		}
	}
	if why != "" {
		f.fail(invalid("1 validation error detected: Value '" + name[:min(len(name), 300)] + "' at '" + member + "' failed to satisfy constraint: " + why))
	}
}

// lowerFirst is how AWS names a member in a message.
func lowerFirst(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// item is a map of attribute values, nil where it is absent.
func (f *fields) item(name string) itemstore.Item {
	v, ok := f.get(name, awshttp.Map, "a map of attribute values")
	if !ok {
		return nil
	}
	i, err := readItem(v)
	if err != nil {
		f.fail(err)
	}
	return i
}

func readItem(v awshttp.Value) (itemstore.Item, error) {
	i := make(itemstore.Item, len(v.Keys))
	for n, name := range v.Keys {
		if name == "" {
			return nil, invalid("One or more parameter values were invalid: An attribute name must not be empty")
		}
		value, err := readValue(v.List[n])
		if err != nil {
			return nil, err
		}
		i[name] = value
	}
	return i, nil
}

// readValue reads {"S": "text"} and its kind. The depth is bounded by the JSON parser.
func readValue(v awshttp.Value) (out itemstore.Value, err error) {
	if v.Kind != awshttp.Map {
		return out, wrongType("an attribute value", "a structure")
	}
	if len(v.Keys) != 1 {
		return out, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	}
	in := v.List[0]
	switch kind := v.Keys[0]; kind {
	case "S", "N", "B":
		out.Type = itemstore.Type(kind[0])
		out.Text, err = readScalar(out.Type, in)
	case "BOOL", "NULL":
		if in.Kind != awshttp.Bool {
			return out, wrongType(kind, "a boolean")
		}
		out.Type, out.Bool = itemstore.Bool, in.Bool
		if kind == "NULL" {
			out = itemstore.Value{Type: itemstore.Null}
			if !in.Bool {
				return out, invalid("One or more parameter values were invalid: Null attribute value types must have the value of true")
			}
		}
	case "SS", "NS", "BS":
		return readSet(kind, in)
	case "L":
		if in.Kind != awshttp.List {
			return out, wrongType("L", "a list")
		}
		out.Type = itemstore.List
		for _, m := range in.List {
			value, err := readValue(m)
			if err != nil {
				return out, err
			}
			out.List = append(out.List, value)
		}
	case "M":
		if in.Kind != awshttp.Map {
			return out, wrongType("M", "a map")
		}
		out.Type = itemstore.Map
		out.Map, err = readItem(in)
	default:
		return out, invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	}
	return out, err
}

func readScalar(t itemstore.Type, in awshttp.Value) (string, error) {
	if in.Kind != awshttp.String {
		return "", wrongType(string(rune(t)), "a string")
	}
	switch t {
	case itemstore.Number:
		return itemstore.ParseNumber(in.Str)
	case itemstore.Binary:
		b, err := base64.StdEncoding.DecodeString(in.Str)
		if err != nil {
			return "", wrongType("B", "base64")
		}
		return string(b), nil
	}
	return in.Str, nil
}

func readSet(kind string, in awshttp.Value) (out itemstore.Value, err error) {
	if in.Kind != awshttp.List {
		return out, wrongType(kind, "a list")
	}
	if len(in.List) == 0 {
		return out, invalid("One or more parameter values were invalid: An string set  may not be empty")
	}
	out.Type = map[string]itemstore.Type{"SS": itemstore.StringSet, "NS": itemstore.NumberSet, "BS": itemstore.BinarySet}[kind]
	for _, m := range in.List {
		text, err := readScalar(itemstore.Type(kind[0]), m)
		if err != nil {
			return out, err
		}
		out.Set = append(out.Set, text)
	}
	slices.Sort(out.Set)
	if len(slices.Compact(slices.Clone(out.Set))) != len(out.Set) {
		return out, invalid("One or more parameter values were invalid: Input collection contains duplicates.")
	}
	return out, nil
}
