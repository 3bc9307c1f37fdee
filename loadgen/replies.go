package loadgen

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
)

// parsePutRecords reads a PutRecords reply to a request of n records and returns the indexes of the refused ones in
// failed, whose storage it uses, and why the first was.
func parsePutRecords(b []byte, n int, failed []int) ([]int, *RequestError, error) {
	failed = failed[:0]
	if wholly(b, n) {
		return failed, nil, nil
	}
	var why *RequestError
	s := scanner{b: b}
	records, declared := 0, int64(0)
	err := s.object(func(name []byte) (err error) {
		switch string(name) {
		case "FailedRecordCount":
			if !s.null() {
				declared, err = s.number()
			}
			return err
		case "Records":
			return s.array(func() error {
				refused, err := s.putRecord()
				if err != nil {
					return err
				}
				if refused != nil {
					failed = append(failed, records)
					if why == nil {
						why = refused
					}
				}
				if records++; records > n {
					return errJSON
				}
				return nil
			})
		}
		return s.skip(0)
	})
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return failed[:0], nil, err
	}
	if records != n || declared != int64(len(failed)) {
		return failed[:0], nil, fmt.Errorf("%w: %d records sent, %d answered, %d refused of which %d are marked", errJSON,
			n, records, declared, len(failed))
	}
	return failed, why, nil
}

// wholly recognises the usual reply, in which all of n records were taken, without reading it element by element. Names
// in a reply cannot occur in its values: those are shard ids, sequence numbers and the words of AWS.
func wholly(b []byte, n int) bool {
	i := bytes.Index(b, []byte(`"FailedRecordCount":0`))
	if i < 0 {
		return false
	}
	if j := i + len(`"FailedRecordCount":0`); j >= len(b) || b[j] != ',' && b[j] != '}' {
		return false
	}
	return bytes.Count(b, []byte(`"SequenceNumber":"`)) == n && !bytes.Contains(b, []byte(`"ErrorCode":"`)) &&
		!bytes.Contains(b, []byte{'\\'})
}

// putRecord consumes one element of Records; refused is nil if the record was taken.
func (s *scanner) putRecord() (refused *RequestError, err error) {
	var code, message, sequence []byte
	err = s.object(func(name []byte) (err error) {
		switch string(name) {
		case "ErrorCode":
			code, err = s.optional()
		case "ErrorMessage":
			message, err = s.optional()
		case "SequenceNumber":
			sequence, err = s.optional()
		default:
			err = s.skip(0)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(code) > 0:
		return &RequestError{Code: string(code), Message: string(message)}, nil
	case len(sequence) == 0:
		return nil, errJSON // neither taken nor refused
	}
	return nil, nil
}

// parsePutRecord reads a PutRecord reply: taken if it has a sequence number.
func parsePutRecord(b []byte) error {
	s := scanner{b: b}
	refused, err := s.putRecord()
	if err == nil {
		err = s.end()
	}
	if err == nil && refused != nil {
		err = errJSON // errors of PutRecord come as errors
	}
	return err
}

// gotRecords is what a GetRecords reply says beside its records.
type gotRecords struct {
	next    string // empty at the end of a closed shard
	last    string // sequence number of the last record
	behind  int64  // milliseconds; 0 where the reply does not say
	records int
}

// parseGetRecords reads a GetRecords reply and gives each record to visit, whose slices are valid during the call.
// scratch is where data is decoded; it comes back, possibly larger.
func parseGetRecords(b, scratch []byte, visit func(key, data []byte)) (gotRecords, []byte, error) {
	var got gotRecords
	var last []byte
	s := scanner{b: b}
	err := s.object(func(name []byte) (err error) {
		switch string(name) {
		case "NextShardIterator":
			var next []byte
			next, err = s.optional()
			got.next = string(next)
		case "MillisBehindLatest":
			if !s.null() {
				got.behind, err = s.number()
			}
		case "Records":
			err = s.array(func() error {
				key, data, sequence, err := s.gotRecord()
				if err != nil {
					return err
				}
				last = sequence
				if n := base64.StdEncoding.DecodedLen(len(data)); n > len(scratch) {
					scratch = make([]byte, 2*n)
				}
				n, err := base64.StdEncoding.Decode(scratch, data)
				if err != nil {
					return errJSON
				}
				got.records++
				visit(key, scratch[:n])
				return nil
			})
		default:
			err = s.skip(0)
		}
		return err
	})
	if err == nil {
		err = s.end()
	}
	got.last = string(last)
	return got, scratch, err
}

func (s *scanner) gotRecord() (key, data, sequence []byte, err error) {
	err = s.object(func(name []byte) (err error) {
		switch string(name) {
		case "PartitionKey":
			key, err = s.text()
		case "Data":
			data, err = s.text()
		case "SequenceNumber":
			sequence, err = s.text()
		default:
			err = s.skip(0)
		}
		return err
	})
	return key, data, sequence, err
}

// parseError reads an error reply.
func parseError(status int, b []byte) *RequestError {
	out := &RequestError{Status: status}
	s := scanner{b: b}
	err := s.object(func(name []byte) error {
		switch string(name) {
		case "__type", "code":
			v, err := s.optional()
			out.Code = string(v)
			return err
		case "message", "Message":
			v, err := s.optional()
			out.Message = string(v)
			return err
		}
		return s.skip(0)
	})
	// Some endpoints put a namespace before the name.
	out.Code = out.Code[strings.LastIndexByte(out.Code, '#')+1:]
	if err != nil || out.Code == "" {
		out.Code, out.Message = fmt.Sprintf("HTTP %d", status), ""
	}
	return out
}
