package domain

// PresenceKind says whose presence it is.
type PresenceKind string

// The kinds.
const (
	PresentContact  PresenceKind = "contact"  // a Person
	PresentOperator PresenceKind = "operator" // an Operator
)
