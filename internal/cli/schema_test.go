package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/cli"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/smime"
)

// mailseal runs a command line in a folder with the fixtures.
func mailseal(t *testing.T, dir string, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	for i, a := range args {
		if _, err := os.Stat(filepath.Join(dir, a)); err == nil && a != "" {
			args[i] = filepath.Join(dir, a)
		}
		if i > 0 && args[i-1] == "-o" {
			args[i] = filepath.Join(dir, a)
		}
	}
	var out, errs bytes.Buffer
	exit = cli.Run(context.Background(), args, strings.NewReader(""), &out, &errs, cli.Environment{
		LookupEnv: func(key string) (string, bool) {
			switch key {
			case "MAILSEAL_HOME":
				return filepath.Join(dir, "home"), true
			case "MAILSEAL_PASSPHRASE":
				return passphrase, true
			}
			return "", false
		},
		ConfigDir: os.UserConfigDir,
		Now:       func() time.Time { return testca.Now },
	})
	return out.String(), errs.String(), exit
}

func fixtureFolder(t *testing.T) string {
	dir := t.TempDir()
	for name, data := range fixtures(t) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func readSchema(t *testing.T, name string) (schema map[string]any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err == nil {
		err = json.Unmarshal(data, &schema)
	}
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// TestVerdictSchema holds what verify and open print to docs/verdict.schema.json.
func TestVerdictSchema(t *testing.T) {
	schema := readSchema(t, "verdict.schema.json")
	dir := fixtureFolder(t)
	for _, line := range []string{
		"sign --as alice.p12 -o signed.eml letter.eml",
		"sign --as bob.p12 -o forged.eml letter.eml",
		"sign --as mal.p12 -o stranger.eml letter.eml",
		"seal --as alice.p12 --to bob.pem --to carol.pem -o sealed.eml letter.eml",
		"seal --as alice.p12 --to carol.pem --protect-headers=modern -o hidden.eml letter.eml",
		"cms sign --as alice.p12 -o signed.p7m letter.eml",
	} {
		if _, stderr, exit := mailseal(t, dir, strings.Fields(line)...); exit != 0 {
			t.Fatalf("%s: %s", line, stderr)
		}
	}
	for line, want := range map[string]smime.Conclusion{
		"verify --trust root.pem --json letter.eml":                                 smime.Unsigned,
		"verify --trust root.pem --json signed.eml":                                 smime.Valid,
		"verify --trust root.pem --json forged.eml":                                 smime.Invalid,
		"verify --trust root.pem --json stranger.eml":                               smime.Untrusted,
		"verify --trust root.pem --json sealed.eml":                                 smime.Unknown,
		"open --as carol.p12 --trust root.pem --json sealed.eml":                    smime.Valid,
		"open --as carol.p12 --trust root.pem --json hidden.eml":                    smime.Valid,
		"open --as mal.p12 --trust root.pem --json sealed.eml":                      smime.Unknown,
		"cms verify --trust root.pem --intermediates issuing.pem --json signed.p7m": smime.Valid,
		"cms verify --trust stranger.pem --json signed.p7m":                         smime.Untrusted,
		"verify --trust root.pem --at 2040-01-01T00:00:00+09:00 --json signed.eml":  smime.Untrusted,
	} {
		t.Run(line, func(t *testing.T) {
			stdout, stderr, exit := mailseal(t, dir, strings.Fields(line)...)
			if valid := want == smime.Valid; valid != (exit == 0) || exit > 1 {
				t.Errorf("exit status %d: %s", exit, stderr)
			}
			var object map[string]any
			if err := json.Unmarshal([]byte(stdout), &object); err != nil {
				t.Fatalf("%v in %q", err, stdout)
			}
			if object["verdict"] != string(want) {
				t.Errorf("verdict %v, want %s", object["verdict"], want)
			}
			for _, fault := range conform("", schema, object) {
				t.Error(fault)
			}
		})
	}
}

// TestSerialInSchemas: some authorities have given out negative serial numbers.
func TestSerialInSchemas(t *testing.T) {
	c := &cert.Certificate{Serial: big.NewInt(-5)}
	found := 0
	var walk func(name string, node any)
	walk = func(name string, node any) {
		switch node := node.(type) {
		case []any:
			for _, n := range node {
				walk(name, n)
			}
		case map[string]any:
			if p, is := node["serial"].(map[string]any); is {
				if found++; !regexp.MustCompile(p["pattern"].(string)).MatchString(c.SerialHex()) {
					t.Errorf("%s does not take the serial number %s", name, c.SerialHex())
				}
			}
			for _, n := range node {
				walk(name, n)
			}
		}
	}
	for _, name := range []string{"verdict.schema.json", "certificate.schema.json", "evidence.schema.json", "lint.schema.json"} {
		walk(name, readSchema(t, name))
	}
	if found < 4 {
		t.Errorf("%d serial numbers in the schemas", found)
	}
}

// TestSchemaNamesEverything looks for a word of the code that the schema lacks.
func TestSchemaNamesEverything(t *testing.T) {
	data, err := os.ReadFile("../../docs/verdict.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []any{
		smime.Valid, smime.Invalid, smime.Untrusted, smime.Unsigned, smime.Unknown,
		smime.CoverageWhole, smime.CoveragePart, smime.CoverageNone,
		smime.StatusValid, smime.StatusRevocationUnknown, smime.StatusUnsupported, smime.StatusWeak, smime.StatusExpired,
		smime.StatusUntrusted, smime.StatusAddressMismatch, smime.StatusRevoked, smime.StatusInvalid,
		smime.HeaderNone, smime.HeaderSigned, smime.HeaderEncrypted, smime.HeaderWrapped, smime.HeaderMemoryHole,
		smime.LayerSigned, smime.LayerEncrypted, smime.LayerCompressed,
	} {
		if !bytes.Contains(data, fmt.Appendf(nil, "%q", word)) {
			t.Errorf("the schema does not know %q", word)
		}
	}
}

// TestSchemaTestCanFail gives the checker objects that are wrong in one way each.
func TestSchemaTestCanFail(t *testing.T) {
	schema := map[string]any{
		"type": "object", "additionalProperties": false, "required": []any{"a"},
		"properties": map[string]any{
			"a": map[string]any{"enum": []any{"x"}},
			"n": map[string]any{"type": "integer", "minimum": 0.0},
			"l": map[string]any{"type": "array", "items": map[string]any{"type": "string", "pattern": "^[0-9]*$"}},
		},
	}
	for _, text := range []string{`[]`, `{}`, `{"a":"y"}`, `{"a":"x","b":1}`, `{"a":"x","n":1.5}`, `{"a":"x","n":-1}`, `{"a":"x","l":null}`, `{"a":"x","l":["z"]}`} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if len(conform("", schema, v)) == 0 {
			t.Errorf("%s conforms", text)
		}
	}
}

// conform checks a value against the part of JSON Schema that our schema uses.
func conform(at string, schema map[string]any, v any) (faults []string) {
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf("%s: ", at)+fmt.Sprintf(format, args...))
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		fault("%v is none of %v", v, enum)
	}
	switch schema["type"] {
	case "object":
		object, ok := v.(map[string]any)
		if !ok {
			fault("not an object: %v", v)
			return faults
		}
		properties := schema["properties"].(map[string]any)
		for _, name := range schema["required"].([]any) {
			if _, there := object[name.(string)]; !there {
				fault("%s is missing", name)
			}
		}
		for name, value := range object {
			if property, known := properties[name].(map[string]any); known {
				faults = append(faults, conform(at+"."+name, property, value)...)
			} else {
				fault("%s is not known", name)
			}
		}
	case "array":
		list, ok := v.([]any)
		if !ok {
			fault("not an array: %v", v)
		}
		for i, item := range list {
			faults = append(faults, conform(fmt.Sprintf("%s[%d]", at, i), schema["items"].(map[string]any), item)...)
		}
	case "string":
		text, ok := v.(string)
		if pattern, limited := schema["pattern"].(string); !ok || limited && !regexp.MustCompile(pattern).MatchString(text) {
			fault("not such a string: %v", v)
		}
		if schema["format"] == "date-time" {
			if _, err := time.Parse(time.RFC3339, text); err != nil {
				fault("%v", err)
			}
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			fault("not a boolean: %v", v)
		}
	case "integer":
		n, ok := v.(float64)
		if least, limited := schema["minimum"].(float64); !ok || n != float64(int64(n)) || limited && n < least {
			fault("not such an integer: %v", v)
		}
	}
	return faults
}
