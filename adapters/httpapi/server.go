package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of the server. Those of a dialect's bodies are its own, below MaxBody
// unless its door is roomy.
const (
	readHeaderTimeout = 10 * time.Second
	bodyTimeout       = 30 * time.Second // for a whole request body to come in
	mostBodyTimeout   = 10 * time.Minute // the same for the largest that any door takes
	writeTimeout      = 60 * time.Second // for an answer; streams extend it as they go
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
	requestTimeout    = 30 * time.Second // what a handler may take, streams apart

	// DefaultMaxBody bounds every request body, in bytes.
	DefaultMaxBody = 8 << 20
	// DefaultGrace is how long a stop waits for requests that are being answered.
	DefaultGrace = 4 * time.Second
)

// Door is a dialect's, or another front's, own set of routes.
type Door interface {
	Register(mux *http.ServeMux)
}

// roomy is a Door that takes larger bodies than others in some of its requests.
type roomy interface {
	// MaxBody bounds the body of a request, in bytes; 0 where the server's bound will
	// do, as for all requests of other doors.
	MaxBody(r *http.Request) int64
}

// lasting is a Door some of whose requests have no end in sight, such as sockets.
// They bound each write instead.
type lasting interface {
	Lasts(r *http.Request) bool
}

// Config wires a Server. Without a Platform there is no /v1: a node that has not
// the role api still tells its health and metrics.
type Config struct {
	Platform   *Platform
	Doors      []Door
	Checks     []Check
	Gatherer   prometheus.Gatherer
	Registerer prometheus.Registerer
	Logger     *slog.Logger
	MaxBody    int64         // bytes, for all requests but those of which a door says more; 0 = DefaultMaxBody
	Grace      time.Duration // 0 = DefaultGrace
	// Drain is how long a server that is asked to stop goes on taking connections
	// after /readyz has begun to say so: as long as a load balancer may need to
	// notice, a few seconds at most.
	Drain time.Duration
}

// Server answers HTTP.
type Server struct {
	guard    *guard
	mux      *http.ServeMux
	log      *slog.Logger
	grace    time.Duration
	drain    time.Duration
	stopping atomic.Bool
}

// New builds the server with all its routes. Two doors that claim one path are a
// mistake of the program and end it here.
func New(cfg Config) (*Server, error) {
	if cfg.Gatherer == nil || cfg.Registerer == nil || cfg.Logger == nil {
		return nil, errors.New("build the HTTP server: Gatherer, Registerer and Logger are needed")
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("build the HTTP server: %w", err)
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	s := &Server{mux: http.NewServeMux(), log: cfg.Logger, grace: cfg.Grace, drain: cfg.Drain}
	s.guard = &guard{next: s.mux, metrics: m, log: cfg.Logger, maxBody: cfg.MaxBody, bodyTimeout: bodyTimeout}

	s.mux.HandleFunc("GET /healthz", alive)
	s.mux.Handle("GET /readyz", &readiness{checks: cfg.Checks, stopping: &s.stopping})
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Gatherer, promhttp.HandlerOpts{
		// A scraper that goes before the end is told of here as well.
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4, Timeout: requestTimeout,
	}))
	if cfg.Platform != nil {
		if err := registerPlatform(s.mux, *cfg.Platform, m, cfg.Logger); err != nil {
			return nil, fmt.Errorf("build the platform API: %w", err)
		}
		s.mux.Handle("GET /{$}", http.RedirectHandler("/docs", http.StatusFound))
	} else {
		s.mux.HandleFunc("GET /{$}", greet)
	}
	for _, d := range cfg.Doors {
		d.Register(s.mux)
		if r, ok := d.(roomy); ok {
			s.guard.roomy = append(s.guard.roomy, r)
		}
		if l, ok := d.(lasting); ok {
			s.guard.lasting = append(s.guard.lasting, l)
		}
	}
	return s, nil
}

// greet answers at the root of a node that serves no API.
func greet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	// An error here is a caller who has gone.
	_, _ = io.WriteString(w, "Parley. This node does not serve the API; see /readyz and /metrics.\n")
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.stopping.Load() {
		// The caller opens its next connection elsewhere. Were the connection closed
		// while it is idle, a request that is under way on it would fail.
		w.Header().Set("Connection", "close")
	}
	s.guard.ServeHTTP(w, r)
}

// Serve answers requests of a listener until ctx ends. It then says at /readyz
// that it is stopping, and goes on for the time to drain, in which it closes each
// connection with the answer to its next request. After that it takes no new
// connections, lets requests that are being answered finish within the grace, and
// ends them after it. The listener is closed when Serve returns; nil is a clean
// stop.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	// Requests live on while the server drains, so they do not hang on ctx.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var unused silent
	srv := &http.Server{
		ConnState:         unused.changed,
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	if s.drain > 0 {
		select {
		case err := <-served:
			return fmt.Errorf("serve HTTP: %w", err)
		case <-time.After(s.drain):
		}
	}
	grace, done := context.WithTimeout(base, s.grace)
	defer done()
	var closing sync.WaitGroup
	closing.Go(func() { unused.close(grace, silentFor(s.grace)) })
	err := srv.Shutdown(grace)
	done()
	closing.Wait()
	if err != nil {
		cancel() // what is still running is told to end, then cut
		err = errors.Join(fmt.Errorf("stop HTTP within %s: %w", s.grace, err), srv.Close())
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve HTTP: %w", ended))
	}
	return err
}
