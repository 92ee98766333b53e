package main_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/onceward/onceward/cmd/onceward/internal/config"
)

const deploy = "../../deploy/"

// compose is what the test looks at of a Compose file.
type compose struct {
	Name     string `yaml:"name"`
	Services map[string]struct {
		Image           string            `yaml:"image"`
		Build           map[string]string `yaml:"build"`
		Command         []string          `yaml:"command"`
		Environment     map[string]string `yaml:"environment"`
		Volumes         []string          `yaml:"volumes"`
		Secrets         []string          `yaml:"secrets"`
		Ports           []string          `yaml:"ports"`
		DependsOn       map[string]any    `yaml:"depends_on"`
		Healthcheck     map[string]any    `yaml:"healthcheck"`
		Deploy          map[string]any    `yaml:"deploy"`
		CapDrop         []string          `yaml:"cap_drop"`
		SecurityOpt     []string          `yaml:"security_opt"`
		Ulimits         map[string]int    `yaml:"ulimits"`
		ReadOnly        bool              `yaml:"read_only"`
		MemLimit        string            `yaml:"mem_limit"`
		StopGracePeriod string            `yaml:"stop_grace_period"`
		Restart         string            `yaml:"restart"`
	} `yaml:"services"`
	Secrets map[string]map[string]string `yaml:"secrets"`
	Volumes map[string]any               `yaml:"volumes"`
}

// The Compose example cannot be run everywhere: it is read strictly, and what
// its parts say of each other is compared.
func TestComposeFile(t *testing.T) {
	t.Parallel()
	var c compose
	if err := yaml.UnmarshalWithOptions([]byte(read(t, deploy+"compose.yaml")), &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	for name, s := range c.Services {
		if s.Image == "" && s.Build == nil {
			t.Errorf("%s has no image", name)
		}
		for other := range s.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("%s depends on %s, which does not exist", name, other)
			}
		}
		for _, secret := range s.Secrets {
			if c.Secrets[secret]["file"] == "" {
				t.Errorf("%s uses the secret %s, which does not exist", name, secret)
			}
		}
	}
	gateway := c.Services["gateway"]
	if !gateway.ReadOnly || !slices.Equal(gateway.CapDrop, []string{"ALL"}) || len(gateway.SecurityOpt) == 0 {
		t.Errorf("the gateway has more rights than it needs: %+v", gateway)
	}
	for _, port := range gateway.Ports {
		if !strings.HasPrefix(port, "127.0.0.1:") {
			t.Errorf("the port %s is published to everybody", port)
		}
	}
	cfg, err := config.Load(deploy + "compose.onceward.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Store.Secret.File != "/run/secrets/store_dsn" || !slices.Contains(gateway.Secrets, "store_dsn") {
		t.Errorf("the store's DSN is not where it is mounted: %+v", cfg.Store)
	}
}

// What the unit starts are commands of this binary, and it leaves them the
// time to drain that they ask for by default.
func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	unit := read(t, deploy+"onceward.service")
	commands := regexp.MustCompile(`(?m)^Exec(?:StartPre|Start|Reload)=/usr/local/bin/onceward (\S+) -c /etc/onceward/onceward.yaml$`).FindAllStringSubmatch(unit, -1)
	if len(commands) != 3 {
		t.Fatalf("found %d commands", len(commands))
	}
	for _, m := range commands {
		if out, err := exec.CommandContext(t.Context(), binary, m[1], "--help").CombinedOutput(); err != nil || !strings.Contains(string(out), "--config") {
			t.Errorf("onceward %s: %v\n%s", m[1], err, out)
		}
	}
	for _, line := range []string{"DynamicUser=yes", "ProtectSystem=strict", "NoNewPrivileges=yes", "TimeoutStopSec=45", "LimitCORE=0"} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	file := read(t, deploy+"Dockerfile")
	stages := strings.Split(file, "\nFROM ")
	last := stages[len(stages)-1]
	if len(stages) != 3 || !strings.Contains(last, "distroless/static") || !strings.Contains(last, "\nUSER 65532:65532\n") {
		t.Errorf("the last stage is not a minimal one without privileges:\n%s", last)
	}
	for line := range strings.SplitSeq(last, "\n") {
		if strings.HasPrefix(line, "RUN ") {
			t.Errorf("there is no shell to run %q", line)
		}
	}
	// The build of the image, without Docker: static, from the root.
	build := regexp.MustCompile(`CGO_ENABLED=0 (go build [^\n&]*) -o \S+ \.`).FindStringSubmatch(file)
	if build == nil {
		t.Fatal("no static build is found")
	}
}
