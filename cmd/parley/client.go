package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// remote is how a command reaches a running Parley.
type remote struct {
	URL   string `help:"Parley to talk to." default:"http://127.0.0.1:8080" placeholder:"URL"`
	Token string `help:"Platform token. Empty takes PARLEY_ADMIN_TOKEN, then the token that dev keeps in --data." placeholder:"TOKEN"`
	Data  string `help:"Data folder of a dev on this machine." default:".parley" placeholder:"DIR"`
	JSON  bool   `help:"Print the API's JSON instead of a table."`
}

// callTimeout bounds one call, except for streams.
const callTimeout = 30 * time.Second

func (r remote) token() (string, error) {
	if r.Token != "" {
		return r.Token, nil
	}
	if t := os.Getenv("PARLEY_ADMIN_TOKEN"); t != "" {
		return t, nil
	}
	text, err := os.ReadFile(filepath.Join(r.Data, "admin-token"))
	if err != nil {
		return "", errors.New("no token: give --token, set PARLEY_ADMIN_TOKEN, or name the folder of a dev on this machine with --data")
	}
	return strings.TrimSpace(string(text)), nil
}

// open makes a call and gives the body of a good answer; the error of a bad one
// is what the API says.
func (r remote) open(ctx context.Context, method, path string, body any) (io.ReadCloser, error) {
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(r.URL, "/")+path, content)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := new(http.Client).Do(req)
	if err != nil {
		return nil, fmt.Errorf("reach Parley at %s (--url names another): %w", r.URL, err)
	}
	if resp.StatusCode < 300 {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	var problem struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Errors []struct {
			Field   string `json:"field"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(raw, &problem) != nil || problem.Title == "" {
		return nil, fmt.Errorf("%s answered %s", r.URL, resp.Status)
	}
	text := problem.Title
	if problem.Detail != "" {
		text = problem.Detail
	}
	for i, e := range problem.Errors {
		if i > 0 { // the first one is the detail
			text += "\n" + strings.TrimPrefix(e.Field+": "+e.Message, ": ")
		}
	}
	return nil, errors.New(text)
}

// call makes a call and gives the body of the answer.
func (r remote) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := r.open(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	raw, err := io.ReadAll(answer)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return raw, nil
}

// print makes a call and prints the answer.
func (r remote) print(ctx context.Context, s streams, method, path string, body any) error {
	raw, err := r.call(ctx, method, path, body)
	if err != nil {
		return err
	}
	return indent(s.out, raw)
}

func indent(w io.Writer, raw []byte) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	_, err := fmt.Fprintln(w, strings.TrimSpace(out.String()))
	return err
}
