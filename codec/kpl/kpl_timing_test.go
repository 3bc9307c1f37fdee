package kpl

import (
	"fmt"
	"testing"
)

func fullBuilder(tb testing.TB, b *Builder) (records int) {
	tb.Helper()
	data := make([]byte, 100)
	for i := range 10_000 {
		if b.Add(fmt.Sprintf("user-%d", i%500), "", data) != nil {
			break
		}
		records++
	}
	return records
}

func BenchmarkAggregated(b *testing.B) {
	builder := NewBuilder(0)
	records := fullBuilder(b, builder)
	data := builder.Append(nil)
	var a Aggregated
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Reset(data); err != nil {
			b.Fatal(err)
		}
		var r Record
		for a.Next(&r) {
			_ = r
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*records), "ns/record")
}

func BenchmarkPlain(b *testing.B) {
	data := make([]byte, 100)
	var a Aggregated
	b.ReportAllocs()
	for b.Loop() {
		_ = a.Reset(data)
	}
}

func BenchmarkBuilder(b *testing.B) {
	builder := NewBuilder(0)
	fullBuilder(b, builder)
	dst := make([]byte, 0, MaxSize)
	keys := make([]string, 500)
	for i := range keys {
		keys[i] = fmt.Sprintf("user-%d", i)
	}
	data := make([]byte, 100)
	b.SetBytes(int64(builder.Size()))
	b.ReportAllocs()
	for b.Loop() {
		builder.Reset()
		for i := 0; builder.Add(keys[i%len(keys)], "", data) == nil; i++ {
			continue
		}
		dst = builder.Append(dst[:0])
	}
}
