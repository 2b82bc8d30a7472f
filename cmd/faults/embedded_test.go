//go:build !kafka

package main

// testedOn is the log of the short forms.
const testedOn = onEmbedded
