package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path"
	"slices"
	"strings"
	"unicode"
)

func checkFolders(t *tree) (found []violation) {
	seen := map[string]bool{}
	for _, name := range sortedKeys(t.texts) {
		dir := path.Dir(name)
		if dir == "." || seen[dir] {
			continue
		}
		seen[dir] = true
		parts := strings.Split(dir, "/")
		if i := slices.Index(parts, "testdata"); i >= 0 {
			parts = parts[:i] // data is laid out as its tests like
		}
		if len(parts) == 0 || slices.Contains(hiddenFolders(), parts[0]) {
			continue
		}
		if !slices.Contains(topLevel(), parts[0]) {
			found = append(found, violation{dir, "no such room; the rooms are " + strings.Join(topLevel(), " ")})
		}
		limit := maxDepth
		if parts[0] == "cmd" {
			limit = maxDepthCmd
		}
		if len(parts) > limit {
			found = append(found, violation{dir, fmt.Sprintf("%d levels below the root, %d allowed", len(parts), limit)})
		}
	}
	return found
}

func plantedFolders() []map[string]string {
	return []map[string]string{
		{"pkg/a/a.go": "package a\n"},
		{"seglog/a.go": "package seglog\n"},
		{"scripts/x.sh": ""},
		{"engine/lane/ring/a.go": "package ring\n"},
		{"cmd/shardmill/serve/http/a.go": "package http\n"},
		{"testdata.d/x": ""},
	}
}

func checkNames(t *tree) (found []violation) {
	for _, s := range t.sources {
		for _, name := range []string{s.file.Name.Name, path.Base(s.dir)} {
			name = strings.TrimSuffix(name, "_test")
			ends := func(ending string) bool { return strings.HasSuffix(name, ending) }
			if slices.Contains(bannedNames(), name) || slices.ContainsFunc(bannedEndings(), ends) {
				found = append(found, t.at(s.file, "package name %s", name))
			}
		}
	}
	return found
}

func plantedNames() []map[string]string {
	return []map[string]string{
		{"engine/util/a.go": "package util\n"},
		{"engine/text/a.go": "package textutil\n"},
		{"engine/types/a.go": "package lane\n"},
		{"internal/common/a_test.go": "package common_test\n"},
	}
}

func checkSizes(t *tree) (found []violation) {
	for _, s := range t.sources {
		if s.generated {
			continue
		}
		if s.lines > maxFileLines {
			found = append(found, violation{s.path, fmt.Sprintf("%d lines, %d allowed", s.lines, maxFileLines)})
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := t.line(f.End()) - t.line(f.Pos()) - 1
			if lines > maxFunctionLines && !t.excused(s, f) {
				found = append(found, t.at(f, "function %s has %d lines, %d allowed", f.Name.Name, lines, maxFunctionLines))
			}
		}
	}
	return found
}

func (t *tree) line(p token.Pos) int { return t.fset.Position(p).Line }

// excused tells whether the function carries a nolint for its length, with a reason, above it or on its line.
func (t *tree) excused(s *source, f *ast.FuncDecl) bool {
	for _, group := range s.file.Comments {
		for _, c := range group.List {
			at := t.line(c.Pos())
			rest, ok := strings.CutPrefix(c.Text, "//nolint:")
			if !ok || at != t.line(f.Pos()) && (f.Doc == nil || c.Pos() < f.Doc.Pos() || c.Pos() > f.Pos()) {
				continue
			}
			linters, reason, _ := strings.Cut(rest, "//")
			if slices.Contains(strings.FieldsFunc(linters, func(r rune) bool { return r == ',' || r == ' ' }), "funlen") &&
				strings.TrimSpace(reason) != "" {
				return true
			}
		}
	}
	return false
}

func plantedSizes() []map[string]string {
	long := "func f() {\n" + strings.Repeat("\tf()\n", maxFunctionLines+1) + "}\n"
	return []map[string]string{
		{"engine/a.go": "package engine\n" + strings.Repeat("\n", maxFileLines)},
		{"engine/a_test.go": "package engine\n" + strings.Repeat("\n", maxFileLines)},
		{"engine/a.go": "package engine\n" + long},
		{"engine/a.go": "package engine\n//nolint:funlen\n" + long},
		{"engine/a.go": "package engine\n//nolint:errcheck // a reason for something else\n" + long},
	}
}

// checkComments wants one comment a package, in a file that is no test unless there are only tests.
func checkComments(t *tree) (found []violation) {
	type pkg struct{ comments, code int }
	pkgs := map[string]*pkg{}
	for _, s := range t.sources {
		p := pkgs[s.dir]
		if p == nil {
			p = &pkg{}
			pkgs[s.dir] = p
		}
		if s.test || builtByHand(s.file) {
			continue
		}
		p.code++
		if s.file.Doc == nil {
			continue
		}
		p.comments++
		want := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" {
			want = "Command " + path.Base(s.dir) + " "
		}
		if !strings.HasPrefix(s.file.Doc.Text(), want) {
			found = append(found, t.at(s.file, "package comment does not begin with %q", want))
		}
	}
	for _, dir := range sortedKeys(pkgs) {
		if p := pkgs[dir]; p.code > 0 && p.comments != 1 {
			found = append(found, violation{dir, fmt.Sprintf("%d package comments, one wanted", p.comments)})
		}
	}
	return found
}

func plantedComments() []map[string]string {
	return []map[string]string{
		{"engine/a.go": "package engine\n"},
		{"engine/a.go": "// A comment of something else.\n\npackage engine\n"},
		{"engine/a.go": "// Engine runs.\npackage engine\n"},
		{"engine/a.go": "// Package engine is.\npackage engine\n", "engine/b.go": "// Package engine is more.\npackage engine\n"},
		{"engine/a_test.go": "// Package engine is.\npackage engine\n", "engine/b.go": "package engine\n"},
		{"cmd/shardmill/main.go": "// Package main is.\npackage main\n"},
	}
}

// checkActions wants each API action in a file of its name. An action is a method of API that is exported or answers an
// awshttp.Call; api.go, which holds the table, is exempt.
func checkActions(t *tree) (found []violation) {
	for _, s := range t.sources {
		if s.test || s.generated || path.Dir(s.dir) != "transport" || !strings.HasSuffix(s.dir, "api") || path.Base(s.path) == "api.go" {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !isAction(f) {
				continue
			}
			if want := snake(f.Name.Name) + ".go"; path.Base(s.path) != want {
				found = append(found, t.at(f, "action %s lies in %s, not in %s", f.Name.Name, path.Base(s.path), want))
			}
		}
	}
	return found
}

func isAction(f *ast.FuncDecl) bool {
	if f.Recv == nil || len(f.Recv.List) != 1 || !isPointerTo(f.Recv.List[0].Type, "API") {
		return false
	}
	params, results := f.Type.Params.List, f.Type.Results
	answers := len(params) == 1 && isPointerTo(params[0].Type, "Call") && results != nil && len(results.List) == 1
	return f.Name.IsExported() || answers
}

func isPointerTo(x ast.Expr, name string) bool {
	star, ok := x.(*ast.StarExpr)
	if !ok {
		return false
	}
	switch x := star.X.(type) {
	case *ast.Ident:
		return x.Name == name
	case *ast.SelectorExpr:
		return x.Sel.Name == name
	default:
		return false
	}
}

func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func plantedActions() []map[string]string {
	f := func(file, fn string) map[string]string {
		return map[string]string{file: "package kinesisapi\n" + fn + "\n"}
	}
	return []map[string]string{
		f("transport/kinesisapi/records.go", "func (a *API) PutRecords() {}"),
		f("transport/kinesisapi/records.go", "func (a *API) putRecords(c *awshttp.Call) error { return nil }"),
		f("transport/kinesisapi/put_records.go", "func (a *API) PutRecords() {}\nfunc (a *API) PutRecord() {}"),
		f("transport/videoapi/get_dash.go", "func (a *API) GetHLS() {}"),
	}
}

// checkTexts looks for what only exists where the project was worked on. The words are put together here so that this
// file does not have them. Where the environment names a package mirror, its host is looked for too.
func checkTexts(t *tree) (found []violation) {
	banned := []string{"/wo" + "rk/", "/ro" + "ot/", "/tmp/br" + "ief", "proxy.gol" + "ang.org", "registry.npm" + "js.org", "pypi" + ".org/simple"}
	for _, env := range []string{"GOPROXY", "PIP_INDEX_URL", "NPM_CONFIG_REGISTRY"} {
		if host := hostOf(os.Getenv(env)); host != "" {
			banned = append(banned, host)
		}
	}
	for _, name := range sortedKeys(t.texts) {
		if path.Base(name) == "go.sum" {
			continue
		}
		n := 0
		for line := range strings.Lines(string(t.texts[name])) {
			n++
			for _, b := range banned {
				if strings.Contains(line, b) {
					found = append(found, violation{fmt.Sprintf("%s:%d", name, n), "mentions " + b})
				}
			}
		}
	}
	return found
}

func hostOf(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return ""
	}
	host := rest[:len(rest)-len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"))]
	if !strings.Contains(host, ".") {
		return ""
	}
	return host
}

func plantedTexts() []map[string]string {
	return []map[string]string{
		{"README.md": "see /wo" + "rk/shared\n"},
		{".ci/run": "export GOPROXY=https://proxy.gol" + "ang.org\n"},
		{"engine/testdata/x.txt": "\n\n/ro" + "ot/x\n"},
	}
}

// plantedClean is a small house that no law may object to.
func plantedClean() map[string]string {
	return map[string]string{
		"README.md": "A house.\n",
		".ci/run":   "go test ./...\n",
		"go.sum":    "",
		"cmd/x/main.go": "// Command x runs.\npackage main\nimport (\n\t\"flag\"\n\t\"fmt\"\n\t\"os\"\n\t\"" + module + "engine/lane\"\n)\nfunc main() { flag.Parse(); fmt.Println(lane.X); os.Exit(1) }\n" +
			"func f() { defer func() { if r := recover(); r != nil { panic(r) } }(); panic(done{}) }\n",
		"codec/batch/a.go": "// Package batch is pure.\npackage batch\nimport \"time\"\n" +
			"// F is.\nfunc F(t time.Time) { if t.IsZero() { panic(\"BUG: zero\") } }\n",
		"engine/lane/a.go": "// Package lane is a log.\npackage lane\nimport (\n\t\"sync/atomic\"\n\t\"os\"\n\t\"" + module + "internal/vfs\"\n)\n" +
			"// X is.\nvar X atomic.Uint64\nvar _ = os.Getpagesize\nvar _ vfs.FS\nfunc f(os struct{ Exit func() }) { os.Exit() }\n",
		"engine/lane/a_test.go":             "package lane_test\nimport (\n\t\"os\"\n\t\"math/rand/v2\"\n\t\"log/slog\"\n)\nfunc f() { os.ReadFile(\"x\"); panic(1) }\n",
		"engine/lane/testdata/deep/er/x.go": "not Go\n",
		"engine/lane/long_gen.go":           "// Code generated by x. DO NOT EDIT.\n\npackage lane\n" + strings.Repeat("\n", 2*maxFileLines),
		"engine/lane/long.go":               "package lane\n\n// g is long.\n//\n//nolint:funlen // one table\nfunc g() {\n" + strings.Repeat("\tg()\n", 2*maxFunctionLines) + "}\n",
		"internal/vfs/a.go": "// Package vfs is the disk.\npackage vfs\nimport \"fmt\"\n// FS is.\ntype FS any\n" +
			"type k int\nconst (\n\tA k = iota\n\tB\n)\n// X and Y are.\nfunc X() {}\nfunc Y() {}\nfunc (k) Z() {}\nfunc f() { panic(fmt.Sprintf(\"BUG: %d\", 1)) }\n",
		"internal/awsmodel/main.go":             "// Command awsmodel generates.\npackage main\nimport (\n\t\"flag\"\n\t\"os\"\n)\nfunc main() { flag.Parse(); os.Exit(2); panic(1) }\n",
		"transport/kinesisapi/api.go":           "// Package kinesisapi answers.\npackage kinesisapi\n// API is.\ntype API struct{}\n// Service is.\nfunc (a *API) Service() {}\n",
		"transport/kinesisapi/put_records.go":   "package kinesisapi\n// PutRecords is.\nfunc (a *API) PutRecords() {}\nfunc (a *API) direct(c *Call) (bool, error) { return false, nil }\n",
		"transport/kinesisapi/put_record.go":    "package kinesisapi\nfunc (a *API) putRecord(c *awshttp.Call) error { return nil }\n",
		"transport/nativeclient/client_test.go": "package nativeclient\nimport _ \"" + module + "transport/native\"\n",
	}
}
