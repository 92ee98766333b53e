package config

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Pos is a place in the file, from 1; zero when there is none.
type Pos struct{ Line, Column int }

// kind of a node, as errors spell it.
type kind string

const (
	kindNull   kind = "nothing"
	kindBool   kind = "a boolean"
	kindInt    kind = "an integer"
	kindFloat  kind = "a number with a fraction"
	kindString kind = "text"
	kindList   kind = "a list"
	kindMap    kind = "a mapping"
)

// node is a value of the file. Both YAML and JSON end up here.
type node struct {
	kind  kind
	pos   Pos
	inner Pos    // where a text's first character stands
	text  string // of a scalar, as written
	value any    // of a boolean or a number
	items []*node
	pairs []pair
}

type pair struct {
	name  string
	pos   Pos
	value *node
}

// maxDepth bounds the nesting of a file.
const maxDepth = 32

// parse reads one YAML document. Syntax is all or nothing: after its first
// error there is nothing to go on with.
func parse(data []byte) (root *node, problem *Problem) {
	defer func() {
		// The file is the operator's own, but a typing error may not end in
		// a stack trace.
		if p := recover(); p != nil {
			problem = &Problem{Message: fmt.Sprintf("the file is not YAML: %v", p)}
		}
	}()
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		problem = &Problem{Message: "the file is not YAML: " + err.Error()}
		if syntax, ok := errors.AsType[yaml.Error](err); ok {
			problem.Message = "the file is not YAML: " + syntax.GetMessage()
			problem.Pos = posOf(syntax.GetToken())
		}
		return nil, problem
	}
	var docs []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType {
			docs = append(docs, d.Body)
		}
	}
	switch len(docs) {
	case 0:
		return nil, &Problem{Message: "the file is empty"}
	case 1:
		return convert(docs[0], 0)
	}
	second := &Problem{Pos: posOf(docs[1].GetToken()), Message: "a second document begins here; the file may have one"}
	if n, _ := convert(docs[1], 0); n != nil {
		second.Pos = n.pos
	}
	return nil, second
}

func posOf(t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return Pos{}
	}
	return Pos{t.Position.Line, t.Position.Column}
}

// convert takes over what JSON could also say. Anchors, tags and merges would
// let a line mean something that is written elsewhere.
func convert(n ast.Node, depth int) (*node, *Problem) {
	pos := posOf(n.GetToken())
	out := &node{pos: pos, inner: pos}
	if depth > maxDepth {
		return nil, &Problem{Pos: out.pos, Message: fmt.Sprintf("nested deeper than %d", maxDepth)}
	}
	switch n := n.(type) {
	case *ast.NullNode:
		out.kind = kindNull
	case *ast.BoolNode:
		out.kind, out.value, out.text = kindBool, n.Value, n.Token.Value
	case *ast.IntegerNode:
		out.kind, out.value, out.text = kindInt, n.Value, n.Token.Value
	case *ast.FloatNode:
		out.kind, out.value, out.text = kindFloat, n.Value, n.Token.Value
	case *ast.StringNode:
		out.kind, out.text = kindString, n.Value
		if n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType {
			out.inner.Column++
		}
	case *ast.LiteralNode:
		out.kind, out.text = kindString, n.Value.Value
		out.inner = Pos{pos.Line + 1, 1}
	case *ast.SequenceNode:
		return out, out.list(n, depth)
	case *ast.MappingNode:
		return out, out.mapping(n.Values, depth)
	case *ast.MappingValueNode:
		return out, out.mapping([]*ast.MappingValueNode{n}, depth)
	default:
		return nil, &Problem{Pos: out.pos, Message: fmt.Sprintf("%s is not supported here; write the value itself", n.Type())}
	}
	return out, nil
}

func (n *node) list(seq *ast.SequenceNode, depth int) *Problem {
	n.kind = kindList
	for _, v := range seq.Values {
		item, problem := convert(v, depth+1)
		if problem != nil {
			return problem
		}
		n.items = append(n.items, item)
	}
	return nil
}

func (n *node) mapping(values []*ast.MappingValueNode, depth int) *Problem {
	n.kind = kindMap
	if len(values) > 0 {
		n.pos = posOf(values[0].Key.GetToken())
	}
	for _, v := range values {
		if v.Key.IsMergeKey() {
			return &Problem{Pos: posOf(v.Key.GetToken()), Message: "merge keys are not supported; write the fields themselves"}
		}
		key, problem := convert(v.Key, depth+1)
		if problem != nil {
			return problem
		}
		value, problem := convert(v.Value, depth+1)
		if problem != nil {
			return problem
		}
		if value.kind == kindNull {
			value.pos = key.pos // where nothing is written there is no place
		}
		n.pairs = append(n.pairs, pair{name: key.text, pos: key.pos, value: value})
	}
	return nil
}

// plain returns the value as encoding/json would, for a schema validator.
func (n *node) plain() any {
	switch n.kind {
	case kindBool, kindFloat, kindInt:
		return n.value
	case kindString:
		return n.text
	case kindList:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = item.plain()
		}
		return out
	case kindMap:
		out := make(map[string]any, len(n.pairs))
		for _, p := range n.pairs {
			out[p.name] = p.value.plain()
		}
		return out
	case kindNull:
	}
	return nil
}
