package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// manners is a way in which a receiver behaves badly.
type manners struct {
	name   string
	every  int64 // it does so at each so-manieth call
	storm  bool  // or rather in one second of every six
	answer func(w http.ResponseWriter, req *http.Request)
	tls    bool // it is its certificates that are bad
	final  bool // what it refuses is refused for good
}

// badManners are all of them. inside is an address that no callback may reach.
func badManners(inside string) []manners {
	return []manners{{
		name: "well",
	}, {
		name: "hangs", every: 15, answer: func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() },
	}, {
		name: "trickles", every: 15, answer: trickle,
	}, {
		name: "errors", every: 20, answer: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) },
	}, {
		name: "storms", every: 1, storm: true, answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", strconv.Itoa(int(stayAway/time.Second)))
			http.Error(w, "too many", http.StatusTooManyRequests)
		},
	}, {
		name: "redirects", every: 5, final: true, answer: func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, inside, http.StatusTemporaryRedirect)
		},
	}, {
		name: "floods", every: 15, answer: flood,
	}, {
		name: "tls", every: 3, tls: true,
	}}
}

// trickle answers a byte a second until the caller has gone.
func trickle(w http.ResponseWriter, req *http.Request) {
	w.WriteHeader(http.StatusOK)
	for {
		if _, err := w.Write([]byte(" ")); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		if pause(req.Context(), time.Second) != nil {
			return
		}
	}
}

// flooded is the size of an answer of a receiver that floods, in bytes.
const flooded = 2 << 30

// flood answers as much as the caller takes, 2 GiB at most.
func flood(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", strconv.Itoa(flooded))
	w.WriteHeader(http.StatusInternalServerError)
	chunk := make([]byte, 1<<20)
	for range flooded / len(chunk) {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// counted is a receiver with manners, which counts how often it showed them.
type counted struct {
	*receiver

	manners manners
	url     string
	strict  bool        // a call that comes too early is one that must not have come
	well    atomic.Bool // it behaves for now
	calls   atomic.Int64
	bad     atomic.Int64
	astray  atomic.Int64 // calls that must not have come
	told    atomic.Int64 // when everybody was told to stay away, in ns; 0 = never
	shown   sync.Map     // addresses of callers that were last shown a bad certificate
}

const (
	// stayAway is the Retry-After of a storm.
	stayAway = time.Second
	// underWay is how long after a 429 calls come that were begun before it was read.
	underWay = 200 * time.Millisecond
)

// newMannered starts a receiver with manners.
func (r *run) newMannered(ctx context.Context, m manners, certs *certificates) (*counted, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for callbacks: %w", err)
	}
	c := &counted{receiver: &receiver{addr: l.Addr().String(), takes: 5 * time.Millisecond}, manners: m, url: "http://" + l.Addr().String(), strict: r.full()}
	c.server = &http.Server{
		Handler: c.receiver, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	if m.tls {
		c.url = "https://" + c.addr
		c.server.SetKeepAlivesEnabled(false) // a handshake for each call
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			from := hello.Conn.RemoteAddr().String()
			if c.well.Load() || c.calls.Add(1)%m.every != 0 {
				c.shown.Delete(from) // ports come again
				return certs.good, nil
			}
			c.shown.Store(from, true)
			return certs.wrong(c.bad.Add(1))
		}})
	}
	c.answer = c.misbehave
	go func() { _ = c.server.Serve(l) }() // until it is closed
	r.onEnd(c.server.Close)
	return c, nil
}

// misbehave answers a call badly when it is its turn. It counts calls that must not
// have come.
func (c *counted) misbehave(w http.ResponseWriter, req *http.Request) bool {
	now := time.Now()
	since := now.Sub(time.Unix(0, c.told.Load()))
	early := since > underWay && since < stayAway && c.strict
	if _, shown := c.shown.Load(req.RemoteAddr); shown || early {
		c.astray.Add(1)
	}
	m := c.manners
	if m.answer == nil || c.well.Load() || c.calls.Add(1)%m.every != 0 || m.storm && now.Unix()%6 != 0 {
		return false
	}
	c.bad.Add(1)
	if m.storm && since >= stayAway {
		c.told.Store(now.UnixNano())
	}
	m.answer(w, req)
	return true
}

// certificates are one that is good, and others.
type certificates struct {
	roots                  string // file with what the good one is trusted by
	good                   *tls.Certificate
	expired, other, nobody *tls.Certificate
}

var errNoHandshake = errors.New("no certificate this time")

// wrong gives in turn a certificate that has expired, one for another name, one that
// nobody has signed, and none at all.
func (c *certificates) wrong(n int64) (*tls.Certificate, error) {
	switch n % 4 {
	case 0:
		return c.expired, nil
	case 1:
		return c.other, nil
	case 2:
		return c.nobody, nil
	default:
		return nil, errNoHandshake
	}
}

// makeCertificates makes them, and keeps the good one's root in a file.
func makeCertificates(file string) (*certificates, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Faults"}, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	var errs []error
	sign := func(address string, until time.Time, parent *x509.Certificate) *tls.Certificate {
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "callbacks"}, NotBefore: now.Add(-24 * time.Hour), NotAfter: until,
			IPAddresses: []net.IP{net.ParseIP(address)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		if parent == nil {
			parent = leaf
		}
		raw, err := x509.CreateCertificate(rand.Reader, leaf, parent, key.Public(), key)
		errs = append(errs, err)
		return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
	}
	raw, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	errs = append(errs, err)
	const here = "127.0.0.1"
	c := &certificates{
		roots: file, good: sign(here, now.Add(24*time.Hour), root), expired: sign(here, now.Add(-time.Hour), root),
		other: sign("127.0.0.2", now.Add(24*time.Hour), root), nobody: sign(here, now.Add(24*time.Hour), nil),
	}
	errs = append(errs, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o644)) //nolint:gosec // a certificate is public
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	return c, nil
}
