package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/shardmill/shardmill/internal/vfs"
)

// serveCmd runs the server until a signal or a failed disk ends it.
type serveCmd struct {
	Data        string        `default:"./shardmill-data" help:"Folder for the data; made if there is none."`
	Ephemeral   bool          `help:"Keep data in a temporary folder that is removed at exit."`
	Listen      string        `default:"127.0.0.1:4566" help:"Address of the AWS APIs, metrics and health."`
	TLS         string        `name:"tls" default:"127.0.0.1:4567" help:"Address of the AWS APIs over TLS; 'off' for none." placeholder:"ADDR"`
	Native      string        `default:"127.0.0.1:4568" help:"Address of the native protocol; 'off' for none."`
	Config      configFile    `help:"Read settings from this YAML file. Flags and environment win over it." placeholder:"FILE"`
	Auth        string        `enum:",off,keys" default:"" help:"off accepts any credentials; keys verifies signatures with the keys of the file or of SHARDMILL_AUTH_KEYS. Default: keys where there are some." placeholder:"off|keys"`
	Durability  string        `enum:"disk,os,mem" default:"disk" help:"What an acknowledgement means on streams that do not say: disk (synced), os (survives kill -9) or mem."`
	CORS        string        `name:"cors" help:"Origin whose web pages may call the AWS APIs, or '*' for all. Default: all where keys are configured, else none but the server's own." placeholder:"ORIGIN"`
	Insecure    bool          `help:"Allow an address that is not loopback although any credentials are accepted."`
	Region      string        `default:"us-east-1" help:"Region of requests that name none."`
	Account     string        `default:"000000000000" help:"Account of requests that name none."`
	ShardLimit  int           `default:"20000" help:"Open shards per account and region."`
	Streams     string        `help:"Streams to make at start: name:shards, comma-separated." placeholder:"a:1,b:4"`
	Transition  time.Duration `default:"0s" help:"How long streams stay CREATING, UPDATING and DELETING."`
	RingSize    byteSize      `default:"64MiB" help:"Memory for recent records; a power of two."`
	SegmentSize byteSize      `default:"256MiB" help:"Size of a segment file; a power of two."`
	Neighbours  bool          `default:"true" negatable:"" help:"Answer for the little of DynamoDB, CloudWatch and STS that Kinesis clients need to start. CloudWatch data are counted, not kept."`
	LogLevel    slog.Level    `default:"info" help:"Least level of log lines: debug, info, warn or error."`
}

// off is what turns a listener off.
const off = "off"

// shutdownGrace is how long a stopping server lets requests under way finish.
const shutdownGrace = 5 * time.Second

// diskFailureGrace is how long a server whose disk failed keeps answering, so that waiting clients learn of it and
// health checks see it.
const diskFailureGrace = time.Second

// Run is called by kong.
func (s *serveCmd) Run(a *app) error {
	// The first signal stops the server in good order; once it is caught the second one kills, as signals then have
	// their usual effect.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(a.ctx), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	for _, line := range a.aliases {
		a.say("%s", line)
	}
	o, err := s.options(a)
	if err != nil {
		return err
	}
	return runNode(ctx, a, o)
}

// runNode runs a server until ctx ends or something that it can not do without fails.
func runNode(ctx context.Context, a *app, o nodeOptions) error {
	n, err := startNode(ctx, o)
	if err != nil {
		return err
	}
	if err := writeBanner(a.stdout, n); err != nil {
		return errors.Join(exitf(codeFailed, "print the banner: %w", err), n.stop(0))
	}
	select {
	case <-ctx.Done():
		o.Log.Info("stopping", "because", "signal")
		if err := n.stop(shutdownGrace); err != nil {
			return exitf(codeFailed, "stop: %w", err)
		}
		return nil
	case err := <-n.failed:
		if code := exitCodeOf(ctx, err); code == codeDiskFailed {
			time.Sleep(diskFailureGrace)
		}
		if stopErr := n.stop(shutdownGrace); stopErr != nil {
			o.Log.Error("stop", "error", stopErr)
		}
		return err
	}
}

// nodeOptions is everything a node needs to know.
type nodeOptions struct {
	serveCmd
	Keys []accessKey
	Log  *slog.Logger
	FS   vfs.FS // nil: the real disk
}

// options checks the flags against each other.
func (s *serveCmd) options(a *app) (nodeOptions, error) {
	o := nodeOptions{serveCmd: *s, Log: a.logger(s.LogLevel)}
	keys, err := a.accessKeys()
	if err != nil {
		return o, err
	}
	switch {
	case s.Auth == off:
		keys = nil
	case s.Auth == "keys" && len(keys) == 0:
		return o, usagef("--auth keys: there are no keys. Put them under auth.keys of --config FILE, or in SHARDMILL_AUTH_KEYS=access:secret")
	}
	o.Keys = keys
	if len(s.Account) != 12 || strings.Trim(s.Account, "0123456789") != "" {
		return o, usagef("--account %s: want 12 digits", s.Account)
	}
	if err := checkOrigin(s.CORS); err != nil {
		return o, err
	}
	for _, addr := range []struct{ flag, value string }{{"--listen", s.Listen}, {"--tls", s.TLS}, {"--native", s.Native}} {
		if addr.value == off && addr.flag != "--listen" {
			continue
		}
		if err := s.checkAddr(addr.flag, addr.value, len(keys) > 0); err != nil {
			return o, err
		}
	}
	return o, nil
}

// checkOrigin wants an origin as browsers write it.
func checkOrigin(origin string) error {
	if origin == "" || origin == "*" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != strings.ToLower(origin) {
		return usagef("--cors %s: want an origin such as https://example.com, without a path, or '*'", origin)
	}
	return nil
}

// checkAddr refuses to open a server that lets anybody in to the network.
func (s *serveCmd) checkAddr(flag, addr string, authenticated bool) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return usagef("%s %s: want HOST:PORT, such as 127.0.0.1:4566", flag, addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return usagef("%s %s: the port must be a number up to 65535", flag, addr)
	}
	if !isLoopbackHost(host) && !authenticated && !s.Insecure {
		return exitf(codeRefused, "%s %s is not loopback, and any credentials are accepted: anybody who reaches it could read and delete everything. Configure keys (auth.keys), or add --insecure", flag, addr)
	}
	return nil
}

// accessKeys gathers the keys of the file and of SHARDMILL_AUTH_KEYS=access:secret[:account],...
func (a *app) accessKeys() (keys []accessKey, err error) {
	if a.config != nil {
		keys = append(keys, a.config.Auth.Keys...)
	}
	list, _ := a.getenv("SHARDMILL_AUTH_KEYS")
	for item := range strings.SplitSeq(list, ",") {
		if item == "" {
			continue
		}
		part := strings.Split(strings.TrimSpace(item), ":")
		if len(part) < 2 || len(part) > 3 || part[0] == "" || part[1] == "" {
			return nil, usagef("SHARDMILL_AUTH_KEYS: want access:secret or access:secret:account, comma-separated")
		}
		k := accessKey{AccessKey: part[0], SecretKey: part[1]}
		if len(part) == 3 {
			k.Account = part[2]
		}
		keys = append(keys, k)
	}
	seen := map[string]bool{}
	for _, k := range keys {
		if seen[k.AccessKey] {
			return nil, usagef("access key %s is configured twice", k.AccessKey)
		}
		seen[k.AccessKey] = true
	}
	return keys, nil
}

// logger makes the log of the server: text for people, JSON otherwise, on stderr.
func (a *app) logger(level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if isTerminal(a.stderr) {
		return slog.New(slog.NewTextHandler(a.stderr, options))
	}
	return slog.New(slog.NewJSONHandler(a.stderr, options))
}
