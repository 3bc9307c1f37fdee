package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardmill/shardmill/internal/vfs"
	"github.com/shardmill/shardmill/transport/nativeclient"
)

// TestDiskFailure holds what happens when a sync fails under load: whoever waits gets an error, nothing later is
// acknowledged, health turns, and the server ends with its own exit code.
func TestDiskFailure(t *testing.T) {
	disk := vfs.NewFaulty(vfs.OS())
	o := demoOptions(t.TempDir())
	var log syncBuffer
	o.FS, o.Log = disk, slog.New(slog.NewTextHandler(&log, nil))
	var banner syncBuffer
	a := &app{ctx: t.Context(), stdout: &banner, stderr: io.Discard}
	ended := make(chan error, 1)
	go func() { ended <- runNode(context.WithoutCancel(t.Context()), a, o) }()
	for !strings.HasSuffix(banner.String(), "Ready.\n") {
		time.Sleep(time.Millisecond)
	}
	at := parseBanner(banner.String())
	sdk, transport := newSDK(at.http)
	defer transport.CloseIdleConnections()
	ctx, stream, key := t.Context(), "s", "k"
	if _, err := sdk.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &stream, ShardCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	put := func() error {
		_, err := sdk.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: &key, Data: []byte("x")})
		return err
	}
	if err := put(); err != nil {
		t.Fatalf("before the failure: %v", err)
	}
	native, err := nativeclient.Dial(ctx, nativeclient.Options{Addr: at.native})
	if err != nil {
		t.Fatal(err)
	}
	defer native.Close() //nolint:errcheck // the server ends first
	s, err := native.Open(ctx, stream, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := s.NewProducer(nativeclient.ProducerOptions{})
	defer p.Close() //nolint:errcheck // likewise

	broken := errors.New("medium error")
	disk.Inject(vfs.From(vfs.OpSyncData, 0, broken))
	if err := put(); err == nil {
		t.Error("a record was acknowledged whose sync failed")
	}
	if _, err := p.Produce(ctx, []byte(key), []byte("y")).Wait(ctx); err == nil {
		t.Error("native: a record was acknowledged whose sync failed")
	}
	disk.Inject(nil)
	if err := put(); err == nil {
		t.Error("a record was acknowledged after a failed sync: errors must stick")
	}
	resp, err := http.Get(at.http + "/_shardmill/health") //nolint:noctx // a test
	if err != nil {
		t.Fatalf("health must be there to turn: %v", err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close() //nolint:errcheck // read
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "medium error") {
		t.Errorf("health says %d %s", resp.StatusCode, body)
	}
	err = <-ended
	if exitCodeOf(ctx, err) != codeDiskFailed || !strings.Contains(err.Error(), "medium error") {
		t.Errorf("the server ended with %v", err)
	}
	if !strings.Contains(log.String(), "medium error") {
		t.Errorf("the log does not say why: %s", log.String())
	}
}

// TestCertificateStays holds that clients which trust the certificate keep doing so after a restart, and that it names
// this machine's loopback.
func TestCertificateStays(t *testing.T) {
	dir := t.TempDir()
	f := func() (fingerprint string) {
		t.Helper()
		o := demoOptions(dir)
		o.TLS = "127.0.0.1:0"
		n, err := startNode(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer n.stop(time.Second)                                                      //nolint:errcheck // a test
		conn, err := tls.Dial("tcp", n.tlsAddr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // its own certificate
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // a test
		leaf := conn.ConnectionState().PeerCertificates[0]
		for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
			if err := leaf.VerifyHostname(name); err != nil {
				t.Error(err)
			}
		}
		sum := sha256.Sum256(leaf.Raw)
		if !strings.HasPrefix(hex.EncodeToString(sum[:]), strings.NewReplacer(":", "", ".", "").Replace(n.fingerprint)) {
			t.Errorf("fingerprint %s of %x", n.fingerprint, sum)
		}
		return hex.EncodeToString(sum[:])
	}
	if a, b := f(), f(); a != b {
		t.Errorf("certificate %s, then %s", a, b)
	}
}

// TestStopIsComplete stops a node twice, under requests, and wants its folder usable at once.
func TestStopIsComplete(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		n, err := startNode(t.Context(), demoOptions(dir))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(n.stop(time.Second), n.stop(0)); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	n, err := startNode(t.Context(), demoOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer n.stop(time.Second) //nolint:errcheck // a test
	if err := writeBanner(&b, n); err != nil || !strings.HasSuffix(b.String(), "Ready.\n") {
		t.Errorf("%q, %v", b.String(), err)
	}
}
