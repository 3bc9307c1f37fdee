package kinesisapi

import "github.com/shardmill/shardmill/transport/awshttp"

// The CBOR scanners are what those of scan.go are for JSON. Data is not copied: records alias the body.

// scanPutRecordCBOR reads a PutRecord body into the buffer's only record.
func scanPutRecordCBOR(body []byte, b *putBuffer) (t putTarget, ok bool) {
	s := awshttp.CBORScanner{In: body}
	members, ok := s.Map()
	if !ok {
		return t, false
	}
	var r recordScan
	for {
		more, ok := s.Next(&members)
		if !ok {
			return t, false
		}
		if !more {
			return t, s.End() && t.complete() && b.add(&r)
		}
		name, ok := s.Text()
		if !ok {
			return t, false
		}
		if known, ok := r.cborField(&s, name); known && !ok || !known && !t.cborField(&s, name) {
			return t, false
		}
	}
}

// scanPutRecordsCBOR reads a PutRecords body into the buffer's records.
func scanPutRecordsCBOR(body []byte, b *putBuffer) (t putTarget, ok bool) {
	s := awshttp.CBORScanner{In: body}
	members, ok := s.Map()
	if !ok {
		return t, false
	}
	for {
		more, ok := s.Next(&members)
		if !ok {
			return t, false
		}
		if !more {
			return t, s.End() && t.complete() && len(b.recs) > 0
		}
		name, ok := s.Text()
		if !ok {
			return t, false
		}
		if string(name) == "Records" {
			if len(b.recs) > 0 || !scanRecordsCBOR(&s, b) {
				return t, false
			}
		} else if !t.cborField(&s, name) {
			return t, false
		}
	}
}

func scanRecordsCBOR(s *awshttp.CBORScanner, b *putBuffer) bool {
	records, ok := s.List()
	if !ok {
		return false
	}
	for {
		more, ok := s.Next(&records)
		if !ok || !more {
			return ok
		}
		var r recordScan
		if len(b.recs) == maxPutRecords || !r.cbor(s) || !b.add(&r) {
			return false
		}
	}
}

// cbor reads one record.
func (r *recordScan) cbor(s *awshttp.CBORScanner) bool {
	members, ok := s.Map()
	if !ok {
		return false
	}
	for {
		more, ok := s.Next(&members)
		if !ok || !more {
			return ok
		}
		name, ok := s.Text()
		if !ok {
			return false
		}
		if known, ok := r.cborField(s, name); !known || !ok {
			return false
		}
	}
}

// cborField reads a member of a record: known tells whether it is one, ok whether it was read.
func (r *recordScan) cborField(s *awshttp.CBORScanner, name []byte) (known, ok bool) {
	switch string(name) {
	case "Data":
		v, ok := s.Bytes()
		ok = ok && !r.hasData && len(v) <= smallestRecord
		r.data, r.hasData = v, true
		return true, ok
	case "PartitionKey":
		v, ok := s.Text()
		ok = ok && !r.hasKey && len(v) > 0 && len(v) <= 256 // bytes: no more characters than that
		r.key, r.hasKey = v, true
		return true, ok
	case "ExplicitHashKey":
		v, ok := s.Text()
		ok = ok && !r.explicitHas && decimalText(v)
		r.explicit, r.explicitHas = v, true
		return true, ok
	}
	return false, false
}

// cborField reads a member that names the stream.
func (t *putTarget) cborField(s *awshttp.CBORScanner, name []byte) bool {
	switch string(name) {
	case "StreamName":
		v, ok := s.Text()
		if !ok || t.name != "" || !streamNameText(v) {
			return false
		}
		t.name = string(v)
		return true
	case "StreamARN":
		v, ok := s.Text()
		if !ok || t.arn != "" || !arnText(v) {
			return false
		}
		t.arn = string(v)
		return true
	}
	return false
}

// putRecordCBOR is PutRecord for the CBOR requests that clients usually send.
func (a *API) putRecordCBOR(c *awshttp.Call) (done bool, err error) {
	b := a.takePut()
	defer a.givePut(b)
	b.grow(1)
	target, ok := scanPutRecordCBOR(c.Body, b)
	if !ok {
		return false, nil
	}
	s, n, err := a.stream(c, target.name, target.arn)
	if err != nil {
		return true, asAWS(err)
	}
	out, err := a.putOne(c, b, s, n)
	if err != nil {
		return true, asAWS(err)
	}
	c.Out.B = appendPutCBOR(c.Out.B, out, encryptionType(s.Info()))
	return true, nil
}

// putRecordsCBOR is PutRecords for the CBOR requests that clients usually send.
func (a *API) putRecordsCBOR(c *awshttp.Call) (done bool, err error) {
	b := a.takePut()
	defer a.givePut(b)
	b.grow(maxPutRecords)
	target, ok := scanPutRecordsCBOR(c.Body, b)
	if !ok {
		return false, nil
	}
	s, n, err := a.stream(c, target.name, target.arn)
	if err != nil {
		return true, asAWS(err)
	}
	out, err := a.putMany(c, b, s, n)
	if err != nil {
		return true, asAWS(err)
	}
	c.Out.B = appendPutsCBOR(c.Out.B, out, encryptionType(s.Info()))
	return true, nil
}
