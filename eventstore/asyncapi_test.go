package eventstore_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// schema is what these tests look at in a schema of docs/asyncapi.yaml.
type schema struct {
	Ref        string            `yaml:"$ref"`
	Required   []string          `yaml:"required"`
	Properties map[string]schema `yaml:"properties"`
	Items      *schema           `yaml:"items"`
	Others     *schema           `yaml:"additionalProperties"` // any name goes
}

type description struct {
	AsyncAPI string `yaml:"asyncapi"`
	Channels map[string]struct {
		Address  string            `yaml:"address"`
		Messages map[string]schema `yaml:"messages"`
	} `yaml:"channels"`
	Components struct {
		Messages map[string]struct {
			Headers schema `yaml:"headers"`
			Payload schema `yaml:"payload"`
		} `yaml:"messages"`
		Schemas map[string]schema `yaml:"schemas"`
	} `yaml:"components"`
}

// resolve follows a reference to a schema.
func (d description) resolve(t *testing.T, s schema) schema {
	t.Helper()
	if s.Ref == "" {
		return s
	}
	found, ok := d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	if !ok {
		t.Errorf("%s leads nowhere", s.Ref)
	}
	return found
}

// compare tells in which fields an example with every field filled and its schema
// differ.
func (d description) compare(t *testing.T, path string, s schema, example map[string]any) {
	t.Helper()
	s = d.resolve(t, s)
	for _, name := range s.Required {
		if _, ok := s.Properties[name]; !ok {
			t.Errorf("%s requires %s, which it does not describe", path, name)
		}
	}
	for name := range s.Properties {
		if _, ok := example[name]; !ok {
			t.Errorf("%s describes %s, which is never written", path, name)
		}
	}
	for name, value := range example {
		property, ok := s.Properties[name]
		if !ok {
			t.Errorf("%s does not describe %s", path, name)
			continue
		}
		d.compareValue(t, path+"."+name, d.resolve(t, property), value)
	}
}

// compareValue goes into an object, and into the first object of a list.
func (d description) compareValue(t *testing.T, path string, s schema, value any) {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		if s.Others == nil {
			d.compare(t, path, s, value)
		}
	case []any:
		if s.Items == nil {
			t.Errorf("%s does not tell what it is a list of", path)
			return
		}
		if inner, ok := value[0].(map[string]any); ok {
			d.compare(t, path+"[0]", *s.Items, inner)
		}
	}
}

// readDescription reads docs/asyncapi.yaml.
func readDescription(t *testing.T) description {
	t.Helper()
	raw, err := os.ReadFile("../docs/asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var d description
	if err := yaml.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// merge adds to one example what only another has.
func merge(one, other map[string]any) {
	for name, value := range other {
		inner, isObject := value.(map[string]any)
		if into, both := one[name].(map[string]any); both && isObject {
			merge(into, inner)
		} else if _, there := one[name]; !there {
			one[name] = value
		}
	}
}

// Ensure that the description of the log for other consumers knows every stored
// name, with the headers and fields that it is written with.
func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	d := readDescription(t)
	if !strings.HasPrefix(d.AsyncAPI, "3.") {
		t.Errorf("asyncapi is %q", d.AsyncAPI)
	}
	for channel, names := range map[string][]string{"events": domain.EventTypes(), "channels": eventstore.RecordTypes()} {
		if got := d.Channels[channel].Address; got != "parley."+channel {
			t.Errorf("the address of %s is %q", channel, got)
		}
		for _, name := range names {
			if d.Channels[channel].Messages[name].Ref != "#/components/messages/"+name || d.Components.Messages[name].Payload.Ref == "" {
				t.Errorf("%s does not describe %s", channel, name)
			}
		}
		for name := range d.Channels[channel].Messages {
			if !slices.Contains(names, name) {
				t.Errorf("%s describes %s, which is not written", channel, name)
			}
		}
	}
	for name, e := range newest() {
		g := readGolden(t, e.file(), golden{})
		headers, value := map[string]any{}, map[string]any{}
		for header, text := range g.Headers {
			headers[header] = text
		}
		if err := json.Unmarshal(g.Value, &value); err != nil {
			t.Fatal(err)
		}
		d.compare(t, name+" headers", d.Components.Messages[name].Headers, headers)
		d.compare(t, name, d.Components.Messages[name].Payload, value)
	}
}

// Ensure that the channel records are described with the fields they have.
func TestAsyncAPIRecords(t *testing.T) {
	t.Parallel()
	d := readDescription(t)
	log := newTestLog(t)
	furnish(t, log.registryAt(t, ticking(), newSealer(t, key(1))))
	headers, values := map[string]map[string]any{}, map[string]map[string]any{}
	for _, g := range log.records(t) {
		name, value, header := g.Headers["ce_type"], map[string]any{}, map[string]any{}
		for h, text := range g.Headers {
			header[h] = text
		}
		if err := json.Unmarshal(g.Value, &value); err != nil {
			t.Fatal(err)
		}
		if values[name] == nil {
			headers[name], values[name] = map[string]any{}, map[string]any{}
		}
		merge(headers[name], header)
		merge(values[name], value)
	}
	for _, name := range eventstore.RecordTypes() {
		d.compare(t, name+" headers", d.Components.Messages[name].Headers, headers[name])
		d.compare(t, name, d.Components.Messages[name].Payload, values[name])
	}
}
