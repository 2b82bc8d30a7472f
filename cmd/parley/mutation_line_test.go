//go:build mutations

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// line is one connection after another, on which requests are written byte for
// byte: a client of net/http would not send most of them.
type line struct {
	world    *mutationWorld
	verdicts *verdicts
	conn     net.Conn
	reader   *bufio.Reader
	used     int
}

func (l *line) close() {
	if l.conn != nil {
		_ = l.conn.Close()
	}
	l.conn = nil
}

// open connects, from one of many addresses: logins that fail are counted by address.
func (l *line) open(rng *rand.Rand) error {
	base, err := url.Parse(l.world.parley.URL)
	if err != nil {
		return err
	}
	from := &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+rng.IntN(250)), byte(1+rng.IntN(250)))}
	l.conn, err = (&net.Dialer{Timeout: 5 * time.Second, LocalAddr: from}).Dial("tcp", base.Host)
	if err != nil {
		return err
	}
	l.reader, l.used = bufio.NewReader(l.conn), 0
	return nil
}

// answerTimeout is how long a whole answer may take before it counts as none.
const answerTimeout = 20 * time.Second

// send sends a request and judges what comes.
func (l *line) send(rng *rand.Rand, m *mutant) {
	if l.conn == nil || l.used > 40 || m.name == "kit login" {
		l.close()
		if err := l.open(rng); err != nil {
			l.verdicts.note(m, 0, 0, []string{"cannot connect: " + err.Error()})
			return
		}
	}
	raw, whole := m.wire()
	m.cutOff = !whole
	began := time.Now()
	conn := l.conn // it may be closed, and forgotten, before all is written
	_ = conn.SetDeadline(began.Add(answerTimeout))
	wrote := make(chan error, 1)
	go func() {
		_, err := conn.Write(raw)
		if tcp, ok := conn.(*net.TCPConn); ok && !whole {
			err = errors.Join(err, tcp.CloseWrite()) // nothing more will come
		}
		wrote <- err
	}()
	response, body, err := l.read(m) //nolint:bodyclose // read whole, and the connection is closed by us
	took := time.Since(began)
	if err != nil || !whole || response.Close {
		l.close()
	}
	wrong := <-wrote
	l.used++
	if err != nil {
		var faults []string
		// Who stops in the midst, or writes on after a refusal, may be cut off.
		if whole && wrong == nil && len(m.body) < 256<<10 && readable(raw) {
			faults = []string{"no answer: " + err.Error()}
		}
		l.verdicts.note(m, 0, took, faults)
		return
	}
	if wrong != nil {
		l.close()
	}
	l.verdicts.note(m, response.StatusCode, took, l.judge(m, response, body, raw))
}

// read reads the answer, after such that only announce it.
func (l *line) read(m *mutant) (*http.Response, []byte, error) {
	for {
		method := m.method
		if method == "" {
			method = http.MethodGet
		}
		response, err := http.ReadResponse(l.reader, &http.Request{Method: method})
		if err != nil {
			return nil, nil, err
		}
		if response.StatusCode == http.StatusSwitchingProtocols { // a socket; it is not talked to
			response.Close = true
			return response, nil, nil
		}
		if response.StatusCode/100 == 1 {
			continue
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		return response, body, err
	}
}

// judge lists what is wrong with an answer.
func (l *line) judge(m *mutant, response *http.Response, body, sent []byte) (faults []string) {
	status := response.StatusCode
	// net/http says these of the framing, before anybody else is asked.
	framing := status == http.StatusNotImplemented && m.framing == "te gzip" || status == http.StatusHTTPVersionNotSupported && m.framing == "http/9.9"
	// Who does not wait for the answer is not told that it is done.
	gone := status == http.StatusServiceUnavailable && m.cutOff && (response.Header.Get("Retry-After") != "" || m.area == "other")
	if status >= 500 && !framing && !gone {
		faults = append(faults, fmt.Sprintf("status %d at %s: %.300s", status, m.name, body))
	}
	if !bytes.Contains(sent, []byte(l.world.mark)) && !m.operator && (bytes.Contains(body, []byte(l.world.mark)) || strings.Contains(fmt.Sprint(response.Header), l.world.mark)) {
		faults = append(faults, fmt.Sprintf("the victim's data in an answer of %s: %.600s", m.name, body))
	}
	for _, secret := range l.world.victim.secrets {
		if !m.operator && bytes.Contains(body, []byte(secret)) && !bytes.Contains(sent, []byte(secret)) {
			faults = append(faults, fmt.Sprintf("a secret of the victim's in an answer of %s: %.600s", m.name, body))
		}
	}
	if m.forbidden != "" && m.forbidden == m.method && status/100 == 2 {
		faults = append(faults, fmt.Sprintf("a reader may not %s: %.300s", m.name, body))
	}
	if m.stranger && status/100 == 2 && m.area != "other" && response.Request.Method != http.MethodOptions && !open(m.path) {
		faults = append(faults, fmt.Sprintf("let in with credentials of others at %s: %.300s", m.name, body))
	}
	kind := response.Header.Get("Content-Type")
	if strings.Contains(kind, "json") && len(body) > 0 && !strings.Contains(kind, "ndjson") && (!json.Valid(body) || !utf8.Valid(body)) {
		faults = append(faults, fmt.Sprintf("an answer of %s that is no JSON: %.300q", m.name, body))
	}
	if status/100 == 4 && response.Request.Method != http.MethodHead && !wellTold(status, kind, body) && !channelxTold(m, status, kind, body) && !byNetHTTP(response, body) &&
		!strings.Contains(m.path, "/files/") { // a link for browsers
		faults = append(faults, fmt.Sprintf("a refusal of %s in no door's shape: %d %s %.300q", m.name, status, kind, body))
	}
	l.world.removed.note(m, response.Request.Method, status)
	if status == http.StatusOK && m.area == "channelx" && !m.stranger {
		l.world.channelxMade(m, body)
	}
	if status == http.StatusCreated {
		var made struct {
			ID any `json:"id"`
		}
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		if decoder.Decode(&made) == nil && made.ID != nil && m.area == "v1" && !m.operator {
			l.world.made(strings.Split(strings.TrimPrefix(m.path, "/v1/"), "/")[0], fmt.Sprint(made.ID))
		}
	}
	return faults
}

// open tells whether a path needs no credentials.
func open(path string) bool {
	for _, p := range []string{"/v1/openapi.json", "/docs", "/healthz", "/readyz", "/metrics", "/files/"} {
		if strings.Contains(path, p) {
			return true
		}
	}
	return false
}

// byNetHTTP tells whether the server library refused a request that it could not
// read, before it came to any door.
func byNetHTTP(response *http.Response, body []byte) bool {
	if response.StatusCode == http.StatusExpectationFailed {
		return len(body) == 0
	}
	return response.Close && strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain") && strings.HasPrefix(string(body), fmt.Sprint(response.StatusCode)+" ")
}

// readable tells whether the server library can read a request. What it cannot
// is refused by it and the connection closed, which may overtake the answer.
func readable(raw []byte) bool {
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return false
	}
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	for name := range request.Header {
		if strings.ContainsAny(name, " \x00") {
			return false
		}
	}
	return len(head) < 32<<10 && request.Header.Get("Expect") != "200-ok" && !strings.ContainsAny(request.Host, " [") && strings.IndexByte(request.Host, 0xff) < 0
}

// wellTold tells whether a refusal has the shape of one of the doors.
func wellTold(status int, kind string, body []byte) bool {
	var told struct {
		Status int    `json:"status"` // of the platform API
		Detail string `json:"detail"`
		Code   any    `json:"code"` // of respond.io
		Error  struct {
			Message string `json:"message"`
		} `json:"error"`
		Success *bool `json:"success"` // of Voximplant Kit
		Result  struct {
			Error string `json:"error"`
			Code  int    `json:"code"`
		} `json:"result"`
	}
	if json.Unmarshal(body, &told) != nil {
		return false
	}
	switch {
	case strings.HasPrefix(kind, "application/problem+json"):
		return told.Status == status && told.Detail != "" && told.Code != nil
	case told.Success != nil:
		return !*told.Success && told.Result.Error != "" && told.Result.Code == status
	default:
		return told.Code == float64(status) && told.Error.Message != ""
	}
}

// wire gives the bytes of a request, and whether they are a whole one, after
// which the connection may serve another.
func (m *mutant) wire() (raw []byte, whole bool) {
	var b bytes.Buffer
	version, end := "HTTP/1.1", "\r\n"
	switch m.framing {
	case "http/1.0":
		version = "HTTP/1.0"
	case "http/9.9":
		version = "HTTP/9.9"
	case "bare lf":
		end = "\n"
	}
	b.WriteString(m.method + " " + m.target() + " " + version + end)
	host := false
	for _, h := range m.headers {
		b.WriteString(h.name + ": " + h.text() + end)
		host = host || h.name == "Host"
	}
	if !host {
		b.WriteString("Host: 127.0.0.1" + end)
	}
	line := func(format string, args ...any) { b.WriteString(fmt.Sprintf(format, args...) + end) }
	chunks := func(size int) {
		for rest := m.body; len(rest) > 0; {
			n := min(size, len(rest))
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
	}
	whole = true
	switch m.framing {
	case "chunked":
		line("Transfer-Encoding: chunked")
		b.WriteString(end)
		chunks(max(1, len(m.body)/3))
		b.WriteString("0\r\n\r\n")
	case "bytewise":
		line("Transfer-Encoding: chunked")
		b.WriteString(end)
		chunks(max(1, len(m.body)/2000))
		b.WriteString("0\r\n\r\n")
	case "trailers":
		line("Transfer-Encoding: chunked")
		line("Trailer: Authorization")
		b.WriteString(end)
		chunks(max(1, len(m.body)))
		b.WriteString("0\r\nAuthorization: Bearer x\r\n\r\n")
	case "bad chunk":
		line("Transfer-Encoding: chunked")
		b.WriteString(end)
		fmt.Fprintf(&b, "zz\r\n%s\r\n0\r\n\r\n", m.body)
		whole = false
	case "both":
		line("Content-Length: %d", len(m.body))
		line("Transfer-Encoding: chunked")
		b.WriteString(end)
		chunks(max(1, len(m.body)))
		b.WriteString("0\r\n\r\n")
		whole = false
	case "te gzip":
		line("Transfer-Encoding: gzip")
		b.WriteString(end)
		b.Write(m.body)
		whole = false
	case "short":
		line("Content-Length: %d", len(m.body)/2)
		b.WriteString(end)
		b.Write(m.body)
		whole = false
	case "long":
		line("Content-Length: %d", len(m.body)+10)
		b.WriteString(end)
		b.Write(m.body)
		whole = false
	case "no length":
		b.WriteString(end)
		b.Write(m.body)
		whole = false
	case "two lengths":
		line("Content-Length: %d", len(m.body))
		line("Content-Length: %d", len(m.body)+1)
		b.WriteString(end)
		b.Write(m.body)
		whole = false
	case "negative":
		line("Content-Length: -1")
		b.WriteString(end)
		b.Write(m.body)
		whole = false
	default:
		if len(m.body) > 0 || m.method == http.MethodPost || m.method == http.MethodPatch {
			line("Content-Length: %d", len(m.body))
		}
		b.WriteString(end)
		b.Write(m.body)
		whole = m.framing == ""
	}
	return b.Bytes(), whole
}
