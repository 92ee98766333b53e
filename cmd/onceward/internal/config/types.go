package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/expr"
)

// Duration is written 30s, 2m or 24h.
type Duration time.Duration

// Std returns d as the standard library's.
func (d Duration) Std() time.Duration { return time.Duration(d) }

const durationPattern = `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`

var durationForm = regexp.MustCompile(durationPattern)

func parseDuration(s string) (Duration, error) {
	if !durationForm.MatchString(s) {
		return 0, fmt.Errorf("%q is no duration; write a number with its unit, such as 500ms, 30s, 5m or 24h", s)
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration that can be handled", s)
	}
	return Duration(d), nil
}

// String spells d as the file does.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// Size in bytes is written 512B, 64KiB or 1MiB.
type Size int64

const sizePattern = `^[0-9]{1,12}(B|KiB|MiB|GiB)$`

var sizeForm = regexp.MustCompile(sizePattern)

var sizeUnits = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func parseSize(s string) (Size, error) {
	if sizeForm.MatchString(s) {
		for _, u := range sizeUnits {
			digits, ok := strings.CutSuffix(s, u.name)
			if !ok {
				continue
			}
			n, err := strconv.ParseInt(digits, 10, 64)
			if err == nil && n <= (1<<62)/u.size {
				return Size(n * u.size), nil
			}
			break
		}
	}
	return 0, fmt.Errorf("%q is no size; write a number with its unit, such as 512B, 64KiB or 1MiB", s)
}

// String spells s as the file does.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if int64(s) >= u.size && int64(s)%u.size == 0 {
			return strconv.FormatInt(int64(s)/u.size, 10) + u.name
		}
	}
	return "0B"
}

// Expr is an expression in the Common Expression Language.
type Expr struct {
	Source string
	*expr.Program
}

// Store says where records are kept.
type Store struct {
	// DSN when the file has it; otherwise a secret has.
	DSN    string
	Secret Secret
	// Groups are several PostgreSQL databases, each of which keeps some keys.
	Groups []Group
}

// Group is one of several databases.
type Group struct {
	DSN   Secret `yaml:"dsn" required:"true" doc:"Connection string of a PostgreSQL database, postgres://…."`
	Slots string `yaml:"slots" required:"true" doc:"Slots of keys that the database keeps, such as 0-31 or 0-15,40. Every slot from 0 to 63 is kept once."`
}
