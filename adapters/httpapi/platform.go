package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/parley-im/parley/domain"
)

// apiVersion is the version of the platform API, not of the program.
const apiVersion = "1.0.0"

// maxJSONBody bounds the body of a platform request, in bytes.
const maxJSONBody = 1 << 20

// Platform wires /v1. All fields but Files are needed.
type Platform struct {
	PublicURL   string // base of the URLs handed out
	Tokens      tokens
	TokenAdmin  tokenAdmin
	Channels    registry
	Directory   directory
	Numbers     numbers
	Tickets     tickets
	ManyTickets manyTickets
	Log         log
	Reads       reads
	Deliveries  deliveries
	Redrives    redrives
	Freshness   freshness
	History     history
	Prober      prober
	Previewer   previewer
	Idempotency idempotency
	Sealer      sealer
	Now         func() time.Time
	Random      io.Reader // of cryptographic quality
	Files       files     // nil = this node takes no uploads
}

func (p Platform) validate() error {
	v := reflect.ValueOf(p)
	for i := range v.NumField() {
		if v.Field(i).IsZero() && v.Type().Field(i).Name != "Files" {
			return fmt.Errorf("%s is missing", v.Type().Field(i).Name)
		}
	}
	if u, err := url.Parse(p.PublicURL); err != nil || u.Host == "" {
		return fmt.Errorf("PublicURL must be an absolute URL, not %q", p.PublicURL)
	}
	return nil
}

// platform is the API under /v1.
type platform struct {
	Platform
	huma    huma.API
	metrics *metrics
	log     *slog.Logger
	exports chan struct{} // one place for each export that runs
	uploads chan struct{} // one place for each file in memory
	changes chan struct{} // one place: who changes settings that name each other
}

// registerPlatform puts /v1 and its description on the mux.
func registerPlatform(mux *http.ServeMux, cfg Platform, m *metrics, logger *slog.Logger) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	p := &platform{Platform: cfg, metrics: m, log: logger, exports: make(chan struct{}, mostExports),
		uploads: make(chan struct{}, mostUploads), changes: make(chan struct{}, 1)}
	p.huma = humago.New(mux, humaConfig(cfg.PublicURL))
	p.accountRoutes()
	p.tokenRoutes()
	p.apiTokenRoutes()
	p.keyRoutes()
	p.channelRoutes()
	p.subscriptionRoutes()
	p.queueRoutes()
	p.functionRoutes()
	p.tagRoutes()
	p.topicSetRoutes()
	p.skillRoutes()
	p.agentRoutes()
	p.contactRoutes()
	p.conversationRoutes()
	p.messageRoutes()
	p.deliveryRoutes()
	p.redriveRoutes()
	p.endpointRoutes()
	p.eventRoutes()
	p.fileRoutes()

	openAPI, err := p.describe()
	if err != nil {
		return err
	}
	mux.HandleFunc("GET /v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		// An error here is a caller who has gone.
		_, _ = w.Write(openAPI)
	})
	page, err := newDocsPage(openAPI)
	if err != nil {
		return fmt.Errorf("make /docs: %w", err)
	}
	mux.Handle("GET /docs", page)
	for _, path := range []string{"/v1/openapi.json", "/docs"} {
		m.expect(path, http.MethodGet)
	}
	return nil
}

func humaConfig(publicURL string) huma.Config {
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Parley platform API", Version: apiVersion, Description: apiDescription,
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Servers: []*huma.Server{{URL: publicURL}},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "A platform token, or the installation's admin token."},
				},
			},
		},
		Formats: map[string]huma.Format{
			"application/json": {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal},
			"json":             {Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal},
		},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers: []huma.Transformer{func(_ huma.Context, _ string, v any) (any, error) {
			if m, ok := v.(*huma.ErrorModel); ok {
				return problemOfModel(m), nil
			}
			return v, nil
		}},
	}
	return config
}

// schemaName names a schema after its Go type: channelView is Channel.
func schemaName(t reflect.Type, hint string) string {
	return strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "View")
}

// unmarshal reads JSON and refuses the character U+0000, which no store of ours
// can keep, wherever it stands.
func unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil {
		return err
	}
	if parsed, ok := v.(*any); ok && holdsZero(*parsed) {
		return errors.New("texts must not contain the character U+0000")
	}
	return nil
}

func holdsZero(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.IndexByte(v, 0) >= 0
	case []any:
		return slices.ContainsFunc(v, holdsZero)
	case map[string]any:
		for k, e := range v {
			if strings.IndexByte(k, 0) >= 0 || holdsZero(e) {
				return true
			}
		}
	}
	return false
}

// operation is what an operation's page in the description needs, and who may
// call it.
type operation struct {
	id, method, path string
	tag, summary     string
	description      string
	need             domain.Role
	status           int   // of success
	mostBody         int64 // bytes; 0 = maxJSONBody
	problems         []int // besides those that every operation of its kind has
}

// handle puts an operation on the mux. It is a function because methods have no
// type parameters.
func handle[I, O any](p *platform, op operation, do func(context.Context, caller, *I) (*O, error)) {
	if op.mostBody == 0 {
		op.mostBody = maxJSONBody
	}
	h := huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Tags: []string{op.tag}, Summary: op.summary,
		Description:   strings.TrimSpace(op.description + "\n\nNeeds role " + string(op.need) + "."),
		DefaultStatus: op.status, Security: []map[string][]string{{"token": {}}},
		MaxBodyBytes:    op.mostBody + 1, // huma refuses a body of exactly the limit; ours was checked before
		BodyReadTimeout: -1,              // the body is in memory by then
		Responses:       map[string]*huma.Response{},
		Middlewares:     huma.Middlewares{p.admit(op)},
	}
	problem := p.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	for _, status := range append(commonProblems(op), op.problems...) {
		h.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status),
			Content:     map[string]*huma.MediaType{problemType: {Schema: problem}},
		}
	}
	huma.Register(p.huma, h, func(ctx context.Context, in *I) (*O, error) {
		v := visitOf(ctx)
		out, err := do(ctx, v.caller, in)
		if err != nil {
			v.told = true
			return nil, p.told(ctx, op.id, err)
		}
		return out, nil
	})
	p.metrics.expect(op.path, op.method)
}

// commonProblems are those that every operation of its kind can answer.
func commonProblems(op operation) []int {
	list := []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable}
	switch op.method {
	case http.MethodPost:
		list = append(list, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge)
	case http.MethodPatch:
		list = append(list, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge)
	}
	if strings.Contains(op.path, "{") {
		list = append(list, http.StatusNotFound)
	}
	return list
}

// told turns an error into a problem, and logs what is our fault.
func (p *platform) told(ctx context.Context, operation string, err error) *Problem {
	problem := problemOf(err)
	switch {
	case problem.Code == domain.CodeInternal && domain.Away(err):
		problem = problemOf(&domain.Error{Code: domain.CodeUnavailable, Message: "A part that this needs is away or slow; repeat the request."})
		p.log.Warn("api.part_away", "operation", operation, "error", err)
	case problem.Code == domain.CodeInternal && ctx.Err() != nil:
		// The caller has gone, or has at least said all that it will say: what was
		// being done ended with that, and is no fault of anything.
		problem = problemOf(&domain.Error{Code: domain.CodeUnavailable, Message: "The connection ended while the request was served; repeat it."})
	case problem.Code == domain.CodeUnavailable && ctx.Err() == nil:
		p.log.Warn("api.not_now", "operation", operation, "error", err)
	case problem.Status >= http.StatusInternalServerError && ctx.Err() == nil:
		p.log.Error("api.failed", "operation", operation, "status", problem.Status, "error", err)
	}
	return problem
}

// describe gives the OpenAPI document, with stable order and indentation.
func (p *platform) describe() ([]byte, error) {
	schemas := p.huma.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel") // huma's own, which no answer uses
	delete(schemas, "ErrorDetail")
	for name, s := range schemas {
		if !strings.HasSuffix(name, "Input") {
			s.AdditionalProperties = nil // answers may grow
		}
	}
	text, err := json.MarshalIndent(p.huma.OpenAPI(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return append(text, '\n'), nil
}
