package engine

import (
	"fmt"
	"testing"

	"github.com/shardmill/shardmill/internal/vfs"
)

func TestAppendRead(t *testing.T) {
	f := func(name string, o Options) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			e := openTest(t, o)
			s := createTest(t, e, "orders", 3)
			recs := numbered(500)
			where := put(t, s, recs...)
			for _, limit := range []int{0, 1, 7, 500} {
				all := readAll(t, s, limit)
				if len(all) != len(recs) {
					t.Fatalf("limit %d: %d records, want %d", limit, len(all), len(recs))
				}
				byPlace := map[Sequence]got{}
				for _, g := range all {
					byPlace[g.seq] = g
				}
				for i, a := range where {
					g, ok := byPlace[a.Sequence]
					if !ok || g.key != string(recs[i].Key) || g.data != string(recs[i].Data) || g.shard != a.Shard {
						t.Fatalf("record %d: %+v at %+v", i, g, a)
					}
				}
			}
			last := map[string]int{} // records of one key keep their order
			for _, g := range readAll(t, s, 100) {
				var n int
				if _, err := fmt.Sscanf(g.data, "data %d", &n); err != nil {
					t.Fatal(err)
				}
				if before, ok := last[g.key]; ok && before >= n {
					t.Fatalf("key %s: %d after %d", g.key, n, before)
				}
				last[g.key] = n
			}
		})
	}
	f("memory", Options{RingSize: smallRing})
	f("mem disk", testOptions(vfs.NewMem(0)))
	osOptions := testOptions(vfs.OS())
	osOptions.Dir = t.TempDir()
	f("os disk", osOptions)
}
