package config

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
)

// MaxFile bounds the size of a file, in bytes.
const MaxFile = 4 << 20

// Load reads and checks the file. Its error is a *Problems when the file
// could be read.
func Load(path string) (*Config, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w (name the file with --config)", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	return Parse(path, data)
}

// Parse reads and checks a file's content; name stands for it in messages.
func Parse(name string, data []byte) (*Config, error) {
	cfg, d := &Config{}, &document{at: make(map[string]Pos)}
	if len(data) > MaxFile {
		d.bad(Pos{}, "", "the file is larger than %d bytes", MaxFile)
	} else if root, problem := parse(data); problem != nil {
		d.problems = append(d.problems, *problem)
	} else if d.want(root, kindMap, "", "a mapping") {
		d.object(root, reflect.ValueOf(cfg).Elem(), "")
		cfg.doc = d
		cfg.check()
	}
	if len(d.problems) > 0 {
		problems := &Problems{File: name, List: d.problems}
		problems.sort()
		return nil, problems
	}
	return cfg, nil
}

// Pos returns where the field at path stands, or the nearest field around it
// that the file has.
func (c *Config) pos(path string) Pos {
	for path != "" {
		if p, ok := c.doc.at[path]; ok {
			return p
		}
		path = parent(path)
	}
	return c.doc.at[""]
}

// parent cuts the last step off a path.
func parent(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		switch path[i] {
		case '.', '[':
			return path[:i]
		}
	}
	return ""
}

func (c *Config) bad(path, format string, args ...any) {
	c.doc.bad(c.pos(path), path, format, args...)
}

func routePath(i int) string { return "routes[" + strconv.Itoa(i) + "]" }
