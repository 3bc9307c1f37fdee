package dynamodbapi

import "github.com/shardmill/shardmill/transport/awshttp"

// maxSegments is DynamoDB's limit of a parallel scan.
const maxSegments = 1_000_000

// scan reads a table or an index, or one segment of it.
func (a *API) scan(c *call) (awshttp.Value, error) {
	c.oneOf("Select", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "COUNT")
	names := c.names()
	r := c.readPage(names)
	c.unused(names)
	segments, many := c.number("TotalSegments", 1, maxSegments)
	segment, one := c.number("Segment", 0, maxSegments-1)
	if many != one || many && segment >= segments {
		c.fail(invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments, and both must be given"))
	}
	if c.err != nil {
		return awshttp.Value{}, c.err
	}
	r.Segment, r.Segments = int(segment), int(segments)
	p, err := a.store.Scan(c.scope(), r)
	return c.pageValue(p), err
}
