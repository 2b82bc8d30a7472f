package httpapi

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the page's template
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

//go:embed docs.html
var docsTemplate string

//go:embed docs.css
var docsStyle string

// docsPage is /docs: the OpenAPI document for people, made once. It needs no
// script and nothing from elsewhere.
type docsPage struct {
	html []byte
	csp  string
}

func newDocsPage(openAPI []byte) (*docsPage, error) {
	var doc openAPIDoc
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	page, err := template.New("docs").Parse(docsTemplate)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, doc.view()); err != nil {
		return nil, fmt.Errorf("fill the template: %w", err)
	}
	sum := sha256.Sum256([]byte(docsStyle))
	return &docsPage{
		html: out.Bytes(),
		csp: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}, nil
}

// ServeHTTP answers with the page.
func (d *docsPage) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", d.csp)
	// An error here is a caller who has gone.
	_, _ = w.Write(d.html)
}

// openAPIDoc is what the page needs of the document.
type openAPIDoc struct {
	Info struct {
		Title       string `json:"title"`
		Version     string `json:"version"`
		Description string `json:"description"`
	} `json:"info"`
	Servers []struct {
		URL string `json:"url"`
	} `json:"servers"`
	Paths      map[string]map[string]docOperation `json:"paths"`
	Components struct {
		Schemas map[string]docSchema `json:"schemas"`
	} `json:"components"`
}

type docOperation struct {
	ID          string   `json:"operationId"`
	Summary     string   `json:"summary"`
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
	Parameters  []struct {
		Name        string    `json:"name"`
		In          string    `json:"in"`
		Required    bool      `json:"required"`
		Description string    `json:"description"`
		Schema      docSchema `json:"schema"`
	} `json:"parameters"`
	RequestBody *struct {
		Content map[string]docContent `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Description string                `json:"description"`
		Content     map[string]docContent `json:"content"`
	} `json:"responses"`
}

type docContent struct {
	Schema docSchema `json:"schema"`
}

type docSchema struct {
	Ref         string               `json:"$ref"`
	Type        any                  `json:"type"`
	Format      string               `json:"format"`
	Description string               `json:"description"`
	Enum        []any                `json:"enum"`
	Items       *docSchema           `json:"items"`
	Properties  map[string]docSchema `json:"properties"`
	Required    []string             `json:"required"`
	Default     any                  `json:"default"`
	MaxLength   *int                 `json:"maxLength"`
	Minimum     *float64             `json:"minimum"`
	Maximum     *float64             `json:"maximum"`
}

type docsView struct {
	Title, Version, Server string
	StyleTag               template.CSS
	Intro                  []string
	Groups                 []docsGroup
	Schemas                []docsSchema
}

type docsGroup struct {
	Name       string
	Operations []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary string
	Description               []string
	Parameters                []docsField
	Body                      *docsType
	Answers                   []docsAnswer
	Problems                  string
}

type docsAnswer struct {
	Status, Text string
	Body         *docsType
}

type docsSchema struct {
	Name   string
	Fields []docsField
}

type docsField struct {
	Name, In    string
	Type        docsType
	Required    bool
	Description string
	Rule        string
}

// docsType is a type with the schema that it leads to, if any.
type docsType struct{ Before, Link, After string }

func (d openAPIDoc) view() docsView {
	v := docsView{
		Title: d.Info.Title, Version: d.Info.Version, Intro: strings.Split(d.Info.Description, "\n\n"),
		StyleTag: template.CSS(docsStyle), //nolint:gosec // our own file, and the policy names its hash
	}
	if len(d.Servers) > 0 {
		v.Server = d.Servers[0].URL
	}
	groups := map[string]*docsGroup{}
	order := []string{
		tagChannels, tagConversations, tagMessages, tagContacts, tagDeliveries, tagEndpoints,
		tagSubscriptions, tagFiles, tagEvents,
		tagQueues, tagFunctions, tagAgents, tagSkills, tagTags, tagTopicSets, tagAPITokens, tagTokens, tagAccounts, tagKeys,
	}
	for _, path := range sortedKeys(d.Paths) {
		for _, method := range []string{"get", "post", "patch", "delete"} {
			op, ok := d.Paths[path][method]
			if !ok {
				continue
			}
			tag := op.Tags[0]
			if groups[tag] == nil {
				groups[tag] = &docsGroup{Name: tag}
			}
			groups[tag].Operations = append(groups[tag].Operations, op.view(method, path))
		}
	}
	for _, tag := range order {
		if g := groups[tag]; g != nil {
			v.Groups = append(v.Groups, *g)
		}
	}
	for _, name := range sortedKeys(d.Components.Schemas) {
		v.Schemas = append(v.Schemas, docsSchema{Name: name, Fields: d.Components.Schemas[name].fields()})
	}
	return v
}

func (op docOperation) view(method, path string) docsOperation {
	v := docsOperation{
		ID: op.ID, Method: strings.ToUpper(method), Path: path, Summary: op.Summary, Description: strings.Split(op.Description, "\n\n"),
	}
	for _, p := range op.Parameters {
		v.Parameters = append(v.Parameters, docsField{
			Name: p.Name, In: p.In, Required: p.Required, Description: p.Description, Type: p.Schema.typeOf(), Rule: p.Schema.rule(),
		})
	}
	if op.RequestBody != nil {
		t := op.RequestBody.Content["application/json"].Schema.typeOf()
		v.Body = &t
	}
	var problems []string
	for _, status := range sortedKeys(op.Responses) {
		r := op.Responses[status]
		if status >= "400" {
			problems = append(problems, status+" "+r.Description)
			continue
		}
		a := docsAnswer{Status: status, Text: r.Description}
		if c, ok := r.Content["application/json"]; ok {
			t := c.Schema.typeOf()
			a.Body = &t
		}
		v.Answers = append(v.Answers, a)
	}
	v.Problems = strings.Join(problems, ", ")
	return v
}

func (s docSchema) fields() []docsField {
	fields := make([]docsField, 0, len(s.Properties))
	for _, name := range sortedKeys(s.Properties) {
		f := s.Properties[name]
		fields = append(fields, docsField{
			Name: name, Required: slices.Contains(s.Required, name), Description: f.Description, Type: f.typeOf(), Rule: f.rule(),
		})
	}
	return fields
}

func (s docSchema) typeOf() docsType {
	switch {
	case s.Ref != "":
		return docsType{Link: s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]}
	case s.Items != nil:
		t := s.Items.typeOf()
		return docsType{Before: "list of " + t.Before, Link: t.Link, After: t.After}
	}
	name := ""
	switch t := s.Type.(type) {
	case string:
		name = t
	case []any: // a type and null
		words := make([]string, len(t))
		for i, w := range t {
			words[i] = fmt.Sprint(w)
		}
		name = strings.Join(words, " or ")
	}
	if s.Format != "" && s.Format != "double" && s.Format != "int64" {
		name += " (" + s.Format + ")"
	}
	return docsType{Before: name}
}

func (s docSchema) rule() string {
	var rules []string
	if len(s.Enum) > 0 {
		words := make([]string, len(s.Enum))
		for i, e := range s.Enum {
			words[i] = fmt.Sprint(e)
		}
		rules = append(rules, "one of "+strings.Join(words, ", "))
	}
	if s.Minimum != nil && s.Maximum != nil {
		rules = append(rules, fmt.Sprintf("%.0f to %.0f", *s.Minimum, *s.Maximum))
	}
	if s.MaxLength != nil {
		rules = append(rules, fmt.Sprintf("at most %d characters", *s.MaxLength))
	}
	if s.Default != nil {
		rules = append(rules, fmt.Sprintf("default %v", s.Default))
	}
	return strings.Join(rules, "; ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
