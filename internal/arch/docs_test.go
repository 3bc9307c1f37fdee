package arch

import (
	"go/ast"
	"go/token"
	"slices"
)

// checkDocs wants a comment at every exported name of a package that others import. One-line functions in a row share the
// comment of the first, or of the type that they directly follow; constants of a type of their own share that type's.
func checkDocs(t *tree) (found []violation) {
	for _, s := range t.sources {
		if s.test || s.generated || s.file.Name.Name == "main" {
			continue
		}
		last := 0 // the line below which a one-line function shares the comment of what is before it
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.GenDecl:
				found = append(found, t.undocumented(d)...)
				if d.Tok == token.TYPE && d.Doc != nil {
					last = t.line(d.End()) + 1
				}
			case *ast.FuncDecl:
				first, end := t.line(d.Pos()), t.line(d.End())
				documented := d.Doc != nil || first == last+1 && first == end
				if documented && first == end {
					last = end
				}
				if !documented && isPublic(d) {
					found = append(found, t.at(d, "%s has no comment", d.Name.Name))
				}
			}
		}
	}
	return found
}

// isPublic tells whether a function can be called from elsewhere, and is not just what an interface asks for.
func isPublic(f *ast.FuncDecl) bool {
	if !f.Name.IsExported() {
		return false
	}
	if f.Recv == nil {
		return true
	}
	x := f.Recv.List[0].Type
	if star, ok := x.(*ast.StarExpr); ok {
		x = star.X
	}
	switch g := x.(type) {
	case *ast.IndexExpr:
		x = g.X
	case *ast.IndexListExpr:
		x = g.X
	}
	name, ok := x.(*ast.Ident)
	return ok && name.IsExported() && !slices.Contains(plainMethods(), f.Name.Name)
}

// undocumented looks through a declaration of types, variables or constants.
func (t *tree) undocumented(d *ast.GenDecl) (found []violation) {
	if d.Doc != nil || d.Tok == token.IMPORT {
		return nil
	}
	object := func(n ast.Node, names ...*ast.Ident) {
		for _, name := range names {
			if name.IsExported() {
				found = append(found, t.at(n, "%s has no comment", name.Name))
			}
		}
	}
	last := 0 // the line below which a value shares the comment of what is before it
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Doc == nil && spec.Comment == nil {
				object(spec, spec.Name)
			}
		case *ast.ValueSpec:
			if d.Tok == token.CONST && spec.Type != nil {
				return found // an enumeration: its type says what it is
			}
			if spec.Doc != nil || spec.Comment != nil || t.line(spec.Pos()) == last+1 {
				last = t.line(spec.End())
				continue
			}
			object(spec, spec.Names...)
		}
	}
	return found
}

func plantedDocs() []map[string]string {
	f := func(text string) map[string]string {
		return map[string]string{"engine/a.go": "// Package engine is.\npackage engine\n\n" + text + "\n"}
	}
	return []map[string]string{
		f("func Open() {}"),
		f("// A is.\nfunc A() {}\n\nfunc B() {}"),
		f("// A is.\nfunc A() {\n}\nfunc B() {}"),
		f("type T struct{}"),
		f("// T is.\ntype T[X any] struct{}\n\nfunc (t *T[X]) Do() {\n}"),
		f("var X = 1"),
		f("const X = 1"),
		f("const (\n\t// X is.\n\tX = 1\n\n\tY = 2\n)"),
	}
}
