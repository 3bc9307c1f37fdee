package dynamodbapi

import (
	"maps"
	"slices"

	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// names reads the placeholders of a request's expressions.
func (f *fields) names() *itemstore.Names {
	n := &itemstore.Names{Attributes: map[string]string{}, Values: map[string]itemstore.Value{}}
	given, _ := f.object("ExpressionAttributeNames")
	for i, k := range given.v.Keys {
		if given.v.List[i].Kind != awshttp.String || len(k) < 2 || k[0] != '#' {
			f.fail(invalid("ExpressionAttributeNames contains invalid key: Syntax error; key: \"" + k + "\""))
			return n
		}
		n.Attributes[k] = given.v.List[i].Str
	}
	n.Values = f.item("ExpressionAttributeValues")
	for k := range n.Values {
		if len(k) < 2 || k[0] != ':' {
			f.fail(invalid("ExpressionAttributeValues contains invalid key: Syntax error; key: \"" + k + "\""))
		}
	}
	return n
}

// condition reads an expression; an absent one holds always.
func (f *fields) condition(member string, names *itemstore.Names) itemstore.Condition {
	text := f.text(member)
	if text == "" {
		if v := f.v.Get(member); v.Kind == awshttp.String {
			f.fail(invalid("Invalid " + member + ": The expression can not be empty;"))
		}
		return nil
	}
	if f.err != nil {
		return nil
	}
	c, err := itemstore.ParseCondition(member, text, names)
	if err != nil {
		f.fail(err)
	}
	return c
}

// unused refuses placeholders that nothing mentions.
func (f *fields) unused(names *itemstore.Names) {
	if f.err == nil {
		if err := names.Unused(); err != nil {
			f.fail(err)
		}
	}
}

// expected reads the older form of a condition, Expected.
func (f *fields) expected() (all itemstore.Condition) {
	given, ok := f.object("Expected")
	if !ok {
		return nil
	}
	if f.oneOf("ConditionalOperator", "AND", "OR") == "OR" {
		f.fail(notHere("ConditionalOperator OR"))
	}
	for i, name := range given.v.Keys {
		e := fields{v: given.v.List[i]}
		if e.v.Kind != awshttp.Map {
			f.fail(wrongType("Expected", "a map of structures"))
			return nil
		}
		all = append(all, e.expectation(name)...)
		if e.err != nil {
			f.fail(e.err)
			return nil
		}
	}
	return all
}

// expectation reads what is expected of one attribute.
func (f *fields) expectation(name string) itemstore.Condition {
	test := func(op itemstore.Op, v ...itemstore.Value) itemstore.Condition {
		t := itemstore.Test{Op: op, Left: itemstore.Operand{Name: name}}
		if len(v) > 0 {
			t.Right.Value = v[0]
		}
		return itemstore.Condition{t}
	}
	value := f.v.Get("Value")
	exists, said := f.boolean("Exists")
	if operator := f.text("ComparisonOperator"); operator != "" {
		list, _ := f.get("AttributeValueList", awshttp.List, "a list")
		if value.Kind != awshttp.Null {
			list.List = append(list.List, value)
		}
		switch {
		case operator == "NULL" && len(list.List) == 0:
			return test(itemstore.OpNotExists)
		case operator == "NOT_NULL" && len(list.List) == 0:
			return test(itemstore.OpExists)
		case operator == "EQ" && len(list.List) == 1:
			value = list.List[0]
		default:
			f.fail(notHere("the ComparisonOperator " + operator[:min(len(operator), 20)] + " with these values"))
			return nil
		}
	}
	switch {
	case said && !exists && value.Kind == awshttp.Null:
		return test(itemstore.OpNotExists)
	case said && !exists:
		f.fail(invalid("One or more parameter values were invalid: Value cannot be used when Exists is false for Attribute: " + name))
	case value.Kind == awshttp.Null:
		f.fail(invalid("One or more parameter values were invalid: Value must be provided when Exists is true for Attribute: " + name))
	default:
		v, err := readValue(value)
		if err != nil {
			f.fail(err)
		}
		return test(itemstore.OpEqual, v)
	}
	return nil
}

// attributeUpdates reads the older form of changes, AttributeUpdates.
func (f *fields) attributeUpdates() (all []itemstore.Change) {
	given, _ := f.object("AttributeUpdates")
	for i, name := range given.v.Keys {
		u := fields{v: given.v.List[i]}
		if u.v.Kind != awshttp.Map {
			f.fail(wrongType("AttributeUpdates", "a map of structures"))
			return nil
		}
		c := itemstore.Change{Name: name}
		action := u.oneOf("Action", "PUT", "DELETE", "ADD")
		value := u.v.Get("Value")
		switch {
		case action == "DELETE" && value.Kind == awshttp.Null:
			c.Op = itemstore.Remove
		case action == "DELETE":
			c.Op = itemstore.Subtract
		case action == "ADD":
			c.Op = itemstore.Add
		}
		if c.Op != itemstore.Remove {
			var err error
			if c.Value.Value, err = readValue(value); err != nil {
				u.fail(err)
			}
		}
		if u.err != nil {
			f.fail(u.err)
			return nil
		}
		all = append(all, c)
	}
	return all
}

// onlyOneForm refuses requests that mix expressions with the parameters from before them.
func (f *fields) onlyOneForm(expressions, older []string) {
	there := func(names []string) (all []string) {
		for _, n := range names {
			if v := f.v.Get(n); v.Kind != awshttp.Null {
				all = append(all, n)
			}
		}
		return all
	}
	e, o := there(expressions), there(older)
	if len(e) > 0 && len(o) > 0 {
		f.fail(invalid("Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {" +
			o[0] + "} Expression parameters: {" + e[0] + "}"))
	}
}

// returned picks what ReturnValues asks for.
func returned(want string, r itemstore.Result, changes []itemstore.Change) awshttp.Value {
	from := r.New
	if want == "ALL_OLD" || want == "UPDATED_OLD" {
		from = r.Old
	}
	if want == "NONE" || from == nil {
		return awshttp.Value{}
	}
	if want == "UPDATED_OLD" || want == "UPDATED_NEW" {
		from = maps.Clone(from)
		maps.DeleteFunc(from, func(k string, _ itemstore.Value) bool {
			return !slices.ContainsFunc(changes, func(c itemstore.Change) bool { return c.Name == k })
		})
		if len(from) == 0 {
			return awshttp.Value{}
		}
	}
	return itemValue(from)
}
