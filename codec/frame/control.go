package frame

// MaxPing bounds what a PING may carry, in bytes.
const MaxPing = 64

// AppendPing appends a whole PING frame: a request, or with FlagResponse its echo.
func AppendPing(dst []byte, flags Flags, corr uint32, payload []byte) []byte {
	return append(AppendHeader(dst, OpPing, flags, corr, 0, len(payload)), payload...)
}

// DecodePing reads the body of a PING. The payload aliases it.
func DecodePing(body []byte) ([]byte, error) {
	r := reader{b: body}
	payload := r.bytes(len(body), MaxPing)
	return payload, r.end(OpPing)
}

// AppendEmpty appends a frame without a body, such as the response to AUTH, SUBSCRIBE or UNSUBSCRIBE.
func AppendEmpty(dst []byte, op Op, flags Flags, corr, handle uint32) []byte {
	return AppendHeader(dst, op, flags, corr, handle, 0)
}

// DecodeEmpty checks that a body is empty.
func DecodeEmpty(op Op, body []byte) error {
	r := reader{b: body}
	return r.end(op)
}

// AppendGoAway appends a whole GOAWAY frame, body u16 code | u16 zero. With FlagDrain the client should finish what is in
// flight and connect again elsewhere or later; nothing sent after it is answered with success.
func AppendGoAway(dst []byte, flags Flags, code Code) []byte {
	dst = AppendHeader(dst, OpGoAway, flags, 0, 0, 4)
	return appendU16(appendU16(dst, uint16(code)), 0)
}

// DecodeGoAway reads the body of a GOAWAY.
func DecodeGoAway(body []byte) (Code, error) {
	r := reader{b: body}
	code := Code(r.u16())
	r.zero(2)
	return code, r.end(OpGoAway)
}
