package itemstore

import (
	"slices"
	"strings"
)

// MaxExpression bounds the text of an expression, in bytes.
const MaxExpression = 4 << 10

// Names holds what the placeholders of expressions stand for, and notes which were used. It serves one request.
type Names struct {
	Attributes map[string]string // with the leading #
	Values     map[string]Value  // with the leading :
	used       map[string]bool
}

// Unused is an error where a placeholder was given that no expression of the request mentions.
func (n *Names) Unused() error {
	for _, group := range []struct {
		what string
		keys []string
	}{{"ExpressionAttributeNames", sortedKeys(n.Attributes)}, {"ExpressionAttributeValues", sortedKeys(n.Values)}} {
		left := slices.DeleteFunc(group.keys, func(k string) bool { return n.used[k] })
		if len(left) > 0 {
			return invalid("Value provided in %s unused in expressions: keys: {%s}", group.what, strings.Join(left, ", "))
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// parser walks the tokens of one expression. kind is what the expression is called in messages.
type parser struct {
	kind   string
	names  *Names
	tokens []string
}

func newParser(kind, text string, names *Names) (*parser, error) {
	if len(text) > MaxExpression {
		return nil, invalid("Invalid %s: Expression size has exceeded the maximum allowed size", kind)
	}
	if names.used == nil {
		names.used = map[string]bool{}
	}
	p := &parser{kind: kind, names: names}
	for at := 0; at < len(text); {
		switch c := text[at]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			at++
		case isWord(c):
			end := at + 1
			for end < len(text) && isWord(text[end]) {
				end++
			}
			p.tokens = append(p.tokens, text[at:end])
			at = end
		case strings.IndexByte("=(),<>+-.[]", c) >= 0:
			p.tokens = append(p.tokens, text[at:at+1])
			at++
		default:
			return nil, p.syntax(text[at : at+1])
		}
	}
	if len(p.tokens) == 0 {
		return nil, invalid("Invalid %s: The expression can not be empty;", kind)
	}
	return p, nil
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '#' || c == ':'
}

func (p *parser) syntax(token string) error {
	return invalid("Invalid %s: Syntax error; token: %q", p.kind, token)
}

// peek is the next token, empty at the end.
func (p *parser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *parser) take() string {
	t := p.peek()
	if t != "" {
		p.tokens = p.tokens[1:]
	}
	return t
}

// is takes the next token where it is word, in any case.
func (p *parser) is(word string) bool {
	if strings.EqualFold(p.peek(), word) {
		p.take()
		return true
	}
	return false
}

func (p *parser) want(token string) error {
	if t := p.take(); t != token {
		return p.unexpected(t)
	}
	return nil
}

// unexpected tells what DynamoDB knows and this store does not from what is wrong everywhere.
func (p *parser) unexpected(token string) error {
	known := []string{"OR", "NOT", "BETWEEN", "IN", "<", ">", "+", "-", ".", "[", "ADD", "DELETE", "(",
		"begins_with", "contains", "size", "attribute_type", "if_not_exists", "list_append"}
	if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, token) }) {
		return unsupported(p.kind + " with " + token)
	}
	if token == "" {
		token = "<EOF>"
	}
	return p.syntax(token)
}

// operand reads an attribute or a value.
func (p *parser) operand() (Operand, error) {
	t := p.take()
	switch {
	case t == "":
		return Operand{}, p.unexpected(t)
	case t[0] == ':':
		v, ok := p.names.Values[t]
		if !ok {
			return Operand{}, invalid("Invalid %s: An expression attribute value used in expression is not defined; attribute value: %s", p.kind, t)
		}
		p.names.used[t] = true
		return Operand{Value: v}, nil
	case t[0] == '#':
		name, ok := p.names.Attributes[t]
		if !ok {
			return Operand{}, invalid("Invalid %s: An expression attribute name used in the document path is not defined; attribute name: %s", p.kind, t)
		}
		p.names.used[t] = true
		return p.path(name)
	case !isWord(t[0]) || t[0] >= '0' && t[0] <= '9' || strings.ContainsAny(t, "#:"):
		return Operand{}, p.unexpected(t)
	case p.peek() == "(":
		return Operand{}, p.unexpected(t)
	}
	if strings.EqualFold(t, "NOT") {
		return Operand{}, p.unexpected(t)
	}
	return p.path(t)
}

// path refuses what lies inside an attribute.
func (p *parser) path(name string) (Operand, error) {
	if t := p.peek(); t == "." || t == "[" {
		return Operand{}, unsupported(p.kind + " with a path into an attribute")
	}
	return Operand{Name: name}, nil
}

func (p *parser) attribute() (string, error) {
	first := p.peek()
	o, err := p.operand()
	if err == nil && o.Name == "" {
		err = p.syntax(first)
	}
	return o.Name, err
}

// ParseCondition reads a condition, filter or key condition: tests joined by AND, with or without parentheses. kind is
// the parameter's name, for messages.
func ParseCondition(kind, text string, names *Names) (Condition, error) {
	p, err := newParser(kind, text, names)
	if err != nil {
		return nil, err
	}
	c, err := p.conjunction(0)
	if err != nil {
		return nil, err
	}
	if len(p.tokens) > 0 {
		return nil, p.unexpected(p.peek())
	}
	return c, nil
}

func (p *parser) conjunction(depth int) (all Condition, err error) {
	if depth > MaxDepth {
		return nil, invalid("Invalid %s: The expression is nested too deeply", p.kind)
	}
	for {
		if p.peek() == "(" {
			p.take()
			inner, err := p.conjunction(depth + 1)
			if err != nil {
				return nil, err
			}
			if err := p.want(")"); err != nil {
				return nil, err
			}
			all = append(all, inner...)
		} else {
			t, err := p.test()
			if err != nil {
				return nil, err
			}
			all = append(all, t)
		}
		if !p.is("AND") {
			return all, nil
		}
	}
}

func (p *parser) test() (t Test, err error) {
	function := len(p.tokens) > 1 && p.tokens[1] == "("
	switch name := p.peek(); {
	case function && name == "attribute_exists":
		t.Op = OpExists
	case function && name == "attribute_not_exists":
		t.Op = OpNotExists
	case function:
		return t, p.unexpected(name)
	default:
		if t.Left, err = p.operand(); err != nil {
			return t, err
		}
		if err := p.want("="); err != nil {
			return t, err
		}
		t.Right, err = p.operand()
		return t, err
	}
	p.tokens = p.tokens[2:]
	if t.Left.Name, err = p.attribute(); err != nil {
		return t, err
	}
	return t, p.want(")")
}

// ParseUpdate reads an update expression: one SET and one REMOVE clause at most, in any order.
func ParseUpdate(text string, names *Names) (changes []Change, err error) {
	p, err := newParser("UpdateExpression", text, names)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for len(p.tokens) > 0 {
		clause := strings.ToUpper(p.take())
		if clause != "SET" && clause != "REMOVE" {
			return nil, p.unexpected(clause)
		}
		if seen[clause] {
			return nil, invalid("Invalid UpdateExpression: The %q section can only be used once in an update expression;", clause)
		}
		seen[clause] = true
		for {
			c := Change{Op: Remove}
			if c.Name, err = p.attribute(); err != nil {
				return nil, err
			}
			if clause == "SET" {
				c.Op = Set
				if err := p.want("="); err != nil {
					return nil, err
				}
				if c.Value, err = p.operand(); err != nil {
					return nil, err
				}
			}
			if slices.ContainsFunc(changes, func(other Change) bool { return other.Name == c.Name }) {
				return nil, invalid("Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [%s], path two: [%s]", c.Name, c.Name)
			}
			changes = append(changes, c)
			if p.peek() != "," {
				break
			}
			p.take()
		}
		if t := p.peek(); t == "+" || t == "-" {
			return nil, p.unexpected(t)
		}
	}
	return changes, nil
}
