package arch

import (
	"fmt"
	"slices"
	"strings"
)

type room struct{ name, may, tests string }

// roomOf is the last row of the table that dir lies in.
func roomOf(dir string) (room, bool) {
	for _, r := range slices.Backward(rooms()) {
		if inRoom(dir, r.name) {
			return r, true
		}
	}
	return room{}, false
}

func (r room) allows(from *source, to string) bool {
	if to == from.dir {
		return true // an external test package
	}
	list := r.may
	if from.test {
		list += " " + r.tests
	}
	for _, name := range strings.Fields(list) {
		if matches(to, name) {
			return true
		}
	}
	return false
}

// matches tells whether p is name or lies below it, or is exactly name where that begins with "=".
func matches(p, name string) bool {
	if exact, only := strings.CutPrefix(name, "="); only {
		return p == exact
	}
	return inRoom(p, name)
}

func checkImports(t *tree) (found []violation) {
	for _, s := range t.sources {
		r, ok := roomOf(s.dir)
		if !ok {
			found = append(found, violation{s.path, "lies in no room of the import table"})
			continue
		}
		for _, i := range s.file.Imports {
			to, ours := strings.CutPrefix(strings.Trim(i.Path.Value, "`\""), module)
			if ours && !r.allows(s, to) {
				found = append(found, t.at(i, "imports %s; %s may import: %s", to, r.name, orNothing(r.may)))
			}
		}
	}
	return found
}

func orNothing(list string) string {
	if list == "" {
		return "nothing of this module"
	}
	return list
}

func plantedImports() []map[string]string {
	f := func(file string, imports ...string) map[string]string {
		text := "package p\n"
		for _, i := range imports {
			text += fmt.Sprintf("import _ %q\n", module+i)
		}
		return map[string]string{file: text}
	}
	return []map[string]string{
		f("codec/batch/a.go", "engine"),
		f("codec/batch/a.go", "internal/vfs"),
		f("engine/a.go", "transport/awshttp"),
		f("engine/a.go", "firehose"),
		f("engine/lane/a.go", "engine/catalog"),
		f("engine/lane/a.go", "engine"),
		f("engine/catalog/a_test.go", "engine/lane"),
		f("firehose/http/a.go", "analytics"),
		f("firehose/a.go", "transport/awshttp"),
		f("firehose/a.go", "engine/lane"),
		f("video/a.go", "functions"),
		f("transport/kinesisapi/a.go", "engine/lane"),
		f("transport/kinesisapi/a.go", "engine/catalog"),
		f("transport/kinesisapi/a.go", "transport/firehoseapi"),
		f("transport/kinesisapi/a.go", "cmd/shardmill"),
		f("transport/awshttp/a.go", "engine"),
		f("transport/nativeclient/a.go", "engine"),
		f("transport/nativeclient/a.go", "transport/native"),
		f("loadgen/a.go", "transport/native"),
		f("loadgen/a.go", "engine/lane"),
		f("loadgen/a.go", "internal/vfs"),
		f("bench/a.go", "cmd/shardmill"),
		f("internal/vfs/a.go", "codec/batch"),
		f("internal/vfs/a.go", "internal/metrics"),
		f("web/a.go", "engine"),
		f("elsewhere/a.go"),
	}
}

// nobody is a room that does not exist.
const nobody = ""

type outsider struct{ pkg, rooms, why string }

func checkOutside(t *tree) (found []violation) {
	for _, s := range t.sources {
		for _, i := range s.file.Imports {
			for _, o := range outside() {
				if from := strings.Trim(i.Path.Value, "`\""); matches(from, o.pkg) && !o.allows(s) {
					found = append(found, t.at(i, "imports %s: %s", from, o.why))
				}
			}
		}
	}
	return found
}

func (o outsider) allows(s *source) bool {
	if o.rooms == nobody {
		return false
	}
	return s.test || s.command || slices.ContainsFunc(strings.Fields(o.rooms), func(r string) bool { return inRoom(s.dir, r) })
}

func plantedOutside() []map[string]string {
	f := func(file, pkg string) map[string]string {
		return map[string]string{file: fmt.Sprintf("package p\nimport _ %q\n", pkg)}
	}
	return []map[string]string{
		f("codec/batch/a.go", "unsafe"),
		f("engine/a.go", "github.com/panjf2000/gnet/v2"),
		f("engine/catalog/a.go", "go.etcd.io/bbolt"),
		f("engine/a.go", "github.com/panjf2000/gnet/v2/pkg/ring"),
		f("engine/a.go", "net/http"),
		f("loadgen/a.go", "flag"),
		f("transport/native/a.go", "os/signal"),
		f("transport/native/a.go", "os/exec"),
		f("cmd/shardmill/a.go", "log"),
		f("cmd/shardmill/a_test.go", "math/rand"),
	}
}
