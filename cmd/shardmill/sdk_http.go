package main

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// patient works around a race between the SDK and net/http that a fast server makes frequent.
//
// net/http sends a body, then reads once more to see that there is no more of it. By then our answer may have come, and
// the SDK has closed the body; its WriteTo then says io.EOF, which io.Copy, unlike for Read, takes for an error. The
// connection is torn down under the answer that is being read, and the request fails, or is sent again and its records
// are there twice. (smithy-go transport/http/internal/io/safe.go.) Without WriteTo, Read is used, and all is well.
type patient struct{ next aws.HTTPClient }

var _ aws.HTTPClient = patient{}

// Do sends a request.
func (p patient) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = readOnly{r.Body}
	}
	return p.next.Do(r)
}

// readOnly hides every method of a body but Read and Close.
type readOnly struct{ io.ReadCloser }
