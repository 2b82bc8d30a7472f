package domain

import (
	"encoding/binary"
	"strconv"
)

// Sender is who speaks for the business, as the integration is told.
type Sender struct {
	Number      int64  `json:"id"` // 0 for a bot; stable for an agent
	Username    string `json:"username"`
	DisplayName string `json:"display_name"`
	Avatar      string `json:"avatar,omitempty"` // URL
	Email       string `json:"email,omitempty"`
	Bot         bool   `json:"bot,omitempty"`
}

// BotSender is the sender of whatever a function or another automatic answerer
// says (voximplant-kit.md 5.4).
func BotSender() *Sender { return &Sender{DisplayName: "Bot", Bot: true} }

// SenderOf is the sender for an agent that only the contact centre knows, by the
// id that it uses: its number follows from the id.
func SenderOf(account, agent string) *Sender {
	return &Sender{Number: stableNumber("sender", account, agent), Username: agent, DisplayName: agent}
}

// agent is the id of the agent who speaks: the number of a registered one, or
// the id that SenderOf was given.
func (s Sender) agent(account string) string {
	if s.Username != "" && s.Number == SenderOf(account, s.Username).Number {
		return s.Username
	}
	return strconv.FormatInt(s.Number, 10)
}

// stableNumber makes a positive number of 31 bits, which every client can hold,
// out of the words that name a thing.
func stableNumber(kind string, words ...string) int64 {
	id := DeriveID(kind, words...)
	return int64(binary.BigEndian.Uint32(id[:4])&0x7fffffff) | 1<<30
}
