package domain

import "strings"

// MayWait tells whether what goes to a target may be held back while its endpoint
// is not well. The calls of a function may not: the contact waits for the answer,
// and when there is none somebody else takes over.
func MayWait(target string) bool { return !strings.Contains(target, "#") }
