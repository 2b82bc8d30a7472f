// Package kafka is the log: a watermill Publisher and Subscriber, and the few
// administrative reads, over segmentio/kafka-go.
//
// Publisher groups concurrent appends: one goroutine per partition takes what is
// waiting and sends it as one produce request, so the size of a batch follows the
// load and nobody waits for a timer. Each caller gets the result and the positions
// of its own messages.
//
// Subscriber hands the records of a partition over as watermill messages, either
// in lanes (one unacknowledged message per key, many keys at once) or pipelined
// (in offset order, for consumers that batch). It commits only the contiguous
// acknowledged prefix of a partition, and can start a partition at an offset its
// user names.
//
// Delivery is at least once. The producer is not idempotent: a record whose
// acknowledgement was lost can land twice, so consumers deduplicate by message id.
package kafka
