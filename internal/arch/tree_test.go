package arch

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/shardmill/shardmill/"

// maxText bounds the files whose text is looked at; larger ones are data.
const maxText = 1 << 20

// tree is the module's files, by slash path from its root.
type tree struct {
	fset    *token.FileSet
	texts   map[string][]byte
	sources []*source // sorted by path
}

// source is one Go file.
type source struct {
	path      string
	dir       string
	file      *ast.File
	lines     int
	test      bool
	generated bool // says so before its package clause
	command   bool // a program outside cmd that generates code, or a file that is built by hand
	imports   map[string]string
}

// parse builds a tree. Files whose name begins with "_" or "." and those below testdata are text only, as for the go
// command.
func parse(texts map[string][]byte) (*tree, error) {
	t := &tree{fset: token.NewFileSet(), texts: texts}
	for _, name := range sortedKeys(texts) {
		base := path.Base(name)
		if path.Ext(name) != ".go" || strings.ContainsAny(base[:1], "._") || inTestdata(name) {
			continue
		}
		f, err := parser.ParseFile(t.fset, name, texts[name], parser.ParseComments)
		if err != nil {
			return nil, err
		}
		s := &source{
			path: name, dir: path.Dir(name), file: f,
			lines:     t.fset.File(f.Pos()).LineCount(),
			test:      strings.HasSuffix(name, "_test.go"),
			generated: ast.IsGenerated(f),
			imports:   map[string]string{},
		}
		s.command = builtByHand(f) || slices.Contains(generators(), s.dir)
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return nil, err
			}
			s.imports[localName(i, p)] = p
		}
		t.sources = append(t.sources, s)
	}
	return t, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func inTestdata(name string) bool { return slices.Contains(strings.Split(name, "/"), "testdata") }

func builtByHand(f *ast.File) bool {
	for _, group := range f.Comments {
		if group.Pos() > f.Package {
			break
		}
		for _, c := range group.List {
			if x, err := constraint.Parse(c.Text); err == nil && x.String() == "ignore" {
				return true
			}
		}
	}
	return false
}

// localName is the name a file calls an import by; for one without a name, the last element that is no version.
func localName(i *ast.ImportSpec, p string) string {
	if i.Name != nil {
		return i.Name.Name
	}
	base := path.Base(p)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(p))
	}
	return base
}

// inRoom tells whether dir is room or lies below it; the room "" is the house.
func inRoom(dir, room string) bool {
	return room == "" || dir == room || strings.HasPrefix(dir, room+"/")
}

// violation is one breach: where, and what.
type violation struct{ where, what string }

func (t *tree) at(n ast.Node, format string, args ...any) violation {
	p := t.fset.Position(n.Pos())
	return violation{fmt.Sprintf("%s:%d", p.Filename, p.Line), fmt.Sprintf(format, args...)}
}

// uses calls fn for every mention of a name of an imported package.
func (s *source) uses(fn func(n *ast.SelectorExpr, pkg string)) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok || x.Obj != nil { // a variable of that name
			return true
		}
		if pkg, ok := s.imports[x.Name]; ok {
			fn(sel, pkg)
		}
		return true
	})
}

// load reads the module this test lies in.
func load(t *testing.T) *tree {
	t.Helper()
	root := moduleRoot(t)
	ignored := ignoreRules(t, root)
	texts := map[string][]byte{}
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile by an editor or another test
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case rel == ".":
			return nil
		case e.IsDir() && (rel == ".git" || ignored(rel)):
			return filepath.SkipDir
		case !e.Type().IsRegular() || ignored(rel):
			return nil
		}
		text, err := readText(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		texts[rel] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := parse(texts)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// readText returns a file's bytes, none for large and binary ones.
func readText(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil || info.Size() > maxText {
		return nil, err
	}
	text, err := os.ReadFile(name)
	if err != nil || bytes.IndexByte(text, 0) >= 0 {
		return nil, err
	}
	return text, nil
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above this test")
		}
		dir = up
	}
}

// ignoreRules reads the forms of .gitignore that this module uses: /name, /name/ and *.ext.
func ignoreRules(t *testing.T, root string) func(rel string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var exact, suffixes []string
	for rule := range strings.Lines(string(text)) {
		rule = strings.TrimSpace(rule)
		switch {
		case strings.HasPrefix(rule, "/"):
			exact = append(exact, strings.Trim(rule, "/"))
		case strings.HasPrefix(rule, "*."):
			suffixes = append(suffixes, rule[1:])
		case rule != "" && rule[0] != '#':
			t.Fatalf(".gitignore has %q, which internal/arch does not read", rule)
		}
	}
	return func(rel string) bool {
		return slices.Contains(exact, rel) || slices.Contains(suffixes, path.Ext(rel))
	}
}
