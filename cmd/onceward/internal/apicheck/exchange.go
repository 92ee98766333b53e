package apicheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// Answer is what a server answered to a request.
type Answer struct {
	Method, Path string // the path as it was sent, without its query
	Status       int
	Header       http.Header
	Body         []byte
}

// Answer reports in what an answer differs from the description.
func (d *Description) Answer(a Answer) error {
	op, known := d.find(a.Method, a.Path)
	var (
		described response
		place     string
		ok        bool
	)
	switch {
	case op == nil && !standard(a.Method):
		return nil // OpenAPI has no words for it
	case op == nil && known:
		described, ok = d.doc.Components.Responses["MethodNotAllowed"], a.Status == http.StatusMethodNotAllowed
		place = "#/components/responses/MethodNotAllowed"
	case op == nil:
		described, ok = d.doc.Components.Responses["NotFound"], a.Status == http.StatusNotFound
		place = "#/components/responses/NotFound"
	default:
		name := strconv.Itoa(a.Status)
		if described, ok = op.Responses[name]; !ok {
			name = "default"
			described, ok = op.Responses[name]
		}
		place = op.place + "/responses/" + name
	}
	if !ok {
		return a.wrap(errors.New("no such answer is described"))
	}
	return a.wrap(errors.Join(d.headers(place, described.Headers, a.Header), d.content(place, described.Content, &a), ours(&a)))
}

func (a *Answer) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %d %q is not what openapi.json says: %w\n%v", a.Method, a.Path, a.Status, a.Body, err, a.Header)
}

// standard reports whether OpenAPI 3.1 knows a method.
func standard(method string) bool {
	return strings.Contains(" GET PUT POST DELETE OPTIONS HEAD PATCH TRACE ", " "+method+" ")
}

func (d *Description) headers(place string, described map[string]header, got http.Header) error {
	var errs []error
	for name, h := range described {
		at := place + "/headers/" + escape(name)
		if h.Ref != "" {
			at = h.Ref
			h = d.doc.Components.Headers[strings.TrimPrefix(h.Ref, "#/components/headers/")]
		}
		values := got.Values(name)
		if len(values) == 0 {
			if h.Required {
				errs = append(errs, fmt.Errorf("header %s is missing", name))
			}
			continue
		}
		if err := d.value(at+"/schema", h.Schema.Type, strings.Join(values, ", ")); err != nil {
			errs = append(errs, fmt.Errorf("header %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// value judges text by a schema: as it is, or as the number that it spells.
func (d *Description) value(place, kind, text string) error {
	data := []byte(text)
	if kind != "integer" {
		data, _ = json.Marshal(text) // text always can be
	}
	return d.Valid(place, data)
}

// content judges media type and body.
func (d *Description) content(place string, described map[string]json.RawMessage, a *Answer) error {
	if a.Method == http.MethodHead || a.Status == http.StatusNoContent || a.Status == http.StatusNotModified {
		return nil
	}
	if len(described) == 0 {
		if len(a.Body) > 0 {
			return errors.New("it has a body, and none is described")
		}
		return nil
	}
	given, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	media := given
	if _, ok := described[media]; !ok {
		media = "*/*"
	}
	if _, ok := described[media]; !ok {
		return fmt.Errorf("media type %q is not described (%w)", given, err)
	}
	if !isJSON(media) {
		return nil
	}
	return d.Valid(place+"/content/"+escape(media)+"/schema", a.Body)
}

func isJSON(media string) bool {
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// policy is where the types of the gateway's problems lead.
const policy = "/idempotency-policy"

// ours judges problems of the gateway itself, whatever route they are of.
func ours(a *Answer) error {
	var p struct {
		Type      string
		Status    int
		Code      string
		Retryable bool
	}
	if media, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); media != "application/problem+json" ||
		json.Unmarshal(a.Body, &p) != nil || !strings.HasPrefix(p.Type, policy+"#") {
		return nil
	}
	var errs []error
	if p.Type != policy+"#"+p.Code || p.Status != a.Status {
		errs = append(errs, errors.New("its type, code and status do not agree"))
	}
	if !strings.Contains(strings.Join(a.Header.Values("Link"), ", "), "<"+policy+`>; rel="describedby"`) {
		errs = append(errs, errors.New("it does not link to the policy page"))
	}
	if p.Retryable && a.Header.Get("Retry-After") == "" {
		errs = append(errs, errors.New("it is retryable and does not say when"))
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		errs = append(errs, errors.New("a cache may keep it"))
	}
	return errors.Join(errs...)
}

// Request reports in what a request differs from the description.
func (d *Description) Request(r *http.Request, body []byte) error {
	op, _ := d.find(r.Method, r.URL.EscapedPath())
	if op == nil {
		return fmt.Errorf("%s %s is not described", r.Method, r.URL.Path)
	}
	var errs []error
	for i, p := range op.Parameters {
		values := map[string][]string{"query": r.URL.Query()[p.Name], "header": r.Header.Values(p.Name), "path": {op.params[p.Name]}}[p.In]
		if len(values) == 0 && p.Required {
			errs = append(errs, fmt.Errorf("%s %s is missing", p.In, p.Name))
		}
		for _, v := range values {
			if err := d.value(fmt.Sprintf("%s/parameters/%d/schema", op.place, i), "", v); err != nil {
				errs = append(errs, fmt.Errorf("%s %s: %w", p.In, p.Name, err))
			}
		}
	}
	if op.RequestBody == nil {
		return errors.Join(errs...)
	}
	if len(body) == 0 {
		if op.RequestBody.Required {
			errs = append(errs, errors.New("the body is missing"))
		}
		return errors.Join(errs...)
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if _, ok := op.RequestBody.Content[media]; ok {
		errs = append(errs, d.Valid(op.place+"/requestBody/content/"+escape(media)+"/schema", body))
	} else if _, ok := op.RequestBody.Content["*/*"]; !ok {
		errs = append(errs, fmt.Errorf("media type %q is not described", media))
	}
	return errors.Join(errs...)
}
