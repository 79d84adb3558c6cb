package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// fault is one change of one operator.
type fault struct {
	file   string // from the root of the module
	place  string // file:line:column
	change string // "< to <="
	offset int
	old    string
	new    string
}

// apply returns the source with the fault in it.
func (f fault) apply(sound []byte) []byte {
	return []byte(string(sound[:f.offset]) + f.new + string(sound[f.offset+len(f.old):]))
}

// swaps are what a two-sided operator is changed into: its boundary and its
// opposite, or its counterpart.
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

// faultsOf lists the faults that can be planted in the package of a folder, in
// the order of its files.
func faultsOf(pkg, only string) ([]fault, error) {
	paths, err := filepath.Glob(filepath.Join(pkg, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []fault
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || !strings.Contains(filepath.Base(path), only) {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return nil, err
		}
		plant := func(pos token.Pos, old, changed string) {
			p := files.Position(pos)
			all = append(all, fault{
				file: path, place: fmt.Sprintf("%s:%d:%d", path, p.Line, p.Column),
				change: strings.TrimSpace(fmt.Sprintf("%s to %s", old, changed)), offset: p.Offset, old: old, new: changed,
			})
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				for _, to := range swaps[n.Op] {
					plant(n.OpPos, n.Op.String(), to.String())
				}
			case *ast.IncDecStmt:
				plant(n.TokPos, n.Tok.String(), swaps[n.Tok][0].String())
			case *ast.AssignStmt:
				for _, to := range swaps[n.Tok] {
					plant(n.TokPos, n.Tok.String(), to.String())
				}
			case *ast.UnaryExpr:
				if n.Op == token.NOT || n.Op == token.SUB {
					plant(n.OpPos, n.Op.String(), "")
				}
			}
			return true
		})
	}
	return all, nil
}
