package eventstore

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/parley-im/parley/domain"
)

// Names of records in the topic of channels: kind and id.
const (
	kindChannel = "channel/"
	kindToken   = "token/"
)

// Stored names of the records. A record without a value tells that the thing is
// gone.
const (
	typeChannel = "channel.changed.v1"
	typeToken   = "token.changed.v1"
)

// RecordTypes lists the stored names in the topic of channels, sorted.
func RecordTypes() []string { return []string{typeChannel, typeToken} }

// typeOf gives the stored name for the name of a record.
func typeOf(name string) string {
	if strings.HasPrefix(name, kindToken) {
		return typeToken
	}
	return typeChannel
}

// channelRecord is the stored form of a channel. Fields are only ever added.
type channelRecord struct {
	ID            string                `json:"id"`
	Account       string                `json:"account"`
	Dialect       domain.Dialect        `json:"dialect"`
	Name          string                `json:"name"`
	CallbackURL   string                `json:"callback_url"`
	IDType        domain.IDType         `json:"id_type,omitempty"`
	Delivery      domain.DeliveryPolicy `json:"delivery"`
	RatePerSecond int                   `json:"rate_per_second"`
	APIToken      string                `json:"api_token_sealed"`
	CreatedAt     time.Time             `json:"created_at"`
	UpdatedAt     time.Time             `json:"updated_at"`
	Revision      int                   `json:"revision"`
}

// tokenRecord is the stored form of a platform token.
type tokenRecord struct {
	ID        string      `json:"id"`
	Account   string      `json:"account"`
	Name      string      `json:"name"`
	Role      domain.Role `json:"role"`
	Hash      string      `json:"sha256"` // hex
	CreatedAt time.Time   `json:"created_at"`
}

func encodeChannel(sealer *Sealer, ch domain.Channel) ([]byte, error) {
	sealed, err := sealer.Seal(kindChannel+ch.ID+"/api_token", []byte(ch.Credentials.APIToken))
	if err != nil {
		return nil, fmt.Errorf("seal the token of channel %s: %w", ch.ID, err)
	}
	value, err := json.Marshal(channelRecord{
		ID: ch.ID, Account: ch.Account, Dialect: ch.Dialect, Name: ch.Name, CallbackURL: ch.CallbackURL, IDType: ch.IDType,
		Delivery: ch.Delivery, RatePerSecond: ch.RatePerSecond, APIToken: sealed,
		CreatedAt: ch.CreatedAt, UpdatedAt: ch.UpdatedAt, Revision: ch.Revision,
	})
	if err != nil {
		return nil, fmt.Errorf("encode channel %s: %w", ch.ID, err)
	}
	return value, nil
}

func decodeChannel(sealer *Sealer, raw []byte) (domain.Channel, error) {
	var rec channelRecord
	if err := json.Unmarshal(raw, &rec); err != nil {
		return domain.Channel{}, fmt.Errorf("decode channel: %w", err)
	}
	token, err := sealer.Open(kindChannel+rec.ID+"/api_token", rec.APIToken)
	if err != nil {
		return domain.Channel{}, fmt.Errorf("open the token of channel %s (is PARLEY_SECRET_KEY the right one?): %w", rec.ID, err)
	}
	return domain.Channel{
		ID: rec.ID, Account: rec.Account, Dialect: rec.Dialect, Name: rec.Name, CallbackURL: rec.CallbackURL, IDType: rec.IDType,
		Delivery: rec.Delivery, RatePerSecond: rec.RatePerSecond, Credentials: domain.Credentials{APIToken: string(token)},
		CreatedAt: rec.CreatedAt, UpdatedAt: rec.UpdatedAt, Revision: rec.Revision,
	}, nil
}

func encodeToken(t domain.Token) ([]byte, error) {
	value, err := json.Marshal(tokenRecord{
		ID: t.ID, Account: t.Account, Name: t.Name, Role: t.Role, Hash: hex.EncodeToString(t.Hash[:]), CreatedAt: t.CreatedAt,
	})
	if err != nil {
		return nil, fmt.Errorf("encode token %s: %w", t.ID, err)
	}
	return value, nil
}

func decodeToken(raw []byte) (domain.Token, error) {
	var rec tokenRecord
	if err := json.Unmarshal(raw, &rec); err != nil {
		return domain.Token{}, fmt.Errorf("decode token: %w", err)
	}
	t := domain.Token{ID: rec.ID, Account: rec.Account, Name: rec.Name, Role: rec.Role, CreatedAt: rec.CreatedAt}
	hash, err := hex.DecodeString(rec.Hash)
	if err != nil || len(hash) != len(t.Hash) {
		return domain.Token{}, fmt.Errorf("decode token %s: its hash is not SHA-256 in hex", rec.ID)
	}
	copy(t.Hash[:], hash)
	return t, nil
}

// apply puts one record into memory. A record that was applied before changes nothing.
func (r *Registry) apply(msg *message.Message) error {
	name := Key(msg)
	var newer error
	if stored := msg.Metadata.Get(headerType); stored != typeOf(name) {
		newer = fmt.Errorf("read %s: this version does not know %q", name, stored)
	}
	if id, ok := strings.CutPrefix(name, kindChannel); ok && id != "" {
		return r.applyChannel(id, msg.Payload, newer)
	}
	if id, ok := strings.CutPrefix(name, kindToken); ok && id != "" {
		return r.applyToken(id, msg.Payload, newer)
	}
	return nil // of a newer Parley, or somebody else's
}

// applyChannel puts a channel in the place of what was known under its id. One
// that cannot be read, err telling why, does not exist: its old token is not good
// any more.
func (r *Registry) applyChannel(id string, value []byte, err error) error {
	var ch domain.Channel
	if len(value) > 0 && err == nil {
		ch, err = decodeChannel(r.sealer, value)
		if err == nil && ch.ID != id {
			err = fmt.Errorf("read channel %s: its record is about channel %s", id, ch.ID)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, ok := r.channels[id]; ok {
		if hash := sha256.Sum256([]byte(old.Credentials.APIToken)); r.byToken[hash] == id {
			delete(r.byToken, hash)
		}
		delete(r.channels, id)
	}
	if len(value) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	r.channels[id] = ch
	r.byToken[sha256.Sum256([]byte(ch.Credentials.APIToken))] = id
	return nil
}

// applyToken is applyChannel for a token.
func (r *Registry) applyToken(id string, value []byte, err error) error {
	var t domain.Token
	if len(value) > 0 && err == nil {
		t, err = decodeToken(value)
		if err == nil && t.ID != id {
			err = fmt.Errorf("read token %s: its record is about token %s", id, t.ID)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, ok := r.tokens[id]; ok {
		if r.byHash[old.Hash] == id {
			delete(r.byHash, old.Hash)
		}
		delete(r.tokens, id)
	}
	if len(value) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	r.tokens[id] = t
	r.byHash[t.Hash] = id
	return nil
}
