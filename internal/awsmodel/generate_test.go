package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// small is a model with one operation and a member of each kind. It is ours.
const small = `{"operations": {"Paint": {"input": {"shape": "PaintInput"}, "output": {"shape": "PaintOutput"}, "documentation": "PROSE"}},
"shapes": {
 "PaintInput": {"type": "structure", "required": ["Colour"], "documentation": "PROSE", "members": {
  "Zebra": {"shape": "Words"}, "Colour": {"shape": "Colour", "documentation": "PROSE"}, "At": {"shape": "At"}, "Count": {"shape": "Count"},
  "Labels": {"shape": "Labels"}, "Raw": {"shape": "Raw"}, "Inner": {"shape": "Inner"}}},
 "PaintOutput": {"type": "structure", "required": ["Done"], "members": {"Done": {"shape": "Flag"}, "Inner": {"shape": "Inner"}, "Words": {"shape": "Words"}, "At": {"shape": "At"}}},
 "Colour": {"type": "string", "min": 1, "max": 9, "pattern": "^([a-z]+)$", "enum": ["red", "blue"]}, "At": {"type": "timestamp"},
 "Count": {"type": "integer", "min": 1}, "Words": {"type": "list", "member": {"shape": "Colour"}}, "Flag": {"type": "boolean"},
 "Labels": {"type": "map", "key": {"shape": "Colour"}, "value": {"shape": "Colour"}}, "Raw": {"type": "blob"},
 "Inner": {"type": "structure", "members": {"Count": {"shape": "Count"}}}}}`

func parseSmall(t *testing.T) *model {
	t.Helper()
	var m model
	if err := json.Unmarshal([]byte(small), &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

func TestGenerate(t *testing.T) {
	m := parseSmall(t)
	s := &service{operations: []string{"Paint"}, pins: []func(*model) error{
		pattern("Colour", "[a-z]+"), enum("Colour", "blue", "red"), require("PaintInput", "Count", "At"), limit("PaintInput", "Count", 2, 5),
		text("Words", "word"),
	}}
	if err := s.apply(m); err != nil {
		t.Fatal(err)
	}
	files, err := generate(m, s)
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for name, code := range files {
		if _, err := parser.ParseFile(token.NewFileSet(), name, code, parser.AllErrors); err != nil {
			t.Error(err)
		}
		if !bytes.HasPrefix(code, []byte("// Code generated ")) || !bytes.Contains(code[:200], []byte("DO NOT EDIT.")) {
			t.Errorf("%s does not say that it is generated", name)
		}
		all += string(code)
	}
	if strings.Contains(all, "PROSE") {
		t.Error("prose of the model is in the code")
	}
	for _, want := range []string{
		`Pattern: "[a-z]+"`, `[]string{"blue", "red"}`, `{Name: "Count", Required: true, Unless: "At", Shape: shapePaintInputCount()}`,
		`MemberText: "word"`, "Min:  some(2)", "Max:  some(5)", "func decodePaintInput(", "func (out *PaintOutput) value()", `"Paint": shapePaintInput()`,
	} {
		if !strings.Contains(strings.Join(strings.Fields(all), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Index(all, `{Name: "Zebra"`) > strings.Index(all, `{Name: "Colour", Required: true, Shape`) {
		t.Error("members are not in the order of the model")
	}
}

// TestPinsNotice wants a model that has changed under a pin to be refused.
func TestPinsNotice(t *testing.T) {
	for name, pin := range map[string]func(*model) error{
		"no shape": text("Nothing", "x"), "no structure": require("Nothing", "x", ""), "other pattern": pattern("Colour", "[0-9]+"),
		"other values": enum("Colour", "red", "green"), "no member": limit("PaintInput", "Nothing", 1, 1),
	} {
		if pin(parseSmall(t)) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := generate(parseSmall(t), &service{operations: []string{"Nothing"}}); err == nil {
		t.Error("an operation that is not there is generated")
	}
}

func TestReadModel(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, fill func(*bytes.Buffer)) string {
		var b bytes.Buffer
		fill(&b)
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	packed := func(b *bytes.Buffer) {
		z := gzip.NewWriter(b)
		if _, err := z.Write([]byte(small)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wheel := func(b *bytes.Buffer) {
		z := zip.NewWriter(b)
		f, err := z.Create("a/model.json.gz")
		if err != nil {
			t.Fatal(err)
		}
		var inner bytes.Buffer
		packed(&inner)
		if _, err := f.Write(inner.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{
		write("m.json", func(b *bytes.Buffer) { b.WriteString(small) }), write("m.json.gz", packed), write("m.whl", wheel),
	} {
		raw, err := readModel(path, "a/model.json")
		if err != nil || string(raw) != small {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := readModel(filepath.Join(dir, "m.whl"), "b/model.json"); err == nil {
		t.Error("a model that is not in the wheel is read")
	}
}
