package domain_test

import (
	"testing"

	"github.com/parley-im/parley/domain"
)

// Ensure contacts are never answered by somebody without a name.
func TestAgent_SenderHasAName(t *testing.T) {
	t.Parallel()
	for want, agent := range map[string]domain.Agent{
		"Petra Mala": {Username: "petra", DisplayName: "Petra Mala"},
		"petra":      {Username: "petra"},
	} {
		if got := agent.Sender().DisplayName; got != want {
			t.Errorf("%+v speaks as %q, want %q", agent, got, want)
		}
	}
}
