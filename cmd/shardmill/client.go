package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

const (
	defaultEndpoint = "http://127.0.0.1:4566"
	amazonEndpoint  = "aws" // --endpoint aws: Amazon's own
	defaultRegion   = "us-east-1"
	defaultAccount  = "000000000000"
)

// clientFlags are common to the commands that talk to a server.
type clientFlags struct {
	Endpoint string        `help:"Server to talk to: a URL, or 'aws' for Amazon's own. Default: AWS_ENDPOINT_URL_KINESIS, AWS_ENDPOINT_URL, else http://127.0.0.1:4566." placeholder:"URL"`
	Region   string        `help:"AWS region. Default: AWS_REGION, the profile, else us-east-1." placeholder:"NAME"`
	Profile  string        `help:"Profile of the AWS configuration files." placeholder:"NAME"`
	Timeout  time.Duration `help:"Give up after this long, with exit code 124. Default: never." placeholder:"30s"`
	Quiet    bool          `short:"q" help:"Say nothing but errors on stderr."`
	Verbose  bool          `short:"v" help:"Say more on stderr."`
}

// client is a connection to a Kinesis-compatible server.
type client struct {
	*kinesis.Client
	endpoint string // for messages
	local    bool   // the endpoint is on this machine
	flags    *clientFlags
	app      *app
}

// dial prepares a client and the context its calls run in. No connection is made yet. The caller calls cancel.
func (f *clientFlags) dial(a *app) (c *client, ctx context.Context, cancel context.CancelFunc, err error) {
	ctx, cancel = a.ctx, func() {}
	if f.Timeout > 0 {
		ctx, cancel = context.WithTimeout(a.ctx, f.Timeout)
	}
	c, err = newClient(ctx, f, a)
	if err != nil {
		cancel()
		return nil, nil, nil, err
	}
	return c, ctx, cancel, nil
}

func newClient(ctx context.Context, f *clientFlags, a *app) (*client, error) {
	cfg, err := loadAWS(ctx, f, false)
	if err != nil {
		return nil, usagef("AWS configuration: %w", err)
	}
	endpoint := f.resolveEndpoint(cfg)
	if endpoint != "" {
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, usagef("--endpoint %s: want a URL such as %s, or aws", endpoint, defaultEndpoint)
		}
	}
	c := &client{endpoint: endpoint, local: isLoopbackURL(endpoint), flags: f, app: a}
	if c.local {
		// Without this, a machine without credentials waits for the metadata service of a cloud it is not in.
		if cfg, err = loadAWS(ctx, f, true); err != nil {
			return nil, usagef("AWS configuration: %w", err)
		}
		if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
			cfg.Credentials = credentials.NewStaticCredentialsProvider("shardmill", "shardmill", "")
		}
	}
	if endpoint == "" {
		c.endpoint = "AWS in " + cfg.Region
	}
	c.Client = kinesis.NewFromConfig(cfg, func(o *kinesis.Options) {
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		} else {
			o.BaseEndpoint = nil
		}
		o.Retryer = newRetryer()
		o.HTTPClient = patient{awshttp.NewBuildableClient()}
	})
	if f.Verbose {
		slog.New(slog.NewTextHandler(a.stderr, nil)).Info("client", "endpoint", c.endpoint, "region", cfg.Region)
	}
	return c, nil
}

// newRetryer is the SDK's, except that a server that is not there is reported at once.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		notThere := retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if unreachable(err) {
				return aws.FalseTernary
			}
			return aws.UnknownTernary
		})
		o.Retryables = append([]retry.IsErrorRetryable{notThere}, o.Retryables...)
	})
}

// loadAWS reads the AWS environment and configuration files.
func loadAWS(ctx context.Context, f *clientFlags, local bool) (aws.Config, error) {
	options := []func(*awsconfig.LoadOptions) error{awsconfig.WithDefaultRegion(defaultRegion)}
	if f.Region != "" {
		options = append(options, awsconfig.WithRegion(f.Region))
	}
	if f.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(f.Profile))
	}
	if local {
		options = append(options, awsconfig.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	}
	return awsconfig.LoadDefaultConfig(ctx, options...)
}

// resolveEndpoint returns the URL to talk to; empty for Amazon's own.
func (f *clientFlags) resolveEndpoint(cfg aws.Config) string {
	switch f.Endpoint {
	case amazonEndpoint:
		return ""
	case "":
	default:
		return f.Endpoint
	}
	// The SDK knows all the places where an endpoint may be configured; building a client applies them.
	if at := kinesis.NewFromConfig(cfg).Options().BaseEndpoint; at != nil && *at != "" {
		return *at
	}
	return defaultEndpoint
}

func isLoopbackURL(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && u.Host != "" && isLoopbackHost(u.Hostname())
}

func isLoopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// fail makes an error of a failed call complete: what failed, why, what to do next.
func (c *client) fail(err error, what string, args ...any) error {
	what = fmt.Sprintf(what, args...)
	code := exitCodeOf(c.app.ctx, err)
	switch {
	case code == codeInterrupted, code == codeTimeout:
		return err
	case code == codeUnreachable && c.local:
		return exitf(code, "%s: no server at %s. Start one with: shardmill serve", what, c.endpoint)
	case code == codeUnreachable:
		return exitf(code, "%s: can not reach %s: %s", what, c.endpoint, rootCause(err))
	}
	return exitf(code, "%s: %s%s", what, explainAPI(err), nextStep(err))
}

// nextStep is a sentence about what to do, where there is one.
func nextStep(err error) string {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return ""
	}
	switch api.ErrorCode() {
	case "ResourceNotFoundException":
		if strings.Contains(api.ErrorMessage(), "shardId-") {
			return ". See its shards with: shardmill stream describe"
		}
		return ". See what there is with: shardmill stream ls"
	case "ResourceInUseException":
		return ". Look at it with: shardmill stream describe"
	case "LimitExceededException":
		if strings.Contains(api.ErrorMessage(), "UpdateShardCount") {
			return ". Go there in steps"
		}
	case "UnrecognizedClientException", "InvalidSignatureException", "MissingAuthenticationTokenException":
		return ". Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key of the server, or give --profile"
	}
	return ""
}

func rootCause(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return oneLine(err.Error())
		}
		err = next
	}
}

func isAPIError(err error, code string) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && api.ErrorCode() == code
}

// waitActive polls until the stream takes records again.
func (c *client) waitActive(ctx context.Context, stream string) error {
	pause := 20 * time.Millisecond
	for {
		out, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &stream})
		if err != nil {
			return c.fail(err, "wait for stream %s", stream)
		}
		if out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive {
			return nil
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, time.Second)
	}
}

// listShards returns all shards of a stream, closed ones included.
func (c *client) listShards(ctx context.Context, stream string) ([]types.Shard, error) {
	var shards []types.Shard
	in := &kinesis.ListShardsInput{StreamName: &stream}
	for {
		out, err := c.ListShards(ctx, in)
		if err != nil {
			return nil, c.fail(err, "list the shards of %s", stream)
		}
		shards = append(shards, out.Shards...)
		if out.NextToken == nil {
			return shards, nil
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
