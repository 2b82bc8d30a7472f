//go:build !linux

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// processesOn returns the living postmaster of a data folder, if there is one.
// Its arguments tell it from a process that was given its pid later.
func processesOn(data string) ([]int, error) {
	pid, ok := postmasterPID(data)
	if !ok {
		return nil, nil
	}
	out, err := exec.CommandContext(context.Background(), "ps", "-o", "stat=,command=", "-p", strconv.Itoa(pid)).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, nil // no such process
	}
	if err != nil {
		return nil, fmt.Errorf("asking ps for process %d: %w", pid, err)
	}
	line := strings.TrimSpace(string(out))
	if strings.HasPrefix(line, "Z") || !strings.Contains(line, "-D "+data) {
		return nil, nil
	}
	return []int{pid}, nil
}
