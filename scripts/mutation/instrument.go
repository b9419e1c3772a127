package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is one change. All of them are compiled into one test binary, each
// behind a switch: building one binary for each would take a hundred times as
// long.
type mutant struct {
	id       int
	file     string // base name
	line     int
	function string
	kind     string
	text     string // the source that is changed, on one line
	begin    int    // offset in the file, for a mutant that does not compile
	end      int
}

// key names a mutant so that it is found again when lines have moved.
func (m mutant) key() string { return fmt.Sprintf("%s %s: %s: %s", m.file, m.function, m.kind, m.text) }

// edit is text to put in: a prefix before what begins there, a suffix behind
// what ends there, or in place of what lies between.
type edit struct {
	at, other int // offset, and the other end of the range that it belongs to
	order     int // of edits with one range: the earlier one, of what contains the other, is further outside
	suffix    bool
	replace   int // octets that are replaced
	text      string
	mutant    int
}

// instrument finds the mutants of a file and writes the source that has them.
type instrument struct {
	set      *token.FileSet
	file     string
	source   []byte
	function string
	disabled map[string]bool // keys of mutants that do not compile
	mutants  *[]mutant
	edits    []edit
	order    int
}

func instrumentFile(path string, disabled map[string]bool, mutants *[]mutant) ([]byte, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	in := &instrument{set: token.NewFileSet(), file: filepath.Base(path), source: source, disabled: disabled, mutants: mutants}
	tree, err := parser.ParseFile(in.set, path, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, d := range tree.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			in.function = f.Name.Name
			ast.Inspect(f.Body, in.node)
		}
	}
	return in.apply(), nil
}

func (in *instrument) offset(p token.Pos) int { return in.set.Position(p).Offset }

// add registers a mutant, and reports whether it may be compiled in.
func (in *instrument) add(kind string, n ast.Node) (id int, ok bool) {
	begin, end := in.offset(n.Pos()), in.offset(n.End())
	text := strings.Join(strings.Fields(string(in.source[begin:end])), " ")
	if len(text) > 100 {
		text = text[:100] + "..."
	}
	m := mutant{len(*in.mutants) + 1, in.file, in.set.Position(n.Pos()).Line, in.function, kind, text, begin, end}
	if in.disabled[fmt.Sprintf("%s@%d", m.key(), begin)] {
		return 0, false
	}
	*in.mutants = append(*in.mutants, m)
	return m.id, true
}

func (in *instrument) wrap(id int, n ast.Node, before, after string) {
	begin, end := in.offset(n.Pos()), in.offset(n.End())
	in.order++
	in.edits = append(in.edits,
		edit{at: begin, other: end, order: in.order, text: before, mutant: id},
		edit{at: end, other: begin, order: in.order, suffix: true, text: after, mutant: id})
}

func (in *instrument) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		in.condition(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			in.condition(n.Cond)
		}
	case *ast.SwitchStmt:
		in.switched(n)
	case *ast.BlockStmt:
		in.statements(n.List)
	case *ast.CaseClause:
		in.statements(n.Body)
	case *ast.BinaryExpr:
		in.binary(n)
	case *ast.BasicLit:
		if n.Kind == token.INT {
			in.number(n)
		}
	case *ast.Ident:
		if n.Name == "true" || n.Name == "false" {
			if id, ok := in.add("the other answer", n); ok {
				in.wrap(id, n, "(", fmt.Sprintf(" != active(%d))", id))
			}
		}
	case *ast.ArrayType, *ast.GenDecl, *ast.CompositeLit:
		return in.composite(n)
	}
	return true
}

// composite passes over types and declarations, where nothing runs.
func (in *instrument) composite(n ast.Node) bool {
	c, ok := n.(*ast.CompositeLit)
	if !ok {
		return false
	}
	for _, e := range c.Elts {
		ast.Inspect(e, in.node)
	}
	return false
}

func (in *instrument) condition(c ast.Expr) {
	if id, ok := in.add("never", c); ok {
		in.wrap(id, c, "(", fmt.Sprintf(") && !active(%d)", id))
	}
	if id, ok := in.add("negated", c); ok {
		in.wrap(id, c, "(", fmt.Sprintf(") != active(%d)", id))
	}
}

// switched treats the cases of a switch without a tag as conditions, and drops
// those of one with a tag.
func (in *instrument) switched(s *ast.SwitchStmt) {
	for _, clause := range s.Body.List {
		c := clause.(*ast.CaseClause)
		if s.Tag == nil {
			for _, e := range c.List {
				in.condition(e)
			}
			continue
		}
		if len(c.Body) == 0 || len(c.List) == 0 {
			continue
		}
		begin, end := c.Body[0], c.Body[len(c.Body)-1]
		if id, ok := in.add("case dropped", c.List[0]); ok {
			in.order++
			in.edits = append(in.edits,
				edit{at: in.offset(begin.Pos()), other: in.offset(end.End()), order: in.order, text: fmt.Sprintf("if !active(%d) {", id), mutant: id},
				edit{at: in.offset(end.End()), other: in.offset(begin.Pos()), order: in.order, suffix: true, text: "}", mutant: id})
		}
	}
}

func (in *instrument) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE || isBlank(s) {
				continue
			}
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.BranchStmt:
		default:
			continue
		}
		if id, ok := in.add("deleted", s); ok {
			in.wrap(id, s, fmt.Sprintf("if !active(%d) { ", id), " }")
		}
	}
}

func isBlank(s *ast.AssignStmt) bool {
	for _, e := range s.Lhs {
		if id, ok := e.(*ast.Ident); !ok || id.Name != "_" {
			return false
		}
	}
	return true
}

// swapped are the calls that stand for operators of one mutant.
var swapped = map[token.Token]string{
	token.LSS: "less", token.LEQ: "lessEqual", token.GTR: "greater", token.GEQ: "greaterEqual",
	token.ADD: "plus", token.SUB: "minus",
}

func (in *instrument) binary(b *ast.BinaryExpr) {
	switch b.Op {
	case token.LAND, token.LOR:
		op, with := " || active(%d))", "true"
		if b.Op == token.LOR {
			op, with = " && !active(%d))", "false"
		}
		for _, operand := range []ast.Expr{b.X, b.Y} {
			if id, ok := in.add(with+" for an operand", operand); ok {
				in.wrap(id, operand, "((", ")"+fmt.Sprintf(op, id))
			}
		}
	case token.EQL, token.NEQ:
		if id, ok := in.add("negated comparison", b); ok {
			in.wrap(id, b, "((", fmt.Sprintf(") != active(%d))", id))
		}
	case token.LSS, token.LEQ, token.GTR, token.GEQ, token.ADD, token.SUB:
		id, ok := in.add("another operator", b)
		if !ok {
			return
		}
		in.wrap(id, b, fmt.Sprintf("%s(%d, ", swapped[b.Op], id), ")")
		at := in.offset(b.OpPos)
		in.edits = append(in.edits, edit{at: at, other: at, replace: len(b.Op.String()), text: ",", mutant: id})
	}
}

func (in *instrument) number(n *ast.BasicLit) {
	if id, ok := in.add("one more", n); ok {
		in.wrap(id, n, fmt.Sprintf("oneMore(%d, ", id), ")")
	}
}

// apply writes the source with all edits.
func (in *instrument) apply() []byte {
	slices.SortStableFunc(in.edits, func(a, b edit) int {
		switch {
		case a.at != b.at:
			return a.at - b.at
		case a.suffix != b.suffix: // what ends here comes before what begins here
			if a.suffix {
				return -1
			}
			return 1
		case a.other != b.other:
			// Of prefixes the widest range first, of suffixes the narrowest.
			return b.other - a.other
		case a.suffix:
			return b.order - a.order
		}
		return a.order - b.order
	})
	var out bytes.Buffer
	done := 0
	for _, e := range in.edits {
		out.Write(in.source[done:e.at])
		out.WriteString(e.text)
		done = e.at + e.replace
	}
	out.Write(in.source[done:])
	return out.Bytes()
}
