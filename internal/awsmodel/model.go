package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// model is the part of a service model that is read here.
type model struct {
	Operations map[string]struct {
		Input  *ref `json:"input"`
		Output *ref `json:"output"`
	} `json:"operations"`
	Shapes map[string]*shape `json:"shapes"`
}

type ref struct {
	Shape string `json:"shape"`
}

type shape struct {
	Type     string   `json:"type"`
	Min      *int64   `json:"min"`
	Max      *int64   `json:"max"`
	Pattern  string   `json:"pattern"`
	Enum     []string `json:"enum"`
	Required []string `json:"required"`
	Members  members  `json:"members"`
	Member   *ref     `json:"member"`
	Key      *ref     `json:"key"`
	Value    *ref     `json:"value"`

	// Set by pins.
	memberText string
	unless     map[string]string
}

// members keeps the order of the model, which is the order in which constraints are reported.
type members []member

type member struct{ name, shape string }

func (m *members) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		text, ok := name.(string)
		if !ok {
			return fmt.Errorf("member name %v is no string", name)
		}
		var r ref
		if err := d.Decode(&r); err != nil {
			return err
		}
		*m = append(*m, member{text, r.Shape})
	}
	return nil
}

// requires tells whether a member must be given, and which sibling excuses it.
func (s *shape) requires(name string) (required bool, unless string) {
	for _, r := range s.Required {
		if r == name {
			return true, s.unless[name]
		}
	}
	return false, ""
}
