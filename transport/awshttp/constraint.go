package awshttp

import (
	"slices"
	"strconv"
	"strings"
)

// maxConstraints is how many violations AWS lists in one message.
const maxConstraints = 10

// Check compares a converted document with the constraints of s. The error is the ValidationException AWS answers, or
// nil.
func (s *Shape) Check(v Value) *Error {
	var c checker
	c.structure(s, v, "")
	if len(c.found) == 0 {
		return nil
	}
	plural := ""
	if len(c.found) > 1 {
		plural = "s"
	}
	return Validation(strconv.Itoa(len(c.found)) + " validation error" + plural + " detected: " + strings.Join(c.found, "; "))
}

// checker gathers violations, in the words of AWS.
type checker struct{ found []string }

func (c *checker) fail(v Value, s *Shape, path, constraint string) {
	if len(c.found) == maxConstraints {
		return
	}
	text := v.text(s.MemberText)
	if v.Kind != Null {
		text = "'" + text + "'"
	}
	c.found = append(c.found, "Value "+text+" at '"+path+"' failed to satisfy constraint: "+constraint)
}

func (c *checker) structure(s *Shape, v Value, path string) {
	for i := range s.Members {
		m := &s.Members[i]
		mv := v.Get(m.Name)
		at := lowerFirst(m.Name)
		if path != "" {
			at = path + "." + at
		}
		if mv.Kind != Null {
			c.value(m.Shape, mv, at)
			continue
		}
		if !m.Required {
			continue
		}
		if other := v.Get(m.Unless); other.Kind == Null {
			c.fail(mv, m.Shape, at, "Member must not be null")
		}
	}
}

func (c *checker) value(s *Shape, v Value, path string) {
	if len(c.found) == maxConstraints {
		return
	}
	switch s.Type {
	case IntegerShape, LongShape:
		if s.Min != nil && v.Int < *s.Min {
			c.fail(v, s, path, "Member must have value greater than or equal to "+strconv.FormatInt(*s.Min, 10))
		}
		if s.Max != nil && v.Int > *s.Max {
			c.fail(v, s, path, "Member must have value less than or equal to "+strconv.FormatInt(*s.Max, 10))
		}
	case StringShape:
		if s.match != nil && !s.match.MatchString(v.Str) {
			c.fail(v, s, path, "Member must satisfy regular expression pattern: "+s.Pattern)
		}
		if s.Enum != nil && !slices.Contains(s.Enum, v.Str) {
			c.fail(v, s, path, "Member must satisfy enum value set: ["+strings.Join(s.Enum, ", ")+"]")
		}
		c.length(s, v, path, utf16Len(v.Str))
	case BlobShape:
		c.length(s, v, path, len(v.Str))
	case ListShape:
		c.length(s, v, path, len(v.List))
		c.list(s, v, path)
	case MapShape:
		c.length(s, v, path, len(v.List))
		c.mapping(s, v, path)
	case StructureShape:
		c.structure(s, v, path)
	}
}

func (c *checker) length(s *Shape, v Value, path string, n int) {
	if s.Min != nil && int64(n) < *s.Min {
		c.fail(v, s, path, "Member must have length greater than or equal to "+strconv.FormatInt(*s.Min, 10))
	}
	if s.Max != nil && int64(n) > *s.Max {
		c.fail(v, s, path, "Member must have length less than or equal to "+strconv.FormatInt(*s.Max, 10))
	}
}

func (c *checker) list(s *Shape, v Value, path string) {
	if s.Elem.Type == StringShape {
		// AWS names the whole list when a plain element is too long or too short.
		if !slices.ContainsFunc(v.List, func(e Value) bool { return !s.Elem.fits(e.Str) }) {
			return
		}
		c.fail(v, s, path, "Member must satisfy constraint: "+s.Elem.bounds())
		return
	}
	for i := range v.List {
		if v.List[i].Kind == Null {
			c.fail(v.List[i], s.Elem, path+"."+strconv.Itoa(i+1)+".member", "Member must not be null")
			continue
		}
		c.value(s.Elem, v.List[i], path+"."+strconv.Itoa(i+1)+".member")
	}
}

func (c *checker) mapping(s *Shape, v Value, path string) {
	if s.Key != nil && slices.ContainsFunc(v.Keys, func(k string) bool { return !s.Key.fits(k) }) {
		c.fail(v, s, path, "Map keys must satisfy constraint: "+s.Key.bounds())
	}
	if s.Elem.Type == StringShape && slices.ContainsFunc(v.List, func(e Value) bool { return !s.Elem.fits(e.Str) }) {
		c.fail(v, s, path, "Map value must satisfy constraint: "+s.Elem.bounds())
	}
}

// fits tells whether a string element is allowed.
func (s *Shape) fits(e string) bool {
	n := int64(utf16Len(e))
	return (s.Min == nil || n >= *s.Min) && (s.Max == nil || n <= *s.Max) && (s.Enum == nil || slices.Contains(s.Enum, e)) &&
		(s.match == nil || s.match.MatchString(e))
}

func (s *Shape) bounds() string {
	var parts []string
	if s.Max != nil {
		parts = append(parts, "Member must have length less than or equal to "+strconv.FormatInt(*s.Max, 10))
	}
	if s.Min != nil {
		parts = append(parts, "Member must have length greater than or equal to "+strconv.FormatInt(*s.Min, 10))
	}
	if s.match != nil {
		parts = append(parts, "Member must satisfy regular expression pattern: "+s.Pattern)
	}
	if s.Enum != nil {
		parts = append(parts, "Member must satisfy enum value set: ["+strings.Join(s.Enum, ", ")+"]")
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func lowerFirst(s string) string {
	if s == "" || s[0] < 'A' || s[0] > 'Z' {
		return s
	}
	return string(s[0]|0x20) + s[1:]
}
