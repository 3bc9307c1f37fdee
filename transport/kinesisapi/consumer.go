package kinesisapi

import (
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/transport/awshttp"
)

// consumerMark is what stands between a stream's ARN and a consumer's name and creation in the consumer's ARN.
const consumerMark = "/consumer/"

// consumerARN is how the API names a consumer: its stream's ARN, its name and the second of its creation.
func consumerARN(n engine.Name, c *engine.ConsumerInfo) string {
	return arn(n) + consumerMark + c.Name + ":" + strconv.FormatInt(c.Created, 10)
}

// splitConsumerARN is the reverse of consumerARN; ok is false for anything else.
func splitConsumerARN(arn string) (stream, name string, created int64, ok bool) {
	stream, rest, ok := strings.Cut(arn, consumerMark)
	if !ok {
		return "", "", 0, false
	}
	name, seconds, ok := strings.Cut(rest, ":")
	created, err := strconv.ParseInt(seconds, 10, 64)
	return stream, name, created, ok && err == nil && created > 0 && name != ""
}

// consumerRef is a consumer as a request names it; it need not exist.
type consumerRef struct {
	stream  *engine.Stream
	in      engine.Name
	name    string
	created int64 // 0: any
}

// consumer finds the stream of a consumer that is named by its ARN, or by its stream's ARN and its own name.
func (a *API) consumer(c *awshttp.Call, consumerARN, streamARN, name string) (r consumerRef, err error) {
	if consumerARN == "" {
		if streamARN == "" || name == "" {
			return r, invalidArgument("Either ConsumerARN or both StreamARN and ConsumerName must be provided.")
		}
		r.name = name
		r.stream, r.in, err = a.stream(c, "", streamARN)
		return r, err
	}
	stream, called, created, ok := splitConsumerARN(consumerARN)
	switch {
	case !ok:
		return r, invalidArgument("ConsumerARN " + consumerARN + " is invalid.")
	case streamARN != "" && streamARN != stream || name != "" && name != called:
		return r, invalidArgument("ConsumerARN " + consumerARN + " names another consumer than StreamARN and ConsumerName.")
	}
	r.name, r.created = called, created
	r.stream, r.in, err = a.stream(c, "", stream)
	return r, err
}

// consumerOf is a consumer as the API shows it.
func consumerOf(n engine.Name, c *engine.ConsumerInfo) Consumer {
	return Consumer{
		ConsumerName: c.Name, ConsumerARN: consumerARN(n, c), ConsumerStatus: string(c.Status), ConsumerCreationTimestamp: time.Unix(c.Created, 0),
	}
}

func isConsumer(arn string) bool { return strings.Contains(arn, consumerMark) }

// tagConsumer adds and removes tags of a consumer.
func (a *API) tagConsumer(c *awshttp.Call, arn string, add map[string]string, remove []string) error {
	r, err := a.consumer(c, arn, "", "")
	if err != nil {
		return err
	}
	return r.stream.SetConsumerTags(c.Context, r.name, r.created, add, remove)
}

func (a *API) consumerTags(c *awshttp.Call, arn string) (*ListTagsForResourceOutput, error) {
	r, err := a.consumer(c, arn, "", "")
	if err != nil {
		return nil, err
	}
	info, err := r.stream.Consumer(r.name, r.created)
	if err != nil {
		return nil, err
	}
	tags, _ := listTags(info.Tags, "", maxTags)
	return &ListTagsForResourceOutput{Tags: tags}, nil
}
