package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardmill/shardmill/transport/nativeclient"
)

var (
	crashCycles = flag.Int("cycles", 5, "kill -9 cycles of TestCrash")
	crashSeed   = flag.Uint64("crash-seed", 0, "seed of TestCrash; 0: a new one")
)

const (
	crashNativeProducers = 3
	crashHTTPProducers   = 2
	crashKeys            = 3    // per producer
	crashBurst           = 2000 // records a producer sends per cycle without waiting for each
	crashGeneration      = 50   // cycles on one data folder before everything in it is read again
	crashMaxLoad         = 300 * time.Millisecond
)

// TestCrash kills a loaded server at a random moment, starts it again and reads everything, over and over. It fails when
// an acknowledged record is lost or doubled, when the order of a key is broken, when a record disappears that a consumer
// has read, or when the server does not come up again.
func TestCrash(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	c := &crashTest{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), binary: buildBinary(t)}
	for done := 0; done < *crashCycles; {
		n := min(crashGeneration, *crashCycles-done)
		c.generation(n)
		done += n
		t.Logf("%d cycles, %d records so far", done, c.present)
	}
	fmt.Printf("crash: cycles=%d records=%d acknowledged=%d over_http=%d unacknowledged_kept=%d seen=%d reshards=%d lost=0 duplicates=0 disorder=0\n",
		*crashCycles, c.present, c.acked, c.ackedHTTP, c.present-c.acked, c.seen.Load(), c.reshards)
	if c.ackedHTTP == 0 || c.acked == c.ackedHTTP || c.seen.Load() == 0 {
		t.Fatal("nothing was acknowledged over one of the protocols, or nothing read: the test did not test anything")
	}
}

func buildBinary(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "shardmill")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// crashTest is the state of TestCrash.
type crashTest struct {
	t      *testing.T
	rnd    *rand.Rand
	binary string

	// The following are of the current generation.
	dir     string
	streams []*crashStream

	present, reshards int
	acked, ackedHTTP  int
	seen              atomic.Int64
}

// crashStream is a stream and what was sent to it.
type crashStream struct {
	name   string
	level  nativeclient.Level
	chains map[string]*chain
	native [][]*chain // per producer
	http   [][]*chain
	read   map[string]*shardRead
}

// shardRead is how far a shard has been verified.
type shardRead struct {
	last string // sequence number
	done bool   // closed and drained
}

func newCrashStream(name string, level nativeclient.Level) *crashStream {
	s := &crashStream{name: name, level: level, chains: map[string]*chain{}, read: map[string]*shardRead{}}
	add := func(kind string, producers int) (all [][]*chain) {
		for p := range producers {
			var mine []*chain
			for k := range crashKeys {
				c := newChain(fmt.Sprintf("%s-%d-%d", kind, p, k))
				s.chains[c.key] = c
				mine = append(mine, c)
			}
			all = append(all, mine)
		}
		return all
	}
	s.native, s.http = add("native", crashNativeProducers), add("http", crashHTTPProducers)
	return s
}

// generation runs cycles on a fresh data folder, then reads all of it once more.
func (c *crashTest) generation(cycles int) {
	c.dir = c.t.TempDir()
	c.streams = []*crashStream{newCrashStream("synced", nativeclient.LevelDisk), newCrashStream("handed-over", nativeclient.LevelOS)}
	s := c.start()
	for _, st := range c.streams {
		s.create(st)
	}
	for range cycles {
		c.load(s)
		s = c.start()
		for _, st := range c.streams {
			c.verify(s, st)
		}
	}
	for _, st := range c.streams { // everything, from the beginning, must still be the same
		before := map[string]int{}
		for key, ch := range st.chains {
			before[key] = ch.present
			ch.rewind()
		}
		st.read = map[string]*shardRead{}
		c.verify(s, st)
		for key, ch := range st.chains {
			if ch.present != before[key] {
				c.t.Fatalf("%s, key %s: %d records when read again, %d before", st.name, key, ch.present, before[key])
			}
			c.present += ch.present
			for _, acked := range ch.acked {
				if acked {
					c.acked++
					if strings.HasPrefix(key, "http") {
						c.ackedHTTP++
					}
				}
			}
		}
	}
	s.kill()
	if err := os.RemoveAll(c.dir); err != nil {
		c.t.Error(err)
	}
}

// crashServer is a running server.
type crashServer struct {
	t      *testing.T
	cmd    *exec.Cmd
	at     bannerInfo
	sdk    *kinesis.Client
	stderr *bytes.Buffer
	close  func()
}

// start runs a server and waits until it is ready. Small ring and segments make it roll many times.
func (c *crashTest) start() *crashServer {
	c.t.Helper()
	s := &crashServer{t: c.t, stderr: new(bytes.Buffer)}
	s.cmd = exec.Command(c.binary, "serve", "--data", c.dir, "--listen", "127.0.0.1:0", "--tls", "off", "--native", "127.0.0.1:0",
		"--ring-size", "8MiB", "--segment-size", "8MiB")
	s.cmd.Stderr = s.stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	stuck := time.AfterFunc(30*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer stuck.Stop()
	var banner []byte
	for chunk := make([]byte, 4096); !bytes.HasSuffix(banner, []byte("Ready.\n")); {
		n, err := out.Read(chunk)
		banner = append(banner, chunk[:n]...)
		if err != nil {
			_ = s.cmd.Wait()
			c.t.Fatalf("the server did not come up: %v\n%s%s", err, banner, s.stderr)
		}
	}
	s.at = parseBanner(string(banner))
	sdk, transport := newSDK(s.at.http)
	s.sdk, s.close = sdk, transport.CloseIdleConnections
	return s
}

func (s *crashServer) kill() {
	s.close()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatalf("kill: %v", err)
	}
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		s.t.Fatalf("the server ended before it was killed: %v\n%s", err, s.stderr)
	}
}

func (s *crashServer) create(st *crashStream) {
	s.t.Helper()
	level := map[nativeclient.Level]string{nativeclient.LevelDisk: "disk", nativeclient.LevelOS: "os"}[st.level]
	_, err := s.sdk.CreateStream(context.Background(), &kinesis.CreateStreamInput{
		StreamName: &st.name, ShardCount: aws.Int32(2), Tags: map[string]string{tagDurability: level},
	})
	if err != nil {
		s.t.Fatalf("create: %v", err)
	}
}

// load writes from all producers, reads along, reshards now and then, and kills the server in the middle of it.
func (c *crashTest) load(s *crashServer) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for _, st := range c.streams {
		for _, chains := range st.native {
			wg.Go(func() { produceNative(ctx, c.t, s.at.native, st, chains) })
		}
		for _, chains := range st.http {
			wg.Go(func() { produceHTTP(ctx, s.sdk, st, chains) })
		}
		shards := c.shards(s, st)
		for i := range shards {
			if !isClosed(&shards[i]) {
				last := ""
				if r := st.read[*shards[i].ShardId]; r != nil {
					last = r.last
				}
				wg.Go(func() { c.readAlong(ctx, s.sdk, st, *shards[i].ShardId, last) })
			}
		}
	}
	until := time.Duration(c.rnd.Int64N(int64(crashMaxLoad)))
	if c.rnd.IntN(4) == 0 {
		st := c.streams[c.rnd.IntN(len(c.streams))]
		shards, dice := c.shards(s, st), c.rnd.Uint64()
		wg.Go(func() {
			time.Sleep(until * 3 / 4)
			reshardSomehow(ctx, s.sdk, st.name, shards, dice)
		})
		c.reshards++
	}
	time.Sleep(until)
	s.kill()
	cancel()
	wg.Wait()
}

func (c *crashTest) shards(s *crashServer, st *crashStream) []types.Shard {
	c.t.Helper()
	out, err := s.sdk.ListShards(context.Background(), &kinesis.ListShardsInput{StreamName: &st.name})
	if err != nil {
		c.t.Fatalf("list shards: %v\n%s", err, s.stderr)
	}
	return out.Shards
}

// reshardSomehow splits or merges; the server may be killed before, during or after it.
func reshardSomehow(ctx context.Context, sdk *kinesis.Client, stream string, shards []types.Shard, dice uint64) {
	var open []types.Shard
	for i := range shards {
		if !isClosed(&shards[i]) {
			open = append(open, shards[i])
		}
	}
	target := int32(len(open) + 1)
	if len(open) > 4 || dice%2 == 0 && len(open) > 1 {
		target = int32(len(open)+1) / 2
	}
	// An error is as good as a success here: what counts is what is there afterwards.
	_, _ = sdk.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{
		StreamName: &stream, TargetShardCount: &target, ScalingType: types.ScalingTypeUniformScaling,
	})
}

// produceNative extends chains through the native protocol until the server is gone.
func produceNative(ctx context.Context, t *testing.T, addr string, st *crashStream, chains []*chain) {
	client, err := nativeclient.Dial(ctx, nativeclient.Options{Addr: addr})
	if err != nil {
		return // killed before it could connect
	}
	defer client.Close() //nolint:errcheck // the server is gone
	s, err := client.Open(ctx, st.name, nil)
	if err != nil {
		return
	}
	p := s.NewProducer(nativeclient.ProducerOptions{Level: st.level, BatchBytes: 8 << 10})
	defer p.Close() //nolint:errcheck // likewise
	type pending struct {
		chain  *chain
		n      uint64
		future *nativeclient.Future
	}
	sent := make(chan pending, 512)
	var waiter sync.WaitGroup
	waiter.Go(func() {
		for x := range sent {
			if _, err := x.future.Wait(ctx); err == nil {
				x.chain.ack(x.n)
			}
		}
	})
	for i := 0; ctx.Err() == nil && client.Err() == nil; i++ {
		c := chains[i%len(chains)]
		n, data := c.next(i % 300)
		f := p.Produce(ctx, []byte(c.key), data)
		sent <- pending{c, n, f}
		if i > crashBurst {
			_, _ = f.Wait(ctx) // booked by the waiter
		}
	}
	close(sent)
	waiter.Wait()
}

// produceHTTP extends chains through PutRecords until the server is gone.
func produceHTTP(ctx context.Context, sdk *kinesis.Client, st *crashStream, chains []*chain) {
	for round := 0; ctx.Err() == nil; round++ {
		size := 1 + round%40
		in := &kinesis.PutRecordsInput{StreamName: &st.name}
		numbers := make([]uint64, size)
		for i := range size {
			c := chains[i%len(chains)]
			n, data := c.next(i * 7 % 200)
			numbers[i] = n
			in.Records = append(in.Records, types.PutRecordsRequestEntry{Data: data, PartitionKey: &c.key})
		}
		out, err := sdk.PutRecords(ctx, in)
		if err != nil {
			return
		}
		for i := range out.Records {
			if out.Records[i].ErrorCode == nil {
				chains[i%len(chains)].ack(numbers[i])
			}
		}
	}
}

// readAlong is a consumer of one shard, from where the last verification ended.
func (c *crashTest) readAlong(ctx context.Context, sdk *kinesis.Client, st *crashStream, shard, last string) {
	it, err := sdk.GetShardIterator(ctx, iteratorAfter(st.name, shard, last))
	if err != nil {
		return
	}
	for iterator := it.ShardIterator; iterator != nil && ctx.Err() == nil; {
		out, err := sdk.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			return
		}
		for i := range out.Records {
			key, n, _, err := parseLink(out.Records[i].Data)
			if err == nil && st.chains[key] == nil {
				err = fmt.Errorf("unknown key %q", key)
			}
			if err == nil {
				err = st.chains[key].see(n)
			}
			if err != nil {
				c.t.Errorf("%s, %s: a consumer read: %v", st.name, shard, err)
				return
			}
			c.seen.Add(1)
		}
		iterator = out.NextShardIterator
		if len(out.Records) == 0 {
			_ = sleep(ctx, time.Millisecond)
		}
	}
}

func iteratorAfter(stream, shard, last string) *kinesis.GetShardIteratorInput {
	in := &kinesis.GetShardIteratorInput{StreamName: &stream, ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	if last != "" {
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &last
	}
	return in
}

// verify reads what is new in every shard, parents before their children (which have higher numbers), and checks it.
func (c *crashTest) verify(s *crashServer, st *crashStream) {
	c.t.Helper()
	shards := c.shards(s, st)
	for i := range shards {
		id := *shards[i].ShardId
		r := st.read[id]
		if r == nil {
			r = &shardRead{}
			st.read[id] = r
		}
		if r.done {
			continue
		}
		if err := verifyShard(s.sdk, st, id, r); err != nil {
			c.t.Fatalf("after kill -9: stream %s, %s: %v\nserver said:\n%s", st.name, id, err, s.dump())
		}
	}
	for _, ch := range st.chains {
		if err := ch.settle(); err != nil {
			c.t.Fatalf("after kill -9: stream %s: %v", st.name, err)
		}
	}
}

// dump ends the server with a dump of its goroutines, and returns the end of what it said.
func (s *crashServer) dump() string {
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // it may be gone already, which the text then shows
	_ = s.cmd.Wait()
	text := s.stderr.String()
	return text[max(0, len(text)-maxDump):]
}

const maxDump = 256 << 10

func verifyShard(sdk *kinesis.Client, st *crashStream, id string, r *shardRead) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	it, err := sdk.GetShardIterator(ctx, iteratorAfter(st.name, id, r.last))
	if err != nil {
		return err
	}
	for iterator := it.ShardIterator; ; {
		asked := time.Now()
		out, err := sdk.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			return fmt.Errorf("after %s: %w", time.Since(asked), err)
		}
		for i := range out.Records {
			if err := verifyRecord(st, &out.Records[i], r); err != nil {
				return fmt.Errorf("at %s: %w", *out.Records[i].SequenceNumber, err)
			}
		}
		if out.NextShardIterator == nil {
			r.done = true
			return nil
		}
		iterator = out.NextShardIterator
		if len(out.Records) == 0 && aws.ToInt64(out.MillisBehindLatest) == 0 {
			return nil
		}
	}
}

func verifyRecord(st *crashStream, rec *types.Record, r *shardRead) error {
	seq := *rec.SequenceNumber
	if len(seq) == len(r.last) && strings.Compare(seq, r.last) <= 0 {
		return fmt.Errorf("sequence number not above %s", r.last)
	}
	r.last = seq
	key, n, hash, err := parseLink(rec.Data)
	if err != nil {
		return err
	}
	if key != aws.ToString(rec.PartitionKey) || st.chains[key] == nil {
		return fmt.Errorf("record of %q under key %q", key, aws.ToString(rec.PartitionKey))
	}
	return st.chains[key].verify(n, hash)
}
