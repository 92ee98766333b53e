package openapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Paths of the description.
const (
	Path     = "/openapi.json"
	PagePath = "/docs"
)

//go:embed page.html
var pageHTML string

// page is what the template gets.
type page struct {
	Title, Version, Description string
	Operations                  []pageOperation
	Schemas                     []pageSchema
}

type pageOperation struct {
	ID, Method, Path, Summary, Description string
	Parameters                             []pageParameter
	Body                                   []pageBody
	Responses                              []pageResponse
}

type pageParameter struct {
	Name, In, Description string
	Required              bool
}

type pageBody struct{ Media, Schema string }

type pageResponse struct {
	Status      string
	Description string
	Codes       []pageCode
	Content     []pageBody
}

type pageCode struct{ Code, Title, Detail string }

type pageSchema struct{ Name, Schema string }

// document is the part of an OpenAPI document that the page shows.
type document struct {
	Info struct {
		Title, Version, Description string
	}
	Paths      map[string]map[string]operation
	Components struct {
		Schemas map[string]json.RawMessage
	}
}

type operation struct {
	OperationID, Summary, Description string
	Parameters                        []struct {
		Name, In, Description string
		Required              bool
	}
	RequestBody struct{ Content map[string]media }
	Responses   map[string]struct {
		Description string
		Content     map[string]media
	}
}

type media struct {
	Schema   json.RawMessage
	Examples map[string]struct {
		Value struct{ Code, Title, Detail string }
	}
}

// Handler serves a document at Path and its page at PagePath.
func Handler(doc []byte) (http.Handler, error) {
	html, err := render(doc)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	serve := func(body []byte, contentType string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Content-Type", contentType)
			h.Set("Cache-Control", "max-age=300")
			h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
			h.Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body) // the client has gone
		}
	}
	mux.HandleFunc("GET "+Path, serve(doc, "application/json"))
	mux.HandleFunc("GET "+PagePath, serve(html, "text/html; charset=utf-8"))
	return mux, nil
}

// methods in the order in which the page lists them.
var methods = []string{"get", "head", "post", "put", "patch", "delete", "options"}

// render makes the page of a document.
func render(doc []byte) ([]byte, error) {
	var d document
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	p := page{Title: d.Info.Title, Version: d.Info.Version, Description: plainText(d.Info.Description)}
	for _, path := range sortedKeys(d.Paths) {
		for _, method := range methods {
			if op, ok := d.Paths[path][method]; ok {
				p.Operations = append(p.Operations, describe(path, method, &op))
			}
		}
	}
	for _, name := range sortedKeys(d.Components.Schemas) {
		p.Schemas = append(p.Schemas, pageSchema{name, indent(d.Components.Schemas[name])})
	}
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("openapi: page: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, p); err != nil {
		return nil, fmt.Errorf("openapi: page: %w", err)
	}
	return out.Bytes(), nil
}

func describe(path, method string, op *operation) pageOperation {
	out := pageOperation{
		ID: op.OperationID, Method: strings.ToUpper(method), Path: path, Summary: op.Summary, Description: op.Description,
	}
	for _, p := range op.Parameters {
		out.Parameters = append(out.Parameters, pageParameter{p.Name, p.In, p.Description, p.Required})
	}
	for _, m := range sortedKeys(op.RequestBody.Content) {
		out.Body = append(out.Body, pageBody{m, indent(op.RequestBody.Content[m].Schema)})
	}
	for _, status := range sortedKeys(op.Responses) {
		r := op.Responses[status]
		first, _, _ := strings.Cut(r.Description, "\n")
		answer := pageResponse{Status: status, Description: first}
		for _, m := range sortedKeys(r.Content) {
			if m != mediaProblem {
				answer.Content = append(answer.Content, pageBody{m, indent(r.Content[m].Schema)})
			}
			for _, code := range sortedKeys(r.Content[m].Examples) {
				v := r.Content[m].Examples[code].Value
				answer.Codes = append(answer.Codes, pageCode{v.Code, v.Title, v.Detail})
			}
		}
		out.Responses = append(out.Responses, answer)
	}
	return out
}

// plainText drops the links of Markdown.
func plainText(s string) string { return strings.NewReplacer("[", "", "](", " (").Replace(s) }

func indent(raw json.RawMessage) string {
	var out bytes.Buffer
	if len(raw) == 0 || string(raw) == "{}" || json.Indent(&out, raw, "", "  ") != nil {
		return ""
	}
	return out.String()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
