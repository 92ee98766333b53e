package main

import "strings"

// teach writes what --help says of a command below its summary: what there is
// to know, what comes after it, and lines that can be typed. A test holds every
// command to it, and parses the examples.
func teach(about, next string, examples ...string) string {
	title := "Example:"
	if len(examples) > 1 {
		title = "Examples:"
	}
	return about + "\n\n" + title + "\n\n  " + strings.Join(examples, "\n  ") + "\n\nNext: " + next
}
