package itemstore

import (
	"path/filepath"
	"strconv"
	"testing"
)

// BenchmarkRenewal is what a worker does for each of its leases every few seconds. Synced, it is two syncs of the disk.
func BenchmarkRenewal(b *testing.B) {
	for _, noSync := range []bool{false, true} {
		b.Run(map[bool]string{false: "disk", true: "os"}[noSync], func(b *testing.B) {
			s := filled(b, noSync)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				key := Item{"leaseKey": text("shard-" + strconv.Itoa(n%benchLeases))}
				n++
				if _, err := s.Write(home(), Write{
					Table: "leases", Kind: Update, Item: key, Condition: equal("leaseOwner", text("w")),
					Changes: []Change{{Op: Add, Name: "counter", Value: Operand{Value: num("1")}}},
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkScan reads a table of leases.
func BenchmarkScan(b *testing.B) {
	s := filled(b, true)
	b.ReportAllocs()
	for b.Loop() {
		p, err := s.Scan(home(), Read{Table: "leases"})
		if err != nil || len(p.Items) != benchLeases {
			b.Fatal(len(p.Items), err)
		}
	}
}

const benchLeases = 1000

func filled(b *testing.B, noSync bool) *Store {
	b.Helper()
	s, err := Open(Options{Path: filepath.Join(b.TempDir(), "items.db"), NoSync: noSync})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	if err := s.CreateTable(home(), leases()); err != nil {
		b.Fatal(err)
	}
	for at := 0; at < benchLeases; at += MaxWrites {
		writes := make([]Write, MaxWrites)
		for i := range writes {
			writes[i] = Write{Table: "leases", Kind: Put, Item: lease("shard-"+strconv.Itoa(at+i), "w")}
		}
		if _, err := s.Write(home(), writes...); err != nil {
			b.Fatal(err)
		}
	}
	return s
}
