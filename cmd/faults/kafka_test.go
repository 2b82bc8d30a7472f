//go:build kafka

package main

// testedOn is the log of the short forms: three brokers of their own, because some
// cases end one.
const testedOn = onKafka
