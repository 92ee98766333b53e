package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
)

type versionCommand struct{}

// Help is shown by --help.
func (versionCommand) Help() string {
	return teach(`Name it in a report of a mistake: the version, the revision of the sources and whether they were changed, the Go
version and the platform.`,
		`CHANGELOG.md says what a version brings.`,
		`onceward version`)
}

// Run prints the version that the Go toolchain stamped into the binary.
func (versionCommand) Run(p *process) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		_, err := fmt.Fprintln(p.stdout, "onceward, built without module information")
		return err
	}
	settings := make(map[string]string, len(info.Settings))
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	revision := cmp.Or(settings["vcs.revision"], "unknown revision")
	if settings["vcs.modified"] == "true" {
		revision += " with changes"
	}
	_, err := fmt.Fprintf(p.stdout, "onceward %s (%s, %s, %s/%s)\n",
		cmp.Or(info.Main.Version, "(devel)"), revision, info.GoVersion, settings["GOOS"], settings["GOARCH"])
	return err
}
