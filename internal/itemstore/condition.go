package itemstore

// Op is what a Test asks.
type Op uint8

// Tests of a condition.
const (
	OpEqual Op = iota
	OpExists
	OpNotExists
)

// Operand is an attribute where Name is set, a value otherwise.
type Operand struct {
	Name  string
	Value Value
}

func (o Operand) in(i Item) (Value, bool) {
	if o.Name == "" {
		return o.Value, true
	}
	v, ok := i[o.Name]
	return v, ok
}

// Test is one comparison. Right is for OpEqual only.
type Test struct {
	Op          Op
	Left, Right Operand
}

// Condition holds when all of its tests do; the empty one always does.
type Condition []Test

// Holds evaluates the condition; a nil item has no attributes.
func (c Condition) Holds(i Item) bool {
	for _, t := range c {
		left, ok := t.Left.in(i)
		switch t.Op {
		case OpExists:
		case OpNotExists:
			ok = !ok
		case OpEqual:
			right, there := t.Right.in(i)
			ok = ok && there && left.Equal(right)
		}
		if !ok {
			return false
		}
	}
	return true
}
