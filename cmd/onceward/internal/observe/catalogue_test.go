package observe_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/onceward/onceward/cmd/onceward/internal/observe"
)

const root = "../../../.."

// metric is one that is registered or documented.
type metric struct {
	help   string
	labels []string
}

var description = regexp.MustCompile(`fqName: "([^"]+)", help: "(.*)", unit: "[^"]*", constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}`)

// registered lists what the code registers.
func registered(t *testing.T) map[string]metric {
	t.Helper()
	obs, err := observe.New(observe.Config{})
	if err != nil {
		t.Fatal(err)
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		obs.Registry().Describe(descs)
		close(descs)
	}()
	out := make(map[string]metric)
	for d := range descs {
		m := description.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("a description that this test cannot read: %s", d)
		}
		var names []string
		if m[3] != "" {
			names = strings.Split(m[3], ",")
		}
		out[m[1]] = metric{m[2], names}
	}
	return out
}

var documentedRow = regexp.MustCompile("(?m)^\\| `(onceward_[a-z_]+)` \\| (counter|gauge|histogram) \\| ([^|]*) \\| ([^|]*) \\|$")

func TestTheCatalogueIsComplete(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs/observability.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]metric)
	for _, row := range documentedRow.FindAllStringSubmatch(string(text), -1) {
		var names []string
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[3], -1) {
			names = append(names, m[1])
		}
		documented[row[1]] = metric{row[4], names}
		suffix := map[string]bool{"counter": true}[row[2]]
		if strings.HasSuffix(row[1], "_total") != suffix {
			t.Errorf("%s is documented as %s", row[1], row[2])
		}
	}
	for name, m := range registered(t) {
		if !strings.HasPrefix(name, "onceward_") {
			if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
				t.Errorf("%s belongs to no family that is documented", name)
			}
			continue
		}
		d, ok := documented[name]
		switch {
		case !ok:
			t.Errorf("%s is not documented", name)
		case !slices.Equal(d.labels, m.labels):
			t.Errorf("%s has labels %v, documented are %v", name, m.labels, d.labels)
		case !strings.HasPrefix(d.help, m.help):
			t.Errorf("%s is %q, documented as %q", name, m.help, d.help)
		}
		delete(documented, name)
	}
	for _, name := range slices.Sorted(maps.Keys(documented)) {
		t.Errorf("%s is documented, but not registered", name)
	}
}

// checkQuery parses an expression and compares what it uses with what there
// is: metrics, and the labels it selects or groups by.
func checkQuery(query string, known map[string]metric) (wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)+" in "+query) }
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		bad("%v", err)
		return wrong
	}
	// Labels that Prometheus itself adds.
	everywhere := []string{"job", "instance", "le", model.MetricNameLabel}
	used := make(map[string]bool)
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		v, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		m, ok := known[v.Name]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, cut := strings.CutSuffix(v.Name, suffix); cut && !ok {
				m, ok = known[base]
			}
		}
		if !ok {
			bad("there is no metric %s", v.Name)
			return nil
		}
		for _, l := range m.labels {
			used[l] = true
		}
		for _, matcher := range v.LabelMatchers {
			if !slices.Contains(m.labels, matcher.Name) && !slices.Contains(everywhere, matcher.Name) {
				bad("%s has no label %s", v.Name, matcher.Name)
			}
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if a, ok := node.(*parser.AggregateExpr); ok {
			for _, l := range a.Grouping {
				if !used[l] && !slices.Contains(everywhere, l) {
					bad("it groups by %s, which no metric has", l)
				}
			}
		}
		return nil
	})
	return wrong
}

func TestTheDashboardIsValid(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "deploy/grafana/onceward.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	variables := strings.NewReplacer("[$__rate_interval]", "[5m]", `"$job"`, `".*"`, `"$route"`, `".*"`)
	known, ids, shown := registered(t), make(map[int]bool), ""
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q has the id of another", p.Title)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			shown += target.Expr + "\n"
			for _, wrong := range checkQuery(variables.Replace(target.Expr), known) {
				t.Errorf("%s: %s", p.Title, wrong)
			}
		}
	}
	for name := range known {
		if strings.HasPrefix(name, "onceward_") && !strings.Contains(shown, name) {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// A typing error in a rule or a panel does not go unnoticed.
func TestWrongQueriesAreNoticed(t *testing.T) {
	t.Parallel()
	known := registered(t)
	for _, query := range []string{
		"onceward_held_operation", "sum by (rout) (onceward_http_requests_total)",
		`onceward_problems_total{kod="x"}`, "sum(onceward_held_operations", "process_cpu_second_total",
	} {
		if len(checkQuery(query, known)) == 0 {
			t.Errorf("%s passed", query)
		}
	}
}
