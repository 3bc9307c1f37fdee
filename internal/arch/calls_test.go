package arch

import (
	"go/ast"
	"slices"
	"strings"
)

// call bans names of pkg in room and below, but not in the room but.
type call struct {
	room, but, pkg, names, why string
	tests                      bool // banned in tests too
}

func rawAtomics() string {
	var all []string
	for _, verb := range []string{"Load", "Store", "Add", "And", "Or", "Swap", "CompareAndSwap"} {
		for _, kind := range []string{"Int32", "Int64", "Uint32", "Uint64", "Uintptr", "Pointer"} {
			all = append(all, verb+kind)
		}
	}
	return strings.Join(all, " ")
}

func (c call) covers(s *source) bool {
	return inRoom(s.dir, c.room) && (c.but == "" || !inRoom(s.dir, c.but)) && (c.tests || !s.test && !s.command)
}

func checkCalls(t *tree) (found []violation) {
	for _, c := range calls() {
		names := strings.Fields(c.names)
		for _, s := range t.sources {
			if !c.covers(s) {
				continue
			}
			s.uses(func(n *ast.SelectorExpr, pkg string) {
				if pkg == c.pkg && slices.Contains(names, n.Sel.Name) {
					found = append(found, t.at(n, "%s.%s: %s", pkg, n.Sel.Name, c.why))
				}
			})
			if s.imports["."] == c.pkg {
				found = append(found, t.at(s.file, "imports %s without a name, which hides calls", c.pkg))
			}
		}
	}
	return found
}

func plantedCalls() []map[string]string {
	f := func(file, pkg, expr string) map[string]string {
		return map[string]string{file: "package p\nimport " + pkg + "\nvar _ = " + expr + "\n"}
	}
	return []map[string]string{
		f("engine/a.go", `"os"`, "os.Exit"),
		f("engine/a.go", `"fmt"`, "fmt.Println"),
		f("bench/a.go", `"os"`, "os.Stdout"),
		f("transport/native/a.go", `"os"`, `os.Getenv("HOME")`),
		f("engine/lane/a.go", `"os"`, "os.ReadFile"),
		f("engine/catalog/a.go", `disk "os"`, "disk.OpenFile"),
		f("engine/catalog/a.go", `. "os"`, "OpenFile"),
		f("codec/frame/a.go", `"time"`, "time.Now"),
		f("engine/a.go", `"sync/atomic"`, "atomic.LoadUint64(nil)"),
		f("engine/a_test.go", `"sync/atomic"`, "atomic.AddInt64"),
		f("cmd/shardmill/a.go", `"sync/atomic"`, "atomic.CompareAndSwapPointer"),
	}
}

func checkCodec(t *tree) (found []violation) {
	banned := []string{"os", "net", "log", "syscall", "io/fs", "path/filepath", "golang.org/x/sys/unix", "golang.org/x/sys/windows"}
	for _, s := range t.sources {
		if !inRoom(s.dir, "codec") || s.test {
			continue
		}
		for _, i := range s.file.Imports {
			for _, b := range banned {
				if inRoom(strings.Trim(i.Path.Value, "`\""), b) {
					found = append(found, t.at(i, "imports %s", i.Path.Value))
				}
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				found = append(found, t.at(g, "starts a goroutine"))
			}
			return true
		})
		s.uses(func(n *ast.SelectorExpr, pkg string) {
			if pkg == "sync" && n.Sel.Name == "WaitGroup" {
				found = append(found, t.at(n, "has goroutines to wait for"))
			}
		})
	}
	return found
}

func plantedCodec() []map[string]string {
	return []map[string]string{
		{"codec/batch/a.go": "package batch\nimport _ \"os\"\n"},
		{"codec/batch/a.go": "package batch\nimport _ \"net/http\"\n"},
		{"codec/batch/a.go": "package batch\nimport _ \"log/slog\"\n"},
		{"codec/batch/a.go": "package batch\nfunc f() { go f() }\n"},
		{"codec/batch/a.go": "package batch\nimport \"sync\"\nvar wg sync.WaitGroup\n"},
	}
}

func checkInit(t *tree) (found []violation) {
	for _, s := range t.sources {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				found = append(found, t.at(f, "init function"))
			}
		}
	}
	return found
}

func plantedInit() []map[string]string {
	return []map[string]string{
		{"engine/a.go": "package engine\nfunc init() {}\n"},
		{"engine/a_test.go": "package engine\nfunc init() {}\n"},
	}
}

func checkPanics(t *tree) (found []violation) {
	for _, s := range t.sources {
		if s.test || s.command {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok || len(c.Args) != 1 {
				return true
			}
			if name, ok := c.Fun.(*ast.Ident); ok && name.Name == "panic" && name.Obj == nil &&
				!saysBUG(c.Args[0]) && !goesOn(c.Args[0]) && !unwinds(s, c.Args[0]) {
				found = append(found, t.at(c, `panic whose text does not begin with "BUG:"`))
			}
			return true
		})
	}
	return found
}

// saysBUG tells whether the leftmost text of x, or of the first argument where x is a call, begins with "BUG:".
func saysBUG(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.BasicLit:
		return strings.HasPrefix(x.Value, `"BUG:`) || strings.HasPrefix(x.Value, "`BUG:")
	case *ast.BinaryExpr:
		return saysBUG(x.X)
	case *ast.ParenExpr:
		return saysBUG(x.X)
	case *ast.CallExpr:
		return len(x.Args) > 0 && saysBUG(x.Args[0])
	default:
		return false
	}
}

// goesOn tells whether x is what recover returned: somebody else's panic, not to be swallowed.
func goesOn(x ast.Expr) bool {
	name, ok := x.(*ast.Ident)
	if !ok || name.Obj == nil {
		return false
	}
	from, ok := name.Obj.Decl.(*ast.AssignStmt)
	if !ok || len(from.Rhs) != 1 {
		return false
	}
	c, ok := from.Rhs[0].(*ast.CallExpr)
	if !ok {
		return false
	}
	fn, ok := c.Fun.(*ast.Ident)
	return ok && fn.Name == "recover"
}

// unwinds tells whether x is an empty struct thrown in cmd: the command line parser calls back where it wants to exit, and
// there is no other way out of it.
func unwinds(s *source, x ast.Expr) bool {
	lit, ok := x.(*ast.CompositeLit)
	return ok && len(lit.Elts) == 0 && inRoom(s.dir, "cmd")
}

func plantedPanics() []map[string]string {
	f := func(arg string) map[string]string {
		return map[string]string{"engine/a.go": "package engine\nfunc f(err error) { panic(" + arg + ") }\n"}
	}
	return []map[string]string{f("err"), f(`"no"`), f(`"no BUG:"`), f(`fmt.Sprintf("no %v", err)`), f(`err.Error() + "BUG:"`), f("done{}")}
}
