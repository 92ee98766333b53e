// Package expr compiles and runs the expressions of a configuration: the
// Common Expression Language (CEL), over a request.
//
// An expression is type-checked when it is compiled, cannot loop for ever,
// and has a bounded cost: one that would exceed it fails and names the limit.
// It sees the request and nothing else: no clock, no network, no environment.
//
// Numbers of a body are never rounded. An integer that CEL cannot hold keeps
// its digits; a number with a fraction can be compared, but not be the result
// of an argument.
package expr

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
)

// Bounds of one expression.
const (
	maxSource = 4 << 10 // characters
	maxNested = 64      // parentheses, members, calls within each other
	// MaxCost is in CEL's units: about one for each step, and for every ten
	// characters that are looked at.
	MaxCost = 200_000
)

// Result is what an expression may give.
type Result string

// The results.
const (
	Bool Result = "bool"
	Text Result = "string"
	JSON Result = "json" // anything that JSON can say without a fraction
)

// Variables that an expression may use.
const (
	VarRequest   = "request"
	VarBody      = "body"
	VarPrincipal = "principal"
	VarClaims    = "claims"
	VarScope     = "scope"
)

// Request is the variable request.
type Request struct {
	Method  string            `cel:"method"`
	Path    string            `cel:"path"`
	Host    string            `cel:"host"`
	Headers map[string]string `cel:"headers"` // names in lower case; several values joined by ", "
	Query   map[string]string `cel:"query"`   // the first value of each
	// Params are the wildcards of the route's pattern.
	Params map[string]string `cel:"params"`
}

// Principal is the variable principal.
type Principal struct {
	ID     string         `cel:"id"`
	Method string         `cel:"method"` // how it was authenticated: jwt, key, mtls, bearer, none
	Claims map[string]any `cel:"-"`      // the variable claims: what the token says
}

// Input is what the variables stand for. What an expression does not use may
// be left out.
type Input struct {
	Request   *Request
	Body      any // of ParseBody
	Principal *Principal
	Scope     string
}

var typeOf = map[string]*cel.Type{
	VarRequest:   cel.ObjectType("expr.Request"),
	VarBody:      cel.DynType,
	VarPrincipal: cel.ObjectType("expr.Principal"),
	VarClaims:    cel.MapType(cel.StringType, cel.DynType),
	VarScope:     cel.StringType,
}

// environment is everything but the variables. It takes milliseconds to make.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		ext.NativeTypes(ext.ParseStructTag("cel"), reflect.TypeFor[Request](), reflect.TypeFor[Principal]()),
		cel.ParserExpressionSizeLimit(maxSource),
		cel.ParserRecursionLimit(maxNested),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals()),
		cel.Function("string", cel.Overload("onceward_integer_to_string", []*cel.Type{digitsType}, cel.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return v.ConvertToType(types.StringType) }))),
		cel.Function("lowerAscii", asciiCase("lower", lower)),
		cel.Function("upperAscii", asciiCase("upper", upper)),
	)
})

// extended holds the environments that were asked for. There is one for each
// set of variables that a field of the configuration has.
var extended sync.Map // string → *cel.Env

func with(vars []string) (*cel.Env, error) {
	name := strings.Join(vars, ",")
	if env, ok := extended.Load(name); ok {
		return env.(*cel.Env), nil //nolint:forcetypeassert // only what is stored below
	}
	base, err := environment()
	if err != nil {
		return nil, err
	}
	var decls []cel.EnvOption
	for _, v := range vars {
		decls = append(decls, cel.Variable(v, typeOf[v]))
	}
	env, err := base.Extend(decls...)
	if err == nil {
		extended.Store(name, env)
	}
	return env, err
}

func asciiCase(name string, change func(rune) rune) cel.FunctionOpt {
	return cel.MemberOverload("string_"+name+"_ascii", []*cel.Type{cel.StringType}, cel.StringType,
		cel.UnaryBinding(func(v ref.Val) ref.Val {
			s, _ := v.Value().(string)
			return types.String(strings.Map(change, s))
		}))
}

func lower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

func upper(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r - 'a' + 'A'
	}
	return r
}

// Error is what is wrong with an expression, and where: from 1, relative to
// the expression.
type Error struct {
	Line, Column int
	Message      string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message)
}

// Program is a compiled expression, safe for concurrent use.
type Program struct {
	Source string
	// Path is set when the expression is a member of the body and nothing
	// else: body.to gives ["to"]. Its value can be passed on as it is written.
	Path []string
	// Members of the body's top level that the expression names. Whole is set
	// when it may look at others, too.
	Members map[string]Use
	Whole   bool
	// Static is the type that the checker found: bool, int, uint, double,
	// string, bytes, dyn, list, map and so on.
	Static string
	// Constant is the value of an expression that is a literal.
	Constant any

	program cel.Program
}

// Use is how an expression names a member of the body.
type Use int

// Optional is tested with has(); Needed is read.
const (
	Optional Use = iota
	Needed
)

// Compile checks an expression that may use the variables vars and must give
// want. Its errors are *Error, joined.
func Compile(source string, want Result, vars ...string) (*Program, error) {
	env, err := with(vars)
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(source)
	if issues.Err() != nil {
		return nil, explain(issues, vars)
	}
	out := checked.OutputType()
	if err := fits(out, want); err != nil {
		return nil, err
	}
	p := &Program{Source: source, Static: out.TypeName(), Members: make(map[string]Use)}
	root := checked.NativeRep().Expr()
	if root.Kind() == ast.LiteralKind {
		p.Constant = root.AsLiteral().Value()
	}
	p.Path = bodyPath(root)
	p.members(root)
	p.program, err = env.Program(checked, cel.CostLimit(MaxCost), cel.InterruptCheckFrequency(1000))
	return p, err
}

func explain(issues *cel.Issues, vars []string) error {
	var errs []error
	for _, e := range issues.Errors() {
		errs = append(errs, &Error{
			Line: max(e.Location.Line(), 1), Column: e.Location.Column() + 1, Message: reword(e.Message, vars),
		})
		if strings.HasPrefix(e.Message, "Syntax error: ") {
			break // those that follow are its consequences
		}
	}
	return errors.Join(errs...)
}

// reword turns the checker's words into advice.
func reword(msg string, vars []string) string {
	if name, ok := strings.CutPrefix(msg, "undeclared reference to '"); ok {
		name, _, _ = strings.Cut(name, "'")
		return fmt.Sprintf("%s is not known here; there is %s", name, strings.Join(vars, ", "))
	}
	if name, ok := strings.CutPrefix(msg, "undefined field '"); ok {
		return fmt.Sprintf("there is no field %s; request has method, path, host, headers, query and params, principal has id and method",
			strings.TrimSuffix(name, "'"))
	}
	if what, ok := strings.CutPrefix(msg, "Syntax error: "); ok {
		what, _, _ = strings.Cut(what, " expecting ")
		return "is not an expression: " + strings.Replace(what, "'<EOF>'", "at the end", 1)
	}
	return msg
}

// fits reports whether an expression of the type can give want.
func fits(t *cel.Type, want Result) error {
	name := t.TypeName()
	ok := name == "dyn"
	switch want {
	case Bool:
		ok = ok || name == "bool"
	case Text:
		ok = ok || name == "string"
	case JSON:
		ok = name != "double" && name != "type" && !strings.HasPrefix(name, "expr.")
	}
	if ok {
		return nil
	}
	if name == "double" {
		return &Error{1, 1, "gives a number with a fraction, which cannot be compared or sent exactly; use a text or an integer"}
	}
	return &Error{1, 1, fmt.Sprintf("gives %s, but %s is needed", name, map[Result]string{Bool: "true or false", Text: "a text", JSON: "a value"}[want])}
}

// bodyPath returns the path of an expression of the form body.a.b.
func bodyPath(e ast.Expr) []string {
	var path []string
	for e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly() {
		path = append(path, e.AsSelect().FieldName())
		e = e.AsSelect().Operand()
	}
	if e.Kind() != ast.IdentKind || e.AsIdent() != VarBody || len(path) == 0 {
		return nil
	}
	slices.Reverse(path)
	return path
}

// members collects how the expression uses the body.
func (p *Program) members(e ast.Expr) {
	named := make(map[int64]bool) // uses of body that are followed by a name
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() { //nolint:exhaustive // only these two speak of variables
		case ast.SelectKind:
			s := e.AsSelect()
			if op := s.Operand(); op.Kind() == ast.IdentKind && op.AsIdent() == VarBody {
				named[op.ID()] = true
				use := Needed
				if s.IsTestOnly() {
					use = Optional
				}
				p.Members[s.FieldName()] = max(p.Members[s.FieldName()], use)
			}
		case ast.IdentKind:
			if e.AsIdent() == VarBody && !named[e.ID()] {
				p.Whole = true
			}
		}
	}))
}

// Eval runs the expression. Its error may be shown to the client: it tells of
// the client's own request only.
func (p *Program) Eval(ctx context.Context, in *Input) (ref.Val, error) {
	vars := map[string]any{VarScope: in.Scope, VarBody: in.Body}
	if in.Request != nil {
		vars[VarRequest] = in.Request
	}
	if in.Principal != nil {
		vars[VarPrincipal], vars[VarClaims] = in.Principal, in.Principal.Claims
	}
	v, _, err := p.program.ContextEval(ctx, vars)
	if err != nil {
		return nil, fmt.Errorf("the expression %q cannot be computed: %w", p.Source, err)
	}
	return v, nil
}

// EvalBool is Eval for an expression that gives true or false.
func (p *Program) EvalBool(ctx context.Context, in *Input) (bool, error) {
	v, err := p.Eval(ctx, in)
	if err != nil {
		return false, err
	}
	b, ok := v.Value().(bool)
	if !ok {
		return false, fmt.Errorf("the expression %q gives %s instead of true or false", p.Source, v.Type().TypeName())
	}
	return b, nil
}

// EvalText is Eval for an expression that gives a text.
func (p *Program) EvalText(ctx context.Context, in *Input) (string, error) {
	v, err := p.Eval(ctx, in)
	if err != nil {
		return "", err
	}
	s, ok := v.(types.String)
	if !ok {
		return "", fmt.Errorf("the expression %q gives %s instead of a text", p.Source, v.Type().TypeName())
	}
	return string(s), nil
}
