package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
)

// config is the file of serve --config. Its keys are the flags of serve in snake case, and auth.keys, which has no flag
// because a command line is no place for a secret. Pointers tell "not said" from the zero value.
type config struct {
	Data        *string `yaml:"data"`
	Ephemeral   *bool   `yaml:"ephemeral"`
	Listen      *string `yaml:"listen"`
	TLS         *string `yaml:"tls"`
	Native      *string `yaml:"native"`
	Durability  *string `yaml:"durability"`
	CORS        *string `yaml:"cors"`
	Neighbours  *bool   `yaml:"neighbours"`
	Insecure    *bool   `yaml:"insecure"`
	Region      *string `yaml:"region"`
	Account     *string `yaml:"account"`
	ShardLimit  *int    `yaml:"shard_limit"`
	Streams     *string `yaml:"streams"`
	Transition  *string `yaml:"transition"`
	RingSize    *string `yaml:"ring_size"`
	SegmentSize *string `yaml:"segment_size"`
	LogLevel    *string `yaml:"log_level"`
	Auth        struct {
		Mode *string     `yaml:"mode"` // off or keys
		Keys []accessKey `yaml:"keys"`
	} `yaml:"auth"`
}

// accessKey is one key that may sign requests.
type accessKey struct {
	AccessKey string `yaml:"access_key"`
	SecretKey string `yaml:"secret_key"`
	Account   string `yaml:"account"` // whose streams it sees; empty: the server's default account
}

// maxConfigLen bounds a configuration file.
const maxConfigLen = 1 << 20

// readConfig reads a configuration file. Its errors name the file and the line.
func readConfig(path string) (*config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usagef("read the configuration: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read from
	text, err := io.ReadAll(io.LimitReader(f, maxConfigLen+1))
	if err != nil {
		return nil, usagef("read the configuration: %w", err)
	}
	if len(text) > maxConfigLen {
		return nil, usagef("read the configuration: %s is larger than %d bytes", path, maxConfigLen)
	}
	c, err := parseConfig(text)
	if err != nil {
		return nil, usagef("%s: %w", path, err)
	}
	return c, nil
}

// parseConfig decodes and checks the text of a configuration file.
func parseConfig(text []byte) (*config, error) {
	var c config
	err := yaml.UnmarshalWithOptions(text, &c, yaml.DisallowUnknownField())
	if err != nil && !errors.Is(err, io.EOF) { // io.EOF: an empty file
		return nil, configError(err)
	}
	for i, k := range c.Auth.Keys {
		if k.AccessKey == "" || k.SecretKey == "" {
			return nil, fmt.Errorf("auth.keys[%d]: access_key and secret_key are both needed", i)
		}
	}
	return &c, nil
}

// configError turns a YAML error into one line, with the nearest known key where the key is unknown.
func configError(err error) error {
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) && unknown.Token != nil {
		key := unknown.Token.Value
		return fmt.Errorf("line %d: unknown key %q, nearest known key is %q",
			unknown.Token.Position.Line, key, nearest(key, configKeys(reflect.TypeFor[config]())))
	}
	var y yaml.Error
	if errors.As(err, &y) && y.GetToken() != nil {
		return fmt.Errorf("line %d: %s", y.GetToken().Position.Line, y.GetMessage())
	}
	return err
}

// configKeys lists every key of a configuration struct, nested ones included.
func configKeys(t reflect.Type) (keys []string) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for field := range t.Fields() {
		keys = append(keys, field.Tag.Get("yaml"))
		keys = append(keys, configKeys(field.Type)...)
	}
	return keys
}

// nearest is the word that takes the fewest edits to become s; the first one in a tie.
func nearest(s string, words []string) string {
	best, bestDist := "", int(^uint(0)>>1)
	for _, w := range words {
		if d := editDistance(strings.ToLower(s), w); d < bestDist {
			best, bestDist = w, d
		}
	}
	return best
}

// editDistance is Levenshtein's, on bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}

// flagValue is what the file says about a flag of serve; nil where it says nothing.
func (c *config) flagValue(flag string) any {
	if c == nil {
		return nil
	}
	if flag == "auth" {
		return deref(reflect.ValueOf(c.Auth.Mode))
	}
	v := reflect.ValueOf(c).Elem()
	key := strings.ReplaceAll(flag, "-", "_")
	for i, field := range fieldsOf(v.Type()) {
		if field.Tag.Get("yaml") == key && field.Type.Kind() == reflect.Pointer {
			return deref(v.Field(i))
		}
	}
	return nil
}

func fieldsOf(t reflect.Type) []reflect.StructField {
	var out []reflect.StructField
	for f := range t.Fields() {
		out = append(out, f)
	}
	return out
}

func deref(v reflect.Value) any {
	if v.IsNil() {
		return nil
	}
	return v.Elem().Interface()
}

// configFile is the value of --config: parsing it reads the file, before any flag is resolved.
type configFile string

// BeforeResolve is called by kong.
func (configFile) BeforeResolve(kctx *kong.Context, trace *kong.Path, a *app) error {
	path, ok := kctx.FlagValue(trace.Flag).(configFile)
	if !ok || path == "" || !selectsServe(kctx) {
		return nil
	}
	c, err := readConfig(string(path))
	if err != nil {
		return err
	}
	a.config = c
	return nil
}

func selectsServe(kctx *kong.Context) bool {
	node := kctx.Selected()
	return node == nil || node.Name == "serve"
}

// serveResolver gives the flags of serve that neither the command line nor our own environment sets: from the
// compatibility aliases, then from the configuration file.
type serveResolver struct{ app *app }

// Validate is called by kong.
func (*serveResolver) Validate(*kong.Application) error { return nil }

// Resolve is called by kong for each flag that is not on the command line.
func (r *serveResolver) Resolve(kctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if !selectsServe(kctx) || parent.Node() == nil {
		return nil, nil
	}
	for _, name := range flag.Envs {
		if _, set := r.app.getenv(name); set {
			return nil, nil // kong has taken it already
		}
	}
	if v, ok := r.app.aliasFor(flag.Name); ok {
		return v, nil
	}
	return r.app.config.flagValue(flag.Name), nil
}
