package postgres

import (
	"strings"
	"testing"
)

func TestDurabilityIsJudged(t *testing.T) {
	t.Parallel()
	safe := durabilitySettings{fsync: "on", fullPages: "on", commit: "on", names: "ANY 1 (n2, n3)"}
	with := func(change func(*durabilitySettings)) durabilitySettings {
		s := safe
		change(&s)
		return s
	}
	n2, n3 := sender{"n2", "streaming", "quorum", true}, sender{"n3", "catchup", "quorum", true}
	far := sender{"far", "streaming", "async", true}
	soon := sender{"n3", "streaming", "async", false}
	backup := sender{"pg_basebackup", "backup", "async", false}
	hidden := sender{}
	for name, c := range map[string]struct {
		settings durabilitySettings
		senders  []sender
		standbys int
		async    int
		warnings []string // what each holds
	}{
		"a quorum":                        {safe, []sender{n2, n3, backup}, 2, 0, nil},
		"remote_apply":                    {with(func(s *durabilitySettings) { s.commit = "remote_apply" }), []sender{n2}, 1, 0, nil},
		"a server alone":                  {with(func(s *durabilitySettings) { s.names = "" }), []sender{backup}, 0, 0, nil},
		"alone, commits wait for itself":  {with(func(s *durabilitySettings) { s.names, s.commit = "", "local" }), nil, 0, 0, nil},
		"a quorum of which none is there": {safe, nil, 0, 0, []string{"every write waits"}},
		"asynchronous":                    {with(func(s *durabilitySettings) { s.names = "" }), []sender{far}, 1, 1, []string{"asynchronously"}},
		"asynchronous and hidden":         {with(func(s *durabilitySettings) { s.names = "" }), []sender{hidden}, 1, 1, []string{"asynchronously"}},
		"one more that does not count":    {safe, []sender{n2, far}, 2, 1, []string{`["far"]`}},
		"one that has just connected":     {safe, []sender{n2, soon}, 1, 0, nil},
		"nobody will wait for it":         {with(func(s *durabilitySettings) { s.names = "" }), []sender{soon}, 1, 1, []string{"asynchronously"}},
		"hidden":                          {safe, []sender{hidden, hidden}, 2, -1, nil},
		"nothing waits":                   {with(func(s *durabilitySettings) { s.commit = "off" }), []sender{n2}, 1, 0, []string{"synchronous_commit is off"}},
		"nothing waits for standbys":      {with(func(s *durabilitySettings) { s.commit = "local" }), []sender{n2}, 1, 0, []string{"wait for no standby"}},
		"in a standby's memory":           {with(func(s *durabilitySettings) { s.commit = "remote_write" }), []sender{n2}, 1, 0, []string{"remote_write"}},
		"a reckless disk":                 {with(func(s *durabilitySettings) { s.fsync, s.fullPages = "off", "off" }), []sender{n2}, 1, 0, []string{"fsync is off", "full_page_writes is off"}},
	} {
		d := c.settings.judge(c.senders)
		if d.Standbys != c.standbys || d.Asynchronous != c.async || len(d.Warnings) != len(c.warnings) {
			t.Errorf("%s: %+v", name, d)
			continue
		}
		for i, want := range c.warnings {
			if !strings.Contains(d.Warnings[i], want) {
				t.Errorf("%s: %q does not say %q", name, d.Warnings[i], want)
			}
		}
	}
}
