package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/internal/itemstore"
	"github.com/shardmill/shardmill/internal/metrics"
	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/awshttp"
	"github.com/shardmill/shardmill/transport/kinesisapi"
	"github.com/shardmill/shardmill/transport/native"
)

// node is a running server: one engine behind all its transports.
type node struct {
	opts    nodeOptions
	keys    []accessKey
	dir     string // the data folder
	engine  *engine.Engine
	http    *awshttp.Server
	native  *native.Server
	metrics *metrics.Registry
	items   *itemstore.Store // of the neighbours; nil without them
	started time.Time

	httpAddr, tlsAddr, nativeAddr string // as bound; empty where off
	fingerprint                   string // of the TLS certificate, shortened
	loopbackOnly                  bool

	ready  atomic.Bool
	broken atomic.Pointer[error] // why the log takes no more appends
	failed chan error            // what ends the server: the first reason is in it

	stopOnce sync.Once
	stopErr  error
	stopping chan struct{}
	wg       sync.WaitGroup
}

// startNode opens the data and starts to listen. On an error nothing is left running. The caller calls stop.
func startNode(ctx context.Context, o nodeOptions) (*node, error) {
	n := &node{
		opts: o, keys: o.Keys, started: time.Now(), failed: make(chan error, 1), stopping: make(chan struct{}),
		metrics: metrics.New(metrics.Build{Version: releaseVersion, Commit: thisBuild().Commit, Go: thisBuild().Go}),
	}
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(err, n.stop(0))
	}
	return n, nil
}

func (n *node) start(ctx context.Context) error {
	plain, encrypted, err := n.listen()
	if err != nil {
		return err
	}
	if err := n.openEngine(ctx); err != nil {
		closeAll(plain, encrypted)
		return err
	}
	if err := n.makeStreams(ctx); err != nil {
		closeAll(plain, encrypted)
		return err
	}
	if err := n.startHTTP(plain, encrypted); err != nil {
		closeAll(plain, encrypted)
		return err
	}
	if err := n.startNative(); err != nil {
		return err
	}
	n.wg.Go(n.watchEngine)
	n.ready.Store(true)
	return nil
}

// listen binds the HTTP ports before any data is touched: a second server is told apart from a broken one.
func (n *node) listen() (plain, encrypted net.Listener, err error) {
	n.loopbackOnly = true
	for _, addr := range []string{n.opts.Listen, n.opts.TLS, n.opts.Native} {
		if host, _, err := net.SplitHostPort(addr); err == nil && !isLoopbackHost(host) {
			n.loopbackOnly = false
		}
	}
	plain, err = net.Listen("tcp", n.opts.Listen)
	if err != nil {
		return nil, nil, listenError("--listen", n.opts.Listen, err)
	}
	n.httpAddr = shownAddr(plain.Addr())
	if n.opts.TLS == off {
		return plain, nil, nil
	}
	encrypted, err = net.Listen("tcp", n.opts.TLS)
	if err != nil {
		closeAll(plain)
		return nil, nil, listenError("--tls", n.opts.TLS, err)
	}
	n.tlsAddr = shownAddr(encrypted.Addr())
	return plain, encrypted, nil
}

func closeAll(listeners ...net.Listener) {
	for _, l := range listeners {
		if l != nil {
			l.Close() //nolint:errcheck // nothing was accepted
		}
	}
}

// shownAddr is an address that a client on this machine can use.
func shownAddr(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return addr.String()
	}
	if tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return tcp.String()
}

// listenError names the flag to change.
func listenError(flag, addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), "address already in use") {
		return exitf(codeFailed, "%s is taken by another process. Choose another port with %s, for example %s 127.0.0.1:0 for any free one", addr, flag, flag)
	}
	return exitf(codeFailed, "listen on %s (%s): %w", addr, flag, err)
}

// openEngine makes the data folder and recovers what is in it.
func (n *node) openEngine(ctx context.Context) error {
	n.dir = n.opts.Data
	if n.opts.Ephemeral {
		dir, err := os.MkdirTemp("", "shardmill-")
		if err != nil {
			return exitf(codeFailed, "make a temporary data folder: %w", err)
		}
		n.dir = dir
	} else if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return exitf(codeFailed, "make the data folder: %w. Choose another one with --data", err)
	}
	level, err := levelOf(n.opts.Durability)
	if err != nil {
		return err
	}
	disk := n.opts.FS
	if disk == nil {
		disk = vfs.OS()
	}
	n.engine, err = engine.Open(engine.Options{
		FS: disk, Dir: filepath.Join(n.dir, "log"), Durability: level, RingSize: int(n.opts.RingSize),
		SegmentSize: int64(n.opts.SegmentSize), ShardLimit: n.opts.ShardLimit, Transition: n.opts.Transition,
		Account: n.opts.Account, Region: n.opts.Region,
	})
	switch {
	case errors.Is(err, vfs.ErrLocked):
		return exitf(codeFailed, "the data folder %s is in use by another server. Stop that one, or choose another folder with --data", n.dir)
	case err != nil:
		return exitf(codeFailed, "open the data in %s: %w", n.dir, err)
	}
	n.metrics.WatchLog(n.logState)
	return ctx.Err()
}

func levelOf(name string) (engine.Level, error) {
	switch name {
	case "disk":
		return engine.LevelDisk, nil
	case "os":
		return engine.LevelOS, nil
	case "mem":
		return engine.LevelMem, nil
	}
	return 0, usagef("durability %q: want disk, os or mem", name)
}

func (n *node) logState() metrics.Log {
	w := n.engine.Watermarks()
	account, region := n.engine.Defaults()
	open, _, _ := n.engine.ShardUse(account, region)
	return metrics.Log{
		Published: w.Published, Written: w.Written, Durable: w.Durable,
		Streams: len(n.engine.Streams(account, region)), OpenShards: open, Malformed: n.engine.Malformed(),
		Failed: n.engine.Err() != nil,
	}
}

// startHTTP serves the AWS APIs, metrics and health on both ports.
func (n *node) startHTTP(plain, encrypted net.Listener) error {
	var auth awshttp.Authenticator
	if len(n.keys) > 0 {
		auth = keyring(n.keys)
	}
	api, err := kinesisapi.New(n.engine)
	if err != nil {
		return exitf(codeFailed, "start the AWS APIs: %w", err)
	}
	requests := n.metrics.NewRequests()
	n.http, err = awshttp.NewServer(awshttp.Options{
		Authenticator: auth, Account: n.opts.Account, Region: n.opts.Region, Log: n.opts.Log,
		CORS: strings.ToLower(n.opts.CORS), Loopback: n.loopbackOnly, Hosts: machineNames(),
	}, instrument(api.Service(), "kinesis", requests))
	if err != nil {
		return exitf(codeFailed, "start the AWS APIs: %w", err)
	}
	if err := n.addNeighbours(requests); err != nil {
		return err
	}
	n.http.Handle("GET /metrics", n.metrics.Handler())
	n.mountHealth(n.http.Handle)
	n.wg.Go(func() { n.report(n.http.Serve(plain)) })
	if encrypted == nil {
		return nil
	}
	cert, err := n.certificate(time.Now())
	if err != nil {
		return err
	}
	n.wg.Go(func() { n.report(n.http.ServeTLS(encrypted, cert)) })
	return nil
}

// machineNames is what this machine calls itself.
func machineNames() []string {
	name, err := os.Hostname()
	if err != nil {
		return nil // addresses and localhost still do
	}
	return []string{name}
}

// startNative serves the native protocol.
func (n *node) startNative() error {
	if n.opts.Native == off {
		return nil
	}
	o := native.Options{Addr: n.opts.Native, Engine: n.engine, Log: n.opts.Log}
	if len(n.keys) > 0 {
		o.Keys = keyring(n.keys).Lookup
	}
	var err error
	if n.native, err = native.Listen(o); err != nil {
		return listenError("--native", n.opts.Native, err)
	}
	n.nativeAddr = shownAddr(n.native.Addr())
	n.metrics.WatchNative(func() metrics.Native {
		s := n.native.Stats()
		return metrics.Native{Sessions: s.Sessions, Refused: s.Refused, SlowReaders: s.SlowReaders, Held: s.Held}
	})
	return nil
}

// makeStreams makes the streams of --streams that are not there yet.
func (n *node) makeStreams(ctx context.Context) error {
	account, region := n.engine.Defaults()
	for item := range strings.SplitSeq(n.opts.Streams, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		name, number, given := strings.Cut(item, ":")
		number, _, _ = strings.Cut(number, ":") // kinesis-mock allows a region after the shards; ours is fixed
		shards := 1
		if given {
			var err error
			if shards, err = strconv.Atoi(number); err != nil || shards < 1 {
				return usagef("--streams %s: want name:shards", item)
			}
		}
		err := n.engine.CreateStream(ctx, engine.CreateStream{
			Name: engine.Name{Account: account, Region: region, Stream: name}, Shards: shards,
		})
		if e, ok := errors.AsType[*engine.Error](err); ok && e.Code == engine.CodeInUse {
			continue
		}
		if err != nil {
			return exitf(codeFailed, "make stream %s: %w", name, err)
		}
	}
	return nil
}

// enginePoll is how often the engine is asked whether it still takes appends.
const enginePoll = 100 * time.Millisecond

// watchEngine ends the server when the disk fails.
func (n *node) watchEngine() {
	tick := time.NewTicker(enginePoll)
	defer tick.Stop()
	for {
		select {
		case <-n.stopping:
			return
		case <-tick.C:
		}
		if err := n.engine.Err(); err != nil {
			n.broken.Store(&err)
			n.opts.Log.Error("the log takes no more appends", "error", err)
			n.report(exitf(codeDiskFailed, "the disk failed: %w. What was acknowledged is safe; look at the disk, then start again", err))
			return
		}
	}
}

// report ends the server with a reason; later reasons are consequences of the first.
func (n *node) report(err error) {
	if err == nil {
		return
	}
	select {
	case n.failed <- err:
	default:
	}
}

// stop ends the server: no new requests, those under way get grace, then everything is flushed and synced. Idempotent.
func (n *node) stop(grace time.Duration) error {
	n.stopOnce.Do(func() {
		n.ready.Store(false)
		close(n.stopping)
		var errs []error
		if n.http != nil {
			errs = append(errs, n.stopHTTP(grace))
		}
		if n.native != nil {
			errs = append(errs, n.native.Close())
		}
		n.wg.Wait()
		if n.engine != nil {
			if err := n.engine.Close(); err != nil && n.broken.Load() == nil {
				errs = append(errs, err)
			}
		}
		if n.items != nil {
			errs = append(errs, n.items.Close())
		}
		if n.opts.Ephemeral && n.dir != "" {
			errs = append(errs, os.RemoveAll(n.dir))
		}
		n.stopErr = errors.Join(errs...)
	})
	return n.stopErr
}

func (n *node) stopHTTP(grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := n.http.Shutdown(ctx); err == nil {
		return nil
	}
	return n.http.Close()
}

func (n *node) httpURL() string { return fmt.Sprintf("http://%s", n.httpAddr) }

// keyring is the keys that may sign requests.
type keyring []accessKey

var _ awshttp.Authenticator = keyring(nil)

// Lookup implements awshttp.Authenticator. A key that is bound to no account and has twelve digits is an account itself.
func (k keyring) Lookup(accessKey string) (secret, account string, ok bool) {
	for i := range k {
		if k[i].AccessKey != accessKey {
			continue
		}
		account = k[i].Account
		if account == "" && len(accessKey) == 12 && strings.Trim(accessKey, "0123456789") == "" {
			account = accessKey
		}
		return k[i].SecretKey, account, true
	}
	return "", "", false
}
