package itemstore

import (
	"math/big"
	"strconv"
	"strings"
)

// Limits of a number, DynamoDB's.
const (
	maxDigits     = 38
	maxMagnitude  = 126  // numbers are below 10^126
	minMagnitude  = -129 // and not nearer to zero than 10^-130
	maxNumberText = 512
)

// decimal is 0.digits times ten to the power of exp. Zero has no digits.
type decimal struct {
	negative bool
	digits   string // neither leading nor trailing zeros
	exp      int
}

// parseDecimal reads [+-]digits[.digits][e[+-]digits].
func parseDecimal(text string) (d decimal, err error) {
	bad := func() (decimal, error) {
		return decimal{}, invalid("The parameter cannot be converted to a numeric value: %s", text)
	}
	if text == "" {
		return decimal{}, invalid("The parameter cannot be converted to a numeric value")
	}
	if len(text) > maxNumberText {
		return decimal{}, invalid("Attempting to store more than 38 significant digits in a Number")
	}
	rest := text
	if rest[0] == '+' || rest[0] == '-' {
		d.negative = rest[0] == '-'
		rest = rest[1:]
	}
	exponent := 0
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		n, err := strconv.Atoi(rest[i+1:])
		if err != nil || n > 1000 || n < -1000 {
			return bad()
		}
		exponent, rest = n, rest[:i]
	}
	whole, fraction, _ := strings.Cut(rest, ".")
	all := whole + fraction
	if all == "" || strings.Trim(all, "0123456789") != "" {
		return bad()
	}
	trimmed := strings.TrimLeft(all, "0")
	d.exp = len(whole) - (len(all) - len(trimmed)) + exponent
	d.digits = strings.TrimRight(trimmed, "0")
	return d.checked()
}

func (d decimal) checked() (decimal, error) {
	switch {
	case d.digits == "":
		return decimal{}, nil
	case len(d.digits) > maxDigits:
		return d, invalid("Attempting to store more than 38 significant digits in a Number")
	case d.exp > maxMagnitude:
		return d, invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case d.exp < minMagnitude:
		return d, invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	return d, nil
}

// String is the plain form, without an exponent.
func (d decimal) String() string {
	if d.digits == "" {
		return "0"
	}
	sign := ""
	if d.negative {
		sign = "-"
	}
	n := len(d.digits)
	switch {
	case d.exp <= 0:
		return sign + "0." + strings.Repeat("0", -d.exp) + d.digits
	case d.exp >= n:
		return sign + d.digits + strings.Repeat("0", d.exp-n)
	}
	return sign + d.digits[:d.exp] + "." + d.digits[d.exp:]
}

// scaled is d in units of ten to the power of unit, which must not be above the place of d's last digit.
func (d decimal) scaled(unit int) *big.Int {
	n := new(big.Int)
	if d.digits == "" {
		return n
	}
	n.SetString(d.digits+strings.Repeat("0", d.exp-len(d.digits)-unit), 10)
	if d.negative {
		n.Neg(n)
	}
	return n
}

// addNumbers adds two numbers in the form ParseNumber gives them.
func addNumbers(a, b string) (string, error) {
	x, err := parseDecimal(a)
	if err != nil {
		return "", err
	}
	y, err := parseDecimal(b)
	if err != nil {
		return "", err
	}
	unit := min(x.exp-len(x.digits), y.exp-len(y.digits))
	sum := x.scaled(unit)
	sum.Add(sum, y.scaled(unit))
	text := new(big.Int).Abs(sum).String()
	out := decimal{negative: sum.Sign() < 0, exp: len(text) + unit, digits: strings.TrimRight(text, "0")}
	if sum.Sign() == 0 {
		return "0", nil
	}
	out, err = out.checked()
	return out.String(), err
}

// ParseNumber checks a number and brings it into its one plain form, so that equal numbers have equal texts.
func ParseNumber(text string) (string, error) {
	d, err := parseDecimal(text)
	if err != nil {
		return "", err
	}
	return d.String(), nil
}

// appendOrdered writes a number so that bytes compare as numbers do.
func appendOrdered(dst []byte, text string) []byte {
	d, err := parseDecimal(text)
	if err != nil {
		panic("BUG: number was not checked: " + err.Error())
	}
	if d.digits == "" {
		return append(dst, 0x80)
	}
	exp := uint16(d.exp + 1<<15)
	if !d.negative {
		dst = append(dst, 0x81, byte(exp>>8), byte(exp))
		return append(dst, d.digits...)
	}
	exp = ^exp
	dst = append(dst, 0x7f, byte(exp>>8), byte(exp))
	for i := range len(d.digits) {
		dst = append(dst, 0xff-d.digits[i])
	}
	return append(dst, 0xff)
}
