package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/parley-im/parley/adapters/redrive"
	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/projections"
)

// startRedrives lets dead letters be redriven by jobs, where this node delivers.
func (n *node) startRedrives(ctx context.Context) error {
	if !n.cfg.has(roleDelivery) {
		return nil
	}
	runner, err := redrive.New(redrive.Config{
		Store: projections.NewRedrives(n.pool), Log: n.store, Channels: n.registry, Freshness: n, Rate: n.cfg.RedriveRate,
		StealLease: n.cfg.embedded, Now: n.cfg.now, Logger: n.cfg.logger, Registerer: n.metrics,
	})
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	n.onStop(func(context.Context) error { cancel(); <-done; return nil })
	go func() {
		defer close(done)
		select {
		case <-n.up: // the table is there
			runner.Run(running)
		case <-running.Done():
		}
	}()
	return nil
}

type redrivesCommand struct {
	Create redrivesCreate `cmd:"" help:"Redrive all dead letters that match, and watch it."`
	List   redrivesList   `cmd:"" help:"List redrives, newest first."`
	Show   redrivesShow   `cmd:"" help:"Show how far a redrive is."`
	Cancel redrivesCancel `cmd:"" help:"Cancel a redrive; what was redriven stays so."`
	Watch  redrivesWatch  `cmd:"" help:"Follow a redrive until it ends."`
}

// redrivesPath is where redrives are.
const redrivesPath = "/v1/redrives"

// redriveJob is what the commands look at in the API's JSON.
type redriveJob struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Total    int64  `json:"total"`
	Redriven int64  `json:"redriven"`
	Skipped  int64  `json:"skipped"`
	Error    string `json:"error"`
}

type redrivesCreate struct {
	remote

	Channel string    `help:"Only dead letters of this channel." placeholder:"ID"`
	From    time.Time `help:"Only of outbound events from this time on (RFC 3339)." placeholder:"TIME"`
	To      time.Time `help:"Only of outbound events before this time." placeholder:"TIME"`
	Reason  string    `help:"Only those whose last call came to this, such as timeout or server_error." placeholder:"REASON"`
	Kind    string    `help:"Only of this kind: message, close, function, subscription or notice." enum:",message,close,function,subscription,notice" default:"" placeholder:"KIND"`
	DryRun  bool      `help:"Only count."`
	Yes     bool      `help:"Do not ask, however many there are." short:"y"`
	Detach  bool      `help:"Do not wait for its end."`
}

// Run makes a redrive, after asking back when it is about many, and watches it.
func (c redrivesCreate) Run(ctx context.Context, s streams) error {
	body := fields{}
	for name, value := range map[string]string{"channel": c.Channel, "reason": c.Reason, "kind": c.Kind} {
		if value != "" {
			body[name] = value
		}
	}
	for name, value := range map[string]time.Time{"from": c.From, "to": c.To} {
		if !value.IsZero() {
			body[name] = value.Format(time.RFC3339Nano)
		}
	}
	body["dry_run"] = true
	var counted struct {
		Count int64 `json:"count"`
	}
	raw, err := c.call(ctx, http.MethodPost, redrivesPath, body)
	if err == nil {
		err = json.Unmarshal(raw, &counted)
	}
	if err != nil {
		return err
	}
	if c.DryRun {
		if c.JSON {
			return indent(s.out, raw)
		}
		_, err := fmt.Fprintf(s.out, "%d dead letters match\n", counted.Count)
		return err
	}
	if counted.Count > domain.MostUnconfirmed && !c.Yes {
		if err := confirmed(s, counted.Count); err != nil {
			return err
		}
	}
	delete(body, "dry_run")
	body["confirm"] = counted.Count
	var job redriveJob
	if raw, err = c.call(ctx, http.MethodPost, redrivesPath, body); err == nil {
		err = json.Unmarshal(raw, &job)
	}
	if err != nil {
		return err
	}
	if c.Detach {
		return indent(s.out, raw)
	}
	fmt.Fprintf(s.err, "redrive %s\n", job.ID)
	return c.watch(ctx, s, job.ID)
}

// confirmed asks back at a terminal.
func confirmed(s streams, count int64) error {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return fmt.Errorf("%d dead letters match: give --yes to redrive so many", count)
	}
	fmt.Fprintf(s.err, "%d dead letters match. Redrive them all? [y/N] ", count)
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was redriven")
	}
	return nil
}

type redrivesList struct{ listing }

// Run lists redrives.
func (c redrivesList) Run(ctx context.Context, s streams) error {
	return c.list(ctx, s, redrivesPath, nil, []column{
		{"ID", "id"}, {"STATE", "state"}, {"TOTAL", "total"}, {"REDRIVEN", "redriven"}, {"SKIPPED", "skipped"},
		{"CHANNEL", "filter.channel"}, {"REASON", "filter.reason"}, {"BY", "by"}, {"CREATED", "created_at"},
	})
}

type redriveID struct {
	ID string `arg:"" help:"Id of the redrive."`
}

func (r redriveID) path(more string) string { return redrivesPath + "/" + url.PathEscape(r.ID) + more }

type redrivesShow struct {
	remote
	redriveID
}

// Run shows a redrive.
func (c redrivesShow) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodGet, c.path(""), nil)
}

type redrivesCancel struct {
	remote
	redriveID
}

// Run cancels a redrive.
func (c redrivesCancel) Run(ctx context.Context, s streams) error {
	return c.print(ctx, s, http.MethodPost, c.path("/cancel"), nil)
}

type redrivesWatch struct {
	remote
	redriveID
}

// Run follows a redrive.
func (c redrivesWatch) Run(ctx context.Context, s streams) error { return c.watch(ctx, s, c.ID) }

// How often a redrive is asked about, and how often a line tells of it where there
// is no terminal.
const (
	watchEvery = 250 * time.Millisecond
	lineEvery  = 5 * time.Second
)

// watch follows a job until it ends, with a bar on a terminal and lines elsewhere;
// its end is an error unless it is done.
func (r remote) watch(ctx context.Context, s streams, id string) error {
	show := r.progress(s)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		raw, err := r.call(ctx, http.MethodGet, redriveID{id}.path(""), nil)
		var job redriveJob
		if err == nil {
			err = json.Unmarshal(raw, &job)
		}
		if err != nil {
			return err
		}
		ended := job.State != string(domain.RedriveRunning)
		show(job, ended)
		if !ended {
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if r.JSON {
			if err := indent(s.out, raw); err != nil {
				return err
			}
		} else {
			fmt.Fprintf(s.out, "%s: %d redriven, %d skipped of %d\n", job.State, job.Redriven, job.Skipped, job.Total)
		}
		if job.State != string(domain.RedriveDone) {
			return errors.New(strings.TrimSuffix("the redrive was "+job.State+": "+job.Error, ": "))
		}
		return nil
	}
}

// progress shows how far a job is.
func (r remote) progress(s streams) func(job redriveJob, ended bool) {
	if file, ok := s.err.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		var bar *progressbar.ProgressBar
		return func(job redriveJob, ended bool) {
			if bar == nil {
				bar = progressbar.NewOptions64(job.Total, progressbar.OptionSetWriter(s.err), progressbar.OptionSetDescription("redriving"),
					progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetWidth(40))
			}
			// An error here is a terminal that is gone.
			_ = bar.Set64(min(job.Redriven+job.Skipped, job.Total))
			if ended {
				_ = bar.Exit()
				fmt.Fprintln(s.err)
			}
		}
	}
	var told time.Time
	return func(job redriveJob, ended bool) {
		if ended || time.Since(told) < lineEvery {
			return
		}
		told = time.Now()
		line := fmt.Sprintf("%d of %d", job.Redriven+job.Skipped, job.Total)
		if job.Error != "" {
			line += ": " + job.Error
		}
		fmt.Fprintln(s.err, line)
	}
}
