package awshttp

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
)

// The query protocol of the older services: a form asks, a short XML document answers.

// maxParameters bounds the parameters of one form.
const maxParameters = 100_000

// QueryForm reads the parameters of a request in the query protocol, from the body or, for GET, from the URL. ok is false
// where the request is not one.
func (c *NeighbourCall) QueryForm() (form url.Values, ok bool) {
	text := string(c.Body)
	if c.Request.Method == http.MethodGet {
		text = c.Request.URL.RawQuery
	} else {
		media, _, _ := strings.Cut(c.Request.Header.Get("Content-Type"), ";")
		if c.Request.Method != http.MethodPost || strings.TrimSpace(media) != "application/x-www-form-urlencoded" {
			return nil, false
		}
	}
	if strings.Count(text, "&") >= maxParameters {
		return nil, false
	}
	form, err := url.ParseQuery(text)
	return form, err == nil
}

// QueryReply answers with a result: the inside of the element ActionResult, or nothing for none. namespace is the
// service's XML namespace.
func (c *NeighbourCall) QueryReply(namespace, action, result string) {
	if result != "" {
		result = "<" + action + "Result>" + result + "</" + action + "Result>"
	}
	c.ContentType = "text/xml"
	c.Reply = []byte("<" + action + `Response xmlns="` + namespace + `">` + result + "<ResponseMetadata><RequestId>" + c.RequestID +
		"</RequestId></ResponseMetadata></" + action + "Response>\n")
}

// QueryError answers with an error.
func (c *NeighbourCall) QueryError(namespace string, e *Error) {
	c.Status, c.Code, c.ContentType = e.status(), e.Type, "text/xml"
	kind := "Sender"
	if c.Status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	c.Reply = []byte(`<ErrorResponse xmlns="` + namespace + `"><Error><Type>` + kind + "</Type>" + XMLElement("Code", e.Type) +
		XMLElement("Message", e.Message) + "</Error><RequestId>" + c.RequestID + "</RequestId></ErrorResponse>\n")
}

// XMLElement is an element with a text in it.
func XMLElement(name, text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return "<" + name + ">" + b.String() + "</" + name + ">"
}
