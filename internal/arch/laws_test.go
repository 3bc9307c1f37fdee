package arch

import "testing"

// law is one rule of the house. check returns its breaches; planted are small trees it must object to, so that a law that
// has gone blind is noticed.
type law struct {
	name    string
	why     string
	check   func(*tree) []violation
	planted []map[string]string
}

func laws() []law {
	return []law{
		{
			"imports", "arrows point one way, cmd -> transport -> services -> engine -> codec, so that each part can be read, tested and replaced alone",
			checkImports, plantedImports(),
		},
		{
			"outside imports", "what a room may take from outside the module tells what the room is for",
			checkOutside, plantedOutside(),
		},
		{
			"calls", "files, processes, clocks and output have one place each",
			checkCalls, plantedCalls(),
		},
		{
			"codec is pure", "bytes in, bytes out: no goroutine to join, nothing to close",
			checkCodec, plantedCodec(),
		},
		{
			"folders", "the house is small enough to be known by heart: these rooms, two levels (three under cmd)",
			checkFolders, plantedFolders(),
		},
		{
			"package names", "a package is named for a thing of the trade; cupboards collect everything",
			checkNames, plantedNames(),
		},
		{
			"sizes", "a file fits in the head, a function on the screen",
			checkSizes, plantedSizes(),
		},
		{
			"package comments", "the first thing a reader wants to know is what a package is for",
			checkComments, plantedComments(),
		},
		{
			"exported comments", "an exported name says what it is for: units, errors, who owns a slice, whether it may be called concurrently",
			checkDocs, plantedDocs(),
		},
		{
			"no init", "wiring is explicit and in one place",
			checkInit, plantedInit(),
		},
		{
			"panics", `a panic is a broken invariant of ours and says "BUG:"; everything else is an error`,
			checkPanics, plantedPanics(),
		},
		{
			"one action per file", "whoever looks for an API action finds it by its name",
			checkActions, plantedActions(),
		},
		{
			"no private paths", "the project means the same on every machine",
			checkTexts, plantedTexts(),
		},
	}
}

// rooms says what of this module each room may import: itself, and the listed rooms and what is below them; "=engine" is
// that package alone. The last matching row counts. tests is what _test files may import beyond that.
func rooms() []room {
	const services = "firehose analytics video functions"
	return []room{
		{name: "cmd", may: "bench codec engine transport loadgen web internal " + services},
		{name: "bench", may: "bench codec engine transport loadgen web internal " + services},
		{name: "loadgen", may: "codec =engine transport/nativeclient", tests: "engine transport internal"},

		{name: "transport", may: "codec =engine transport/awshttp web internal " + services, tests: "transport engine"},
		{name: "transport/transporttest", may: "codec =engine transport internal " + services},
		{name: "transport/awshttp", may: "codec internal", tests: "transport engine"},
		{name: "transport/nativeclient", may: "codec", tests: "transport engine internal"},

		{name: "firehose", may: "codec =engine firehose internal", tests: "engine"},
		{name: "analytics", may: "codec =engine analytics internal", tests: "engine"},
		{name: "video", may: "codec =engine video internal", tests: "engine"},
		{name: "functions", may: "codec =engine functions internal", tests: "engine"},

		{name: "engine", may: "codec engine internal"},
		{name: "engine/lane", may: "codec internal"},
		{name: "engine/catalog", may: "codec internal"},
		{name: "engine/tier", may: "codec engine/lane internal"},

		{name: "codec", may: "codec"},
		{name: "web"},
		{name: "internal"},
		{name: "internal/objectstore", may: "internal/vfs internal/metrics internal/invariants"},
	}
}

// outside says which rooms may import a package from elsewhere and what is below it ("=log" is that package alone). Tests
// and generators may import all of them but those that nobody may.
func outside() []outsider {
	return []outsider{
		{"unsafe", "engine/lane transport/native", "memory tricks stay in the ring and at the socket"},
		{"github.com/panjf2000/gnet/v2", "transport/native bench", "event loops are the native server's"},
		{"github.com/alecthomas/kong", "cmd", "flags are read in cmd"},
		{"go.etcd.io/bbolt", "internal/itemstore", "records lie in the log; bbolt is for the items of the neighbours"},
		{"flag", "cmd", "flags are read in cmd"},
		{"os/signal", "cmd", "signals are taken in cmd"},
		{"os/exec", "bench cmd", "the server starts no programs"},
		{"net/http", "bench cmd firehose functions internal/objectstore internal/metrics loadgen transport video", "the engine knows no wire"},
		{"=log", nobody, "log/slog, handed in by the caller"},
		{"=math/rand", nobody, "math/rand/v2"},
		{"io/ioutil", nobody, "its functions are in io and os"},
		{"github.com/pkg/errors", nobody, "package errors and %w"},
	}
}

// calls says which functions (and variables) of the standard library a room may not use outside its tests.
func calls() []call {
	const clock = "Now Since Until Sleep After AfterFunc Tick NewTimer NewTicker"
	const process = "Exit Args Getenv LookupEnv Environ ExpandEnv Setenv Unsetenv Clearenv Stdin Stdout Stderr"
	const disk = "Chdir Chmod Chown Chtimes CopyFS Create CreateTemp DirFS Lchown Link Lstat Mkdir MkdirAll MkdirTemp NewFile Open " +
		"OpenFile OpenInRoot OpenRoot ReadDir ReadFile Readlink Remove RemoveAll Rename Root Stat Symlink Truncate WriteFile"
	return []call{
		{room: "", but: "cmd", pkg: "os", names: process, why: "only cmd deals with the process"},
		{room: "", but: "cmd", pkg: "fmt", names: "Print Printf Println", why: "only cmd prints"},
		{room: "engine", pkg: "os", names: disk, why: "the engine's files go through internal/vfs, so that crashes and faults can be tested"},
		{room: "codec", pkg: "time", names: clock, why: "codec has no clock"},
		{room: "", pkg: "sync/atomic", names: rawAtomics(), tests: true, why: "typed atomics cannot be misaligned, copied or read plainly by mistake"},
	}
}

// generators are the programs outside cmd: they may read flags, print and exit.
func generators() []string { return []string{"internal/awsmodel"} }

// topLevel are the rooms; hidden folders are the forges' business.
func topLevel() []string {
	return []string{
		"bench", "cmd", "codec", "engine", "transport", "firehose", "analytics", "video", "functions", "loadgen",
		"web", "internal",
	}
}

// hiddenFolders may exist at the top as well.
func hiddenFolders() []string { return []string{".ci", ".github"} }

const (
	maxDepth    = 2 // folders below the root
	maxDepthCmd = 3

	maxFileLines     = 600
	maxFunctionLines = 80 // between the line of "func" and that of "}", as funlen counts
)

// bannedNames are cupboards; bannedEndings are the same in disguise.
func bannedNames() []string {
	return []string{"base", "common", "core", "helper", "helpers", "lib", "misc", "pkg", "shared", "stuff", "types", "util", "utils"}
}

// plainMethods are known by their interface and need no comment.
func plainMethods() []string {
	return []string{"Error", "Unwrap", "Is", "String", "Len", "Less", "Swap", "Read", "Write", "Close"}
}

func bannedEndings() []string {
	return []string{"common", "helper", "helpers", "misc", "util", "utils"}
}

func TestLawsHold(t *testing.T) {
	house := load(t)
	if len(house.sources) < 20 {
		t.Fatalf("only %d Go files found", len(house.sources))
	}
	for _, l := range laws() {
		t.Run(l.name, func(t *testing.T) {
			for _, v := range l.check(house) {
				t.Errorf("%s: %s\n\tlaw: %s", v.where, v.what, l.why)
			}
		})
	}
}

func TestLawsCatch(t *testing.T) {
	clean := plantedClean()
	for _, l := range laws() {
		t.Run(l.name, func(t *testing.T) {
			if v := l.check(mustParse(t, clean)); len(v) != 0 {
				t.Errorf("objects to a clean house: %v", v)
			}
			if len(l.planted) == 0 {
				t.Error("nothing is planted")
			}
			for _, p := range l.planted {
				if len(l.check(mustParse(t, p))) == 0 {
					t.Errorf("says nothing about %v", p)
				}
			}
		})
	}
}

func mustParse(t *testing.T, files map[string]string) *tree {
	t.Helper()
	texts := map[string][]byte{}
	for name, text := range files {
		texts[name] = []byte(text)
	}
	all, err := parse(texts)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
