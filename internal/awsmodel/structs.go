package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// structs writes one declaration for each structure.
func (g *generator) structs(write func(*bytes.Buffer, string, *shape)) *bytes.Buffer {
	var body bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(g.m.Shapes)) {
		if s := g.m.Shapes[name]; s.Type == "structure" && (g.inputs[name] || g.outputs[name]) {
			write(&body, name, s)
		}
	}
	b := bytes.NewBufferString(header)
	text := body.String()
	if strings.Contains(text, "time.Time") {
		b.WriteString("import \"time\"\n")
	}
	if strings.Contains(text, "awshttp.") {
		b.WriteString("import \"github.com/shardmill/shardmill/transport/awshttp\"\n")
	}
	b.WriteString(text)
	return b
}

// scalar is the Go type of a shape. Optional strings are empty where absent, other optional scalars are pointers.
func (g *generator) scalar(name string, required bool) string {
	s := g.m.Shapes[name]
	star := "*"
	if required {
		star = ""
	}
	switch s.Type {
	case "string":
		return "string"
	case "integer", "long":
		return star + "int64"
	case "double":
		return star + "float64"
	case "boolean":
		return star + "bool"
	case "blob":
		return "[]byte"
	case "timestamp":
		return star + "time.Time"
	case "list":
		return "[]" + g.scalar(s.Member.Shape, true)
	case "map":
		return "map[string]" + g.scalar(s.Value.Shape, true)
	}
	return star + name
}

func (g *generator) required(s *shape, name string) bool {
	required, unless := s.requires(name)
	return required && unless == ""
}

func (g *generator) goType(b *bytes.Buffer, name string, s *shape) {
	fmt.Fprintf(b, "\n// %s is the structure of that name in the API.\ntype %s struct {\n", name, name)
	for _, m := range s.Members {
		fmt.Fprintf(b, "%s %s\n", m.name, g.scalar(m.shape, g.required(s, m.name)))
	}
	b.WriteString("}\n")
}

func (g *generator) decoder(b *bytes.Buffer, name string, s *shape) {
	if !g.inputs[name] {
		return
	}
	fmt.Fprintf(b, "\nfunc decode%s(v awshttp.Value) (in %s) {\n", name, name)
	if len(s.Members) > 0 {
		b.WriteString("for i := range v.Keys {\nm := v.List[i]\nswitch v.Keys[i] {\n")
		for _, m := range s.Members {
			fmt.Fprintf(b, "case %q:\n", m.name)
			g.decode(b, "in."+m.name, m.shape, g.required(s, m.name))
		}
		b.WriteString("}\n}\n")
	}
	b.WriteString("return in\n}\n")
}

// decode writes the assignment of one member from the value m.
func (g *generator) decode(b *bytes.Buffer, to, name string, required bool) {
	s := g.m.Shapes[name]
	if s.Type == "list" {
		fmt.Fprintf(b, "for i := range m.List {\n%s = append(%s, %s)\n}\n", to, to, g.expr("m.List[i]", s.Member.Shape))
		return
	}
	if s.Type == "map" {
		fmt.Fprintf(b, "%s = make(%s, len(m.Keys))\nfor i, k := range m.Keys {\n%s[k] = %s\n}\n",
			to, g.scalar(name, true), to, g.expr("m.List[i]", s.Value.Shape))
		return
	}
	if required || s.Type == "string" || s.Type == "blob" {
		fmt.Fprintf(b, "%s = %s\n", to, g.expr("m", name))
		return
	}
	fmt.Fprintf(b, "x := %s\n%s = &x\n", g.expr("m", name), to)
}

func (g *generator) expr(v, name string) string {
	switch g.m.Shapes[name].Type {
	case "string":
		return v + ".Str"
	case "integer", "long":
		return v + ".Int"
	case "double":
		return v + ".Float"
	case "boolean":
		return v + ".Bool"
	case "blob":
		return "[]byte(" + v + ".Str)"
	case "timestamp":
		return v + ".AsTime()"
	}
	return "decode" + name + "(" + v + ")"
}

func (g *generator) encoder(b *bytes.Buffer, name string, s *shape) {
	if !g.outputs[name] {
		return
	}
	fmt.Fprintf(b, "\nfunc (out *%s) value() awshttp.Value {\nv := awshttp.Value{Kind: awshttp.Map}\n", name)
	for _, m := range s.Members {
		from, required := "out."+m.name, g.required(s, m.name)
		ms := g.m.Shapes[m.shape]
		switch {
		case ms.Type == "list":
			g.encodeList(b, from, m.name, ms, required)
		case required:
			fmt.Fprintf(b, "v.Put(%q, %s)\n", m.name, g.build(from, m.shape))
		case ms.Type == "string":
			fmt.Fprintf(b, "if %s != \"\" {\nv.Put(%q, %s)\n}\n", from, m.name, g.build(from, m.shape))
		case ms.Type == "structure" || ms.Type == "blob":
			fmt.Fprintf(b, "if %s != nil {\nv.Put(%q, %s)\n}\n", from, m.name, g.build(from, m.shape))
		default:
			fmt.Fprintf(b, "if %s != nil {\nv.Put(%q, %s)\n}\n", from, m.name, g.build("*"+from, m.shape))
		}
	}
	b.WriteString("return v\n}\n")
}

func (g *generator) encodeList(b *bytes.Buffer, from, name string, s *shape, required bool) {
	if !required {
		fmt.Fprintf(b, "if %s != nil {\n", from)
	} else {
		b.WriteString("{\n")
	}
	fmt.Fprintf(b, "list := make([]awshttp.Value, len(%s))\nfor i := range %s {\nlist[i] = %s\n}\nv.Put(%q, awshttp.ListValue(list))\n}\n",
		from, from, g.build(from+"[i]", s.Member.Shape), name)
}

// build is the expression that makes a value of a Go expression.
func (g *generator) build(e, name string) string {
	switch g.m.Shapes[name].Type {
	case "string":
		return "awshttp.StringValue(" + e + ")"
	case "integer", "long":
		return "awshttp.IntValue(" + e + ")"
	case "double":
		return "awshttp.Value{Kind: awshttp.Float, Float: " + e + "}"
	case "boolean":
		return "awshttp.BoolValue(" + e + ")"
	case "blob":
		return "awshttp.BytesValue(" + e + ")"
	case "timestamp":
		return "awshttp.TimeValue(" + e + ")"
	}
	return e + ".value()"
}
