package awshttp

import (
	"strconv"
	"strings"
	"testing"
)

func bound(n int64) *int64 { return &n }

// testShape has a member of each type.
func testShape(t *testing.T) *Shape {
	t.Helper()
	name := &Shape{Type: StringShape, Min: bound(1), Max: bound(4), Pattern: "[a-z]+"}
	s := &Shape{Type: StructureShape, Members: []Member{
		{Name: "Name", Required: true, Unless: "Other", Shape: name},
		{Name: "Other", Shape: &Shape{Type: StringShape}},
		{Name: "Int", Shape: &Shape{Type: IntegerShape, Min: bound(1), Max: bound(9)}},
		{Name: "Long", Shape: &Shape{Type: LongShape}},
		{Name: "Double", Shape: &Shape{Type: DoubleShape}},
		{Name: "Bool", Shape: &Shape{Type: BooleanShape}},
		{Name: "Blob", Shape: &Shape{Type: BlobShape, Max: bound(3)}},
		{Name: "Time", Shape: &Shape{Type: TimestampShape}},
		{Name: "Enum", Shape: &Shape{Type: StringShape, Enum: []string{"A", "B"}}},
		{Name: "Strings", Shape: &Shape{Type: ListShape, Min: bound(1), Max: bound(2), Elem: &Shape{Type: StringShape, Min: bound(1), Max: bound(2)}}},
		{Name: "List", Shape: &Shape{Type: ListShape, Max: bound(20), MemberText: "item", Elem: &Shape{
			Type: StructureShape, Members: []Member{{Name: "Key", Required: true, Shape: name}},
		}}},
		{Name: "Map", Shape: &Shape{
			Type: MapShape, Max: bound(2), Key: &Shape{Type: StringShape, Min: bound(1), Max: bound(2)},
			Elem: &Shape{Type: StringShape, Min: bound(0), Max: bound(2)},
		}},
		{Name: "Struct", Shape: &Shape{Type: StructureShape, Members: []Member{{Name: "Key", Shape: name}}}},
	}}
	if err := s.Compile(); err != nil {
		t.Fatal(err)
	}
	return s
}

func parse(t *testing.T, body string) Value {
	t.Helper()
	v, err := JSON{}.Parse([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

func TestConvert(t *testing.T) {
	s := testShape(t)
	f := func(body, want string) {
		t.Helper()
		v, err := s.Convert(parse(t, body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			return
		}
		if got := string(JSON{}.Append(nil, v)); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	f(`{}`, `{}`)
	f(`{"Unknown":[1,{"x":2}],"Name":null}`, `{}`)
	f(`{"Int":100000000000}`, `{"Int":2147483647}`)
	f(`{"Int":-1e300}`, `{"Int":-2147483648}`)
	f(`{"Int":3.9}`, `{"Int":3}`)
	f(`{"Long":1e300}`, `{"Long":9223372036854775807}`)
	f(`{"Time":1.5}`, `{"Time":1.500}`)
	f(`{"Time":1e300}`, `{"Time":253402300799.999}`)
	f(`{"Blob":"AQID"}`, `{"Blob":"AQID"}`)
	f(`{"Name":"a","Name":"b"}`, `{"Name":"b"}`)
	f(`{"Map":{"a":"1","a":"2","b":null}}`, `{"Map":{"a":"2","b":null}}`)
	f(`{"Bool":true,"Double":2}`, `{"Double":2,"Bool":true}`)
}

func TestConvertErrors(t *testing.T) {
	s := testShape(t)
	f := func(body, want string) {
		t.Helper()
		_, err := s.Convert(parse(t, body))
		if err == nil {
			t.Errorf("%s is accepted", body)
			return
		}
		if err.Type != "SerializationException" || err.Message != want || !err.capital {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	const (
		boolean  = "class java.lang.Boolean can not be converted to "
		number   = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to "
		text     = "class java.lang.String can not be converted to "
		list     = "Start of list found where not expected"
		document = "Start of structure or map found where not expected."
	)
	f(`[]`, list)
	for _, m := range []string{"Name", "Int", "Long", "Double", "Bool", "Blob", "Time", "Map", "Struct"} {
		f(`{"`+m+`":[]}`, list)
	}
	for _, m := range []string{"Name", "Int", "Long", "Double", "Bool", "Blob", "Time", "List"} {
		f(`{"`+m+`":{}}`, document)
	}
	f(`{"Name":true}`, boolean+"an String")
	f(`{"Name":3}`, number+"an String")
	f(`{"Int":"3"}`, text+"an Integer")
	f(`{"Int":true}`, boolean+"an Integer")
	f(`{"Long":"3"}`, text+"an Long")
	f(`{"Double":"3"}`, text+"an Double")
	f(`{"Bool":"yes"}`, "'YES' can not be converted to an Boolean")
	f(`{"Bool":1}`, number+"an Boolean")
	f(`{"Blob":1}`, number+"a Blob")
	f(`{"Blob":false}`, boolean+"a Blob")
	f(`{"Time":"x"}`, text+"milliseconds since epoch")
	f(`{"Time":true}`, boolean+"milliseconds since epoch")
	f(`{"Strings":"x"}`, "Expected list or null")
	f(`{"Strings":1}`, "Expected list or null")
	f(`{"Map":true}`, "Expected map or null")
	f(`{"Struct":1}`, "Expected null")
	f(`{"List":[{"Key":1}]}`, number+"an String")
	f(`{"Map":{"a":1}}`, number+"an String")
	f(`{"Blob":"23456"}`, "'23456' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 5")
	f(`{"Blob":"=+/="}`, "'=+/=' can not be converted to a Blob: Invalid Base64 character: '='")
	f(`{"Blob":"ab\nc"}`, "'ab\nc' can not be converted to a Blob: Invalid Base64 character: '\n'")
	f(`{"Blob":"abé="}`, "'abé=' can not be converted to a Blob: Invalid Base64 character: 'é'")
	f(`{"Blob":"+/+="}`, "'+/+=' can not be converted to a Blob: Invalid last non-pad Base64 character dectected")
	f(`{"Blob":"===="}`, "'====' can not be converted to a Blob: Invalid last non-pad Base64 character dectected")
}

func TestConstraints(t *testing.T) {
	s := testShape(t)
	f := func(body string, want ...string) {
		t.Helper()
		v, err := s.Convert(parse(t, body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			return
		}
		err = s.Check(v)
		if len(want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", body, err)
			}
			return
		}
		plural := ""
		if len(want) > 1 {
			plural = "s"
		}
		message := strconv.Itoa(len(want)) + " validation error" + plural + " detected: " + strings.Join(want, "; ")
		if err == nil || err.Type != "ValidationException" || err.Message != message {
			t.Errorf("%s: %v, want %s", body, err, message)
		}
	}
	const c = " failed to satisfy constraint: "
	f(`{"Name":"abcd"}`)
	f(`{"Other":""}`)
	f(`{}`, "Value null at 'name'"+c+"Member must not be null")
	f(`{"Name":""}`, "Value '' at 'name'"+c+"Member must satisfy regular expression pattern: [a-z]+",
		"Value '' at 'name'"+c+"Member must have length greater than or equal to 1")
	f(`{"Name":"abcde"}`, "Value 'abcde' at 'name'"+c+"Member must have length less than or equal to 4")
	f(`{"Name":"a\n"}`, "Value 'a\n' at 'name'"+c+"Member must satisfy regular expression pattern: [a-z]+")
	f(`{"Other":"x","Int":0}`, "Value '0' at 'int'"+c+"Member must have value greater than or equal to 1")
	f(`{"Other":"x","Int":10}`, "Value '10' at 'int'"+c+"Member must have value less than or equal to 9")
	f(`{"Other":"x","Blob":"AQIDBA=="}`, "Value 'java.nio.HeapByteBuffer[pos=0 lim=4 cap=4]' at 'blob'"+c+"Member must have length less than or equal to 3")
	f(`{"Other":"x","Enum":"C"}`, "Value 'C' at 'enum'"+c+"Member must satisfy enum value set: [A, B]")
	f(`{"Other":"x","Strings":[]}`, "Value '[]' at 'strings'"+c+"Member must have length greater than or equal to 1")
	f(`{"Other":"x","Strings":["a","b","c"]}`, "Value '[a, b, c]' at 'strings'"+c+"Member must have length less than or equal to 2")
	f(`{"Other":"x","Strings":["abc"]}`, "Value '[abc]' at 'strings'"+c+
		"Member must satisfy constraint: [Member must have length less than or equal to 2, Member must have length greater than or equal to 1]")
	f(`{"Other":"x","Map":{"abc":"x"}}`, "Value '{abc=x}' at 'map'"+c+
		"Map keys must satisfy constraint: [Member must have length less than or equal to 2, Member must have length greater than or equal to 1]")
	f(`{"Other":"x","Map":{"a":"xyz"}}`, "Value '{a=xyz}' at 'map'"+c+
		"Map value must satisfy constraint: [Member must have length less than or equal to 2, Member must have length greater than or equal to 0]")
	f(`{"Other":"x","Map":{"a":"","b":"","c":""}}`, "Value '{a=, b=, c=}' at 'map'"+c+"Member must have length less than or equal to 2")
	f(`{"Other":"x","List":[{"Key":"a"},{}]}`, "Value null at 'list.2.member.key'"+c+"Member must not be null")
	f(`{"Other":"x","List":[null]}`, "Value null at 'list.1.member'"+c+"Member must not be null")
	f(`{"Other":"x","Struct":{"Key":"ABC"}}`, "Value 'ABC' at 'struct.key'"+c+"Member must satisfy regular expression pattern: [a-z]+")

	var ten []string
	for i := range 10 {
		ten = append(ten, "Value null at 'list."+strconv.Itoa(i+1)+".member.key'"+c+"Member must not be null")
	}
	f(`{"Other":"x","List":[`+strings.Repeat("{},", 10)+`{}]}`, ten...)
	f(`{"Name":"\ud83d\ude00\ud83d\ude00\ud83d\ude00"}`, "Value '😀😀😀' at 'name'"+c+"Member must satisfy regular expression pattern: [a-z]+",
		"Value '😀😀😀' at 'name'"+c+"Member must have length less than or equal to 4") // six for Java
}

func TestCompileRefuses(t *testing.T) {
	s := &Shape{Type: StructureShape, Members: []Member{{Name: "A", Shape: &Shape{Type: StringShape, Pattern: "("}}}}
	if s.Compile() == nil {
		t.Error("a bad pattern compiles")
	}
}
