package frame

import (
	"fmt"
	"testing"

	"github.com/shardmill/shardmill/codec/batch"
)

func BenchmarkDecodeProduce(b *testing.B) {
	one := testBatch(b, 1)
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprint("batches-", n), func(b *testing.B) {
			body := AppendProducePrefix(nil, 1, 1, 0, n, n*len(one))[HeaderLen:]
			for range n {
				body = append(body, one...)
			}
			b.ReportAllocs()
			for b.Loop() {
				p, err := DecodeProduce(body)
				for err == nil {
					var bt batch.Batch
					if bt, err = p.Next(); bt == nil {
						break
					}
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAck(b *testing.B) {
	dst := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendAckResult(AppendAckPrefix(dst[:0], 1, 2, 3, 1), AckResult{Position: 4, Micros: 5})
		if a, err := DecodeAck(dst[HeaderLen:]); err != nil || a.At(0).Position != 4 {
			b.Fatal(err)
		}
	}
}
