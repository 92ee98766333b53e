package observe_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/common/model"
)

// rule is an alert as Prometheus reads it. Its own reader brings some hundred
// packages along, a tenth of what the tests of this module compile.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func parseRules(text []byte) ([]rule, error) {
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		return nil, err
	}
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all, nil
}

var (
	grouping = regexp.MustCompile(`^\w+\([\d., ]*\w* ?by \(([a-z_, ]+)\)|^\w+ by \(([a-z_, ]+)\)`)
	mentions = regexp.MustCompile(`\$labels\.(\w+)`)
)

// checkRule returns what Prometheus, or who reads the alert, would stumble over.
func checkRule(r *rule, known map[string]metric) []string {
	wrong := checkQuery(r.Expr, known)
	if r.For != "" {
		if _, err := model.ParseDuration(r.For); err != nil {
			wrong = append(wrong, "for: "+err.Error())
		}
	}
	for name := range r.Labels {
		if !model.LegacyValidation.IsValidLabelName(name) {
			wrong = append(wrong, "no name of a label: "+name)
		}
	}
	var kept []string // of the labels, by the outermost aggregation
	if m := grouping.FindStringSubmatch(r.Expr); m != nil {
		kept = strings.Split(m[1]+m[2], ", ")
	}
	for name, text := range r.Annotations {
		functions := template.FuncMap{"humanize": strings.Clone, "humanizeDuration": strings.Clone, "humanizePercentage": strings.Clone}
		if _, err := template.New(name).Funcs(functions).Parse("{{ $value := 1 }}{{ $labels := . }}" + text); err != nil {
			wrong = append(wrong, err.Error())
		}
		for _, m := range mentions.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(kept, m[1]) {
				wrong = append(wrong, name+" names the label "+m[1]+", which the expression drops")
			}
		}
	}
	return wrong
}

func TestTheAlertsAreValid(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "deploy/prometheus/onceward.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile(filepath.Join(root, "docs/observability.md"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := parseRules(text)
	if err != nil {
		t.Fatal(err)
	}
	known, seen := registered(t), make(map[string]bool)
	for _, r := range rules {
		for _, wrong := range checkRule(&r, known) {
			t.Errorf("%s: %s", r.Alert, wrong)
		}
		if r.Alert == "" || seen[r.Alert] {
			t.Errorf("an alert without a name of its own: %q", r.Alert)
		}
		seen[r.Alert] = true
		if !strings.Contains(string(docs), "`"+r.Alert+"`") {
			t.Errorf("%s is not documented", r.Alert)
		}
		_, anchor, _ := strings.Cut(r.Annotations["runbook"], "docs/observability.md#")
		heading := "### " + strings.ReplaceAll(anchor, "-", " ")
		if anchor == "" || !strings.Contains(strings.ToLower(string(docs)), heading) {
			t.Errorf("%s: no heading for the runbook %q", r.Alert, r.Annotations["runbook"])
		}
	}
	if len(rules) < 5 {
		t.Errorf("%d rules", len(rules))
	}
}

// A mistake in an alert does not go unnoticed.
func TestWrongAlertsAreNoticed(t *testing.T) {
	t.Parallel()
	known := registered(t)
	good := rule{Alert: "A", Expr: "max by (job) (onceward_held_operations) > 0", For: "1m", Annotations: map[string]string{"a": "{{ $labels.job }}"}}
	if wrong := checkRule(&good, known); len(wrong) > 0 {
		t.Error(wrong)
	}
	for name, spoil := range map[string]func(*rule){
		"duration":   func(r *rule) { r.For = "1 minute" },
		"label":      func(r *rule) { r.Labels = map[string]string{"a-b": ""} },
		"expression": func(r *rule) { r.Expr = "max by (job) (onceward_held_operations) >" },
		"template":   func(r *rule) { r.Annotations = map[string]string{"a": "{{ $value | humanise }}"} },
		"dropped":    func(r *rule) { r.Annotations = map[string]string{"a": "{{ $labels.route }}"} },
	} {
		bad := good
		spoil(&bad)
		if len(checkRule(&bad, known)) == 0 {
			t.Errorf("%s: passed", name)
		}
	}
	if _, err := parseRules([]byte("groups: [{name: a, rules: [{alert: A, exprr: x}]}]")); err == nil {
		t.Error("an unknown field passed")
	}
}
