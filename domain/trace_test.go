package domain

import "testing"

func TestTrace(t *testing.T) {
	t.Parallel()
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if got := TraceOf(WithTrace(t.Context(), good)); got != good {
		t.Errorf("kept %q", got)
	}
	for _, bad := range []string{
		"", "00", good + "0", "01" + good[2:], "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-\r\n", "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
	} {
		if got := TraceOf(WithTrace(t.Context(), bad)); got != "" {
			t.Errorf("%q is kept as %q", bad, got)
		}
	}
}
