package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/parley-im/parley/domain"
	"github.com/parley-im/parley/eventstore"
)

// Roles that a node can take on.
const (
	roleAPI       = "api"       // takes in webhooks and answers the platform API
	roleProjector = "projector" // keeps the read models of conversations
	roleDelivery  = "delivery"  // keeps the deliveries and sends the callbacks
	roleTimers    = "timers"    // closes conversations by time and hands them to agents, in dialects that have that
)

var allRoles = []string{roleAPI, roleProjector, roleDelivery, roleTimers}

// settings are what dev and serve have in common.
type settings struct {
	Addr               string          `help:"Address to listen on." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	PublicURL          string          `help:"Base of the URLs that are handed out; http://<addr> when empty." placeholder:"URL"`
	KafkaBrokers       []string        `help:"Kafka brokers, separated by commas." placeholder:"HOST:PORT,..."`
	DatabaseURL        string          `help:"Postgres, such as postgres://user:secret@host/parley." placeholder:"URL"`
	AdminToken         string          `help:"Bearer token with role admin on the account default." placeholder:"TOKEN"`
	SecretKey          string          `help:"Seals stored secrets: 32 bytes in base64; several separated by commas, the newest first." placeholder:"BASE64"`
	CallbackAllow      []string        `help:"Address ranges (CIDR) that callbacks may reach besides public addresses." placeholder:"CIDR,..."`
	CallbackTimeout    time.Duration   `help:"How long one call to a callback may take." default:"30s"`
	EndpointWarnAfter  []time.Duration `help:"How long nothing may succeed at an endpoint until it is warned of, in stages." default:"1h,6h,24h" placeholder:"DURATION,..."`
	EndpointPauseAfter time.Duration   `help:"How long until it is paused; 0 is never." default:"72h"`
	InboundRate        int             `help:"Requests a second that one channel may post; above it the answer is 429. 0 is no limit." default:"0"`
	MaxWaiting         int             `help:"Events that may wait for the log in this process; above it the answer is 503." default:"8192"`
	RedriveRate        int             `help:"Dead letters a second that redrives of this node put back at most." default:"200"`
	Roles              []string        `help:"What this node does: api, projector, delivery, timers." default:"api,projector,delivery,timers"`
	FilesDir           string          `help:"Folder of files that contacts and the business send each other; nodes share one. Empty, and no S3 either: no uploads (dev keeps them in --data)." placeholder:"DIR"`
	FilesS3            filesS3         `embed:"" prefix:"files-s3-"`
	MaxAttachmentMB    int64           `help:"Size of one file that ChannelX takes, in MB of 1024 KB." name:"max-attachment-mb" default:"40"`
	ChannelXRate       int             `help:"Requests a minute that one address may make of ChannelX; above it the answer is 429. 0 is no limit." name:"channelx-rate" default:"0"`
	ChannelXSearches   int             `help:"Searches for contacts a minute in one account of ChannelX, and counts of conversations by one caller; above it the answer is 429. 0 is no limit." name:"channelx-searches" default:"0"`
	ChannelXMessages   int             `help:"Messages a minute that one conversation of ChannelX takes; 0 is no limit." name:"channelx-messages" default:"200"`
	ChannelXSockets    int             `help:"Sockets of ChannelX that this node takes; above it the answer is 503. Each needs a file descriptor." name:"channelx-sockets" default:"20000"`
	ChannelXPerAddress int             `help:"Sockets of ChannelX that one address may have on this node; above it the answer is 429. A proxy in front is one address." name:"channelx-sockets-per-address" default:"10000"`
	TopicPrefix        string          `help:"What the names of topics and consumer groups begin with." default:"parley"`
	Partitions         int             `help:"Partitions of the topic of events; fixed once it is made. 0 is 12, and 4 on the embedded log." default:"0"`
	Replication        int             `help:"Copies that Kafka keeps of each record. 0 is 3, or as many as there are brokers." default:"0"`

	// For tests. clock is what the node goes by, nil = the database's; it must carry the
	// monotonic clock. For who wants to know now what is due in a week. machine is what
	// the machine's own clock says, nil = time.Now.
	clock, machine func() time.Time
}

// Sizes of one file that ChannelX takes (channelx.md 2.7), in MB.
const (
	defaultAttachmentMB = 40
	maxAttachmentMB     = 1024
)

// filesS3 is a bucket for files, instead of a folder.
type filesS3 struct {
	Endpoint  string `env:"PARLEY_FILES_S3_ENDPOINT" help:"S3-compatible server that keeps files instead of a folder." placeholder:"HOST[:PORT]"`
	Bucket    string `env:"PARLEY_FILES_S3_BUCKET" help:"Its bucket for files, which must be there." placeholder:"NAME"`
	Region    string `env:"PARLEY_FILES_S3_REGION" help:"Its region, where the server does not tell." placeholder:"NAME"`
	AccessKey string `env:"PARLEY_FILES_S3_ACCESS_KEY" help:"Access key of the bucket." placeholder:"KEY"`
	SecretKey string `env:"PARLEY_FILES_S3_SECRET_KEY" help:"Secret key of the bucket." placeholder:"KEY"`
	UseTLS    bool   `env:"PARLEY_FILES_S3_USE_TLS" help:"Speak HTTPS with the server." default:"true" negatable:""`
}

// check tells what is missing.
func (f filesS3) check() error {
	if f.Endpoint == "" {
		return nil
	}
	if strings.Contains(f.Endpoint, "/") {
		return errors.New("PARLEY_FILES_S3_ENDPOINT must be a host, or host:port, without http://")
	}
	if f.Bucket == "" || f.AccessKey == "" || f.SecretKey == "" {
		return errors.New("PARLEY_FILES_S3_ENDPOINT also needs PARLEY_FILES_S3_BUCKET, PARLEY_FILES_S3_ACCESS_KEY and PARLEY_FILES_S3_SECRET_KEY")
	}
	return nil
}

// nodeConfig is what a node runs on, checked.
type nodeConfig struct {
	settings

	publicURL string
	sealer    *eventstore.Sealer
	allow     []netip.Prefix
	fixed     []domain.Token

	// embedded is set when the log lives in this process and nobody else uses it.
	embedded bool
	// sync is the durability barrier of the embedded log; nil = the broker's word is enough.
	sync   func(ctx context.Context, topic string, partition int, base int64) error
	logger *slog.Logger
	now    func() time.Time
	drain  time.Duration // how long the doors stay open after /readyz has said that they close
}

// check reads the settings that need reading. Errors name the variable to change.
func (s settings) check() (nodeConfig, error) {
	cfg := nodeConfig{settings: s, publicURL: strings.TrimSuffix(s.PublicURL, "/"), now: time.Now}
	if s.clock != nil {
		cfg.now = s.clock
	}
	if cfg.publicURL == "" {
		cfg.publicURL = "http://" + s.Addr
	}
	if u, err := url.Parse(cfg.publicURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return cfg, errors.New("PARLEY_PUBLIC_URL must be an absolute http or https URL")
	}
	for _, role := range s.Roles {
		if !slices.Contains(allRoles, role) {
			return cfg, fmt.Errorf("PARLEY_ROLES: %q is not one of %s", role, strings.Join(allRoles, ", "))
		}
	}
	if len(s.Roles) == 0 {
		return cfg, fmt.Errorf("PARLEY_ROLES must name at least one of %s", strings.Join(allRoles, ", "))
	}
	for _, text := range s.CallbackAllow {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return cfg, fmt.Errorf("PARLEY_CALLBACK_ALLOW: %q is not an address range such as 10.1.0.0/16", text)
		}
		cfg.allow = append(cfg.allow, prefix)
	}
	if s.CallbackTimeout <= 0 || s.CallbackTimeout > 5*time.Minute {
		return cfg, errors.New("PARLEY_CALLBACK_TIMEOUT must be above 0s and at most 5m")
	}
	last := time.Duration(0)
	for _, after := range s.EndpointWarnAfter {
		if after <= last {
			return cfg, errors.New("PARLEY_ENDPOINT_WARN_AFTER must be times above 0s, each longer than the one before")
		}
		last = after
	}
	if s.EndpointPauseAfter < 0 {
		return cfg, errors.New("PARLEY_ENDPOINT_PAUSE_AFTER must be 0 (never) or more")
	}
	if s.InboundRate < 0 {
		return cfg, errors.New("PARLEY_INBOUND_RATE must be 0 (no limit) or more")
	}
	if s.ChannelXSockets < 0 || s.ChannelXPerAddress < 0 {
		return cfg, errors.New("PARLEY_CHANNELX_SOCKETS and PARLEY_CHANNELX_SOCKETS_PER_ADDRESS must be 1 or more, or 0 for the default")
	}
	if s.ChannelXRate < 0 || s.ChannelXSearches < 0 || s.ChannelXMessages < 0 {
		return cfg, errors.New("PARLEY_CHANNELX_RATE, PARLEY_CHANNELX_SEARCHES and PARLEY_CHANNELX_MESSAGES must be 0 (no limit) or more")
	}
	if s.MaxWaiting <= 0 {
		return cfg, errors.New("PARLEY_MAX_WAITING must be 1 or more")
	}
	if s.RedriveRate <= 0 {
		return cfg, errors.New("PARLEY_REDRIVE_RATE must be 1 or more")
	}
	if err := s.FilesS3.check(); err != nil {
		return cfg, err
	}
	if s.MaxAttachmentMB < 0 || s.MaxAttachmentMB > maxAttachmentMB {
		return cfg, fmt.Errorf("PARLEY_MAX_ATTACHMENT_MB must be from 1 to %d", maxAttachmentMB)
	}
	if s.MaxAttachmentMB == 0 {
		cfg.MaxAttachmentMB = defaultAttachmentMB
	}
	if s.Partitions < 0 || s.Replication < 0 {
		return cfg, errors.New("PARLEY_PARTITIONS and PARLEY_REPLICATION must not be negative")
	}
	keys, err := eventstore.ParseSealKeys(s.SecretKey)
	if err != nil {
		return cfg, fmt.Errorf("PARLEY_SECRET_KEY: %w", err)
	}
	if cfg.sealer, err = eventstore.NewSealer(keys...); err != nil {
		return cfg, fmt.Errorf("PARLEY_SECRET_KEY: %w", err)
	}
	if s.AdminToken != "" {
		cfg.fixed = []domain.Token{{
			ID: "admin", Account: domain.DefaultAccount, Name: "admin", Role: domain.RoleAdmin, Hash: sha256.Sum256([]byte(s.AdminToken)),
		}}
	}
	return cfg, nil
}

// has tells whether the node takes on a role.
func (s settings) has(role string) bool { return slices.Contains(s.Roles, role) }

// partitions is how many the topic of events gets when it is made.
func (c nodeConfig) partitions() int {
	switch {
	case c.Partitions > 0:
		return c.Partitions
	case c.embedded:
		return 4
	default:
		return 12
	}
}

// replication is how many copies the topics get when they are made, of a cluster
// of so many brokers. One that is named and away counts: then making the topics
// fails, and that is better than too few copies for ever.
func (c nodeConfig) replication(brokers int) int {
	switch {
	case c.Replication > 0:
		return c.Replication
	case c.embedded:
		return 1
	default:
		return min(3, max(brokers, len(c.KafkaBrokers)))
	}
}

// shown lists the settings for the log, secrets as set or unset.
func (c nodeConfig) shown() []any {
	set := func(v string) string {
		if v == "" {
			return "unset"
		}
		return "set"
	}
	return []any{
		"addr", c.Addr, "public_url", c.publicURL, "roles", strings.Join(c.Roles, ","), "kafka_brokers", strings.Join(c.KafkaBrokers, ","),
		"embedded", c.embedded, "topic_prefix", c.TopicPrefix, "database_url", set(c.DatabaseURL), "admin_token", set(c.AdminToken),
		"secret_key", set(c.SecretKey), "callback_allow", strings.Join(c.CallbackAllow, ","), "callback_timeout", c.CallbackTimeout,
		"inbound_rate", c.InboundRate, "redrive_rate", c.RedriveRate, "channelx_rate", c.ChannelXRate,
		"channelx_messages", c.ChannelXMessages, "max_attachment_mb", c.MaxAttachmentMB,
	}
}

// logger makes the process's logger.
func (c *commands) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
