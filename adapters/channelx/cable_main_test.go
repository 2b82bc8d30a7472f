package channelx

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain ensures that nothing goes on running after the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
