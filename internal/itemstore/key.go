package itemstore

// Limits of keys, in bytes.
const (
	MaxHashKey  = 2048
	MaxRangeKey = 1024
)

// Key names the attributes that identify an item. Range may be empty.
type Key struct{ Hash, Range string }

// names are the attributes of the key, one or two.
func (k Key) names() []string {
	if k.Range == "" {
		return []string{k.Hash}
	}
	return []string{k.Hash, k.Range}
}

// appendHash writes the hash key with an end no other one contains: items of one hash key lie together.
func appendHash(dst []byte, v Value) []byte {
	if v.Type == Number {
		v.Text = string(appendOrdered(nil, v.Text))
	}
	for i := range len(v.Text) {
		dst = append(dst, v.Text[i])
		if v.Text[i] == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, 0, 0)
}

// appendRange writes the range key so that bytes compare as keys do.
func appendRange(dst []byte, v Value) []byte {
	if v.Type == Number {
		return appendOrdered(dst, v.Text)
	}
	return append(dst, v.Text...)
}

// primaryKey encodes an item's key.
func primaryKey(k Key, i Item) []byte {
	b := appendHash(nil, i[k.Hash])
	if k.Range != "" {
		b = appendRange(b, i[k.Range])
	}
	return b
}

// indexKey encodes an item's place in an index: nil where the item lacks an attribute of it. The range key gets an end as
// well, as the primary key follows.
func indexKey(ix Index, i Item, primary []byte) []byte {
	var b []byte
	for _, name := range ix.Key.names() {
		v, ok := i[name]
		if !ok {
			return nil
		}
		b = appendHash(b, v)
	}
	return append(b, primary...)
}

// checkKeyValue checks the value of one key attribute.
func checkKeyValue(name string, v Value, want Type, limit int) error {
	if v.Type != want {
		return invalid("One or more parameter values were invalid: Type mismatch for key %s expected: %c actual: %s", name, want, typeName(v.Type))
	}
	if v.Text == "" {
		return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: %s", name)
	}
	if len(v.Text) > limit {
		return invalid("One or more parameter values were invalid: Size of key %s exceeds the maximum size limit of %d bytes", name, limit)
	}
	return nil
}

// typeName is the letter or letters of a type on the wire.
func typeName(t Type) string {
	switch t {
	case Bool:
		return "BOOL"
	case Null:
		return "NULL"
	case StringSet:
		return "SS"
	case NumberSet:
		return "NS"
	case BinarySet:
		return "BS"
	}
	return string(rune(t))
}
