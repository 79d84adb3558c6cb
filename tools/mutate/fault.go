package main

import (
	"context"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// variable names the fault to wake.
const variable = "TITRATE_MUTANT"

// fault is one change of one operator.
type fault struct {
	id     int    // from 1
	place  string // file:line:column
	change string // "< to <="
}

// swaps are what an operator is changed into: its boundary and its opposite, or
// its counterpart. helper.go.txt has the functions that do it.
var swaps = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.ADD: {token.SUB}, token.SUB: {token.ADD},
	token.MUL: {token.QUO}, token.QUO: {token.MUL}, token.REM: {token.MUL},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.INC: {token.DEC}, token.DEC: {token.INC},
	token.ADD_ASSIGN: {token.SUB_ASSIGN}, token.SUB_ASSIGN: {token.ADD_ASSIGN},
}

// eager are the operators that a helper function can apply: both sides are
// evaluated anyway, and both have one type.
var eager = map[token.Token]string{
	token.LSS: "Less", token.LEQ: "AtMost", token.GTR: "More", token.GEQ: "AtLeast",
	token.ADD: "Add", token.SUB: "Subtract", token.MUL: "Multiply", token.QUO: "Divide", token.REM: "Remainder",
}

// plant returns the faults of the package in root/pkg, and its files with all of
// them in it, asleep.
func plant(ctx context.Context, root, pkg, only string) ([]fault, map[string][]byte, error) {
	s, err := load(ctx, root, pkg)
	if err != nil {
		return nil, nil, err
	}
	g := &gardener{source: s, root: root}
	files := map[string][]byte{filepath.Join(root, pkg, helperFile): []byte(strings.Replace(helpers, "package p", "package "+s.name, 1))}
	paths := make([]string, 0, len(s.trees))
	for path := range s.trees {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	for _, path := range paths {
		if strings.Contains(filepath.Base(path), only) {
			g.text = s.texts[path]
			files[path] = []byte(string(g.text[:g.at(s.trees[path].Name.Pos())]) + g.render(s.trees[path], s.trees[path].Name.Pos(), s.trees[path].FileEnd))
		}
	}
	slices.SortFunc(g.faults, func(a, b fault) int { return a.id - b.id })
	return g.faults, files, nil
}

// gardener rewrites one file after the other.
type gardener struct {
	*source
	root   string
	text   []byte
	faults []fault
}

func (g *gardener) at(p token.Pos) int { return g.files.Position(p).Offset }

// render returns the text from begin to end of the node, with faults in the
// outermost places within it that can have one, which render what is in them.
func (g *gardener) render(node ast.Node, begin, end token.Pos) string {
	var b strings.Builder
	from := g.at(begin)
	ast.Inspect(node, func(n ast.Node) bool {
		if n == nil || n == node {
			return true
		}
		if d, ok := n.(*ast.GenDecl); ok && d.Tok == token.CONST {
			return false
		}
		if e, ok := n.(ast.Expr); ok && g.types[e].Value != nil {
			return false
		}
		text, ok := g.rewrite(n)
		if !ok {
			return true
		}
		b.Write(g.text[from:g.at(n.Pos())])
		b.WriteString(text)
		from = g.at(n.End())
		return false
	})
	b.Write(g.text[from:g.at(end)])
	return b.String()
}

func (g *gardener) expr(e ast.Expr) string {
	if g.types[e].Value == nil {
		if text, ok := g.rewrite(e); ok {
			return text
		}
	}
	return g.render(e, e.Pos(), e.End())
}

// rewrite returns the node with its faults in it, or false if it can have none.
func (g *gardener) rewrite(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		return g.binary(n)
	case *ast.UnaryExpr:
		name := map[token.Token]string{token.NOT: "Not", token.SUB: "Negate"}[n.Op]
		if name == "" {
			return "", false
		}
		id := g.fault(n.OpPos, n.Op.String(), "nothing")
		return fmt.Sprintf("mutant%s(%d, %s)", name, id, g.expr(n.X)), true
	case *ast.IncDecStmt:
		id := g.fault(n.TokPos, n.Tok.String(), swaps[n.Tok][0].String())
		x := g.expr(n.X)
		return fmt.Sprintf("func() { if mutantAwake == %d { %s%s } else { %s%s } }()", id, x, swaps[n.Tok][0], x, n.Tok), true
	case *ast.AssignStmt:
		if len(swaps[n.Tok]) == 0 || g.isString(n.Lhs[0]) {
			return "", false
		}
		to := swaps[n.Tok][0]
		id := g.fault(n.TokPos, n.Tok.String(), to.String())
		x, y := g.expr(n.Lhs[0]), g.expr(n.Rhs[0])
		return fmt.Sprintf("func() { if mutantAwake == %d { %s %s %s } else { %s %s %s } }()", id, x, to, y, x, n.Tok, y), true
	}
	return "", false
}

func (g *gardener) binary(n *ast.BinaryExpr) (string, bool) {
	to := swaps[n.Op]
	if len(to) == 0 || n.Op == token.ADD && g.isString(n) {
		return "", false
	}
	first := g.fault(n.OpPos, n.Op.String(), to[0].String())
	for _, t := range to[1:] {
		g.fault(n.OpPos, n.Op.String(), t.String())
	}
	x, y := g.expr(n.X), g.expr(n.Y)
	if helper, ok := eager[n.Op]; ok {
		return fmt.Sprintf("mutant%s(%d, %s, %s)", helper, first, x, y), true
	}
	return fmt.Sprintf("(func() bool { if mutantAwake == %d { return %s %s %s }; return %s %s %s }())", first, x, to[0], y, x, n.Op, y), true
}

func (g *gardener) isString(e ast.Expr) bool {
	t := g.types[e].Type
	basic, ok := t.Underlying().(*types.Basic)
	return !ok || basic.Info()&types.IsString != 0
}

// fault writes one down and returns its number.
func (g *gardener) fault(pos token.Pos, old, changed string) int {
	p := g.files.Position(pos)
	path, err := filepath.Rel(g.root, p.Filename)
	if err != nil {
		path = p.Filename
	}
	id := len(g.faults) + 1
	g.faults = append(g.faults, fault{id: id, place: fmt.Sprintf("%s:%d:%d", path, p.Line, p.Column), change: old + " to " + changed})
	return id
}
