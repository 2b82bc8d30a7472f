// Package subscription tells accounts of their events at URLs of their own, as
// Standard Webhooks has it (https://www.standardwebhooks.com): a POST with the
// headers webhook-id, webhook-timestamp and webhook-signature.
//
// The package is one wire of the delivery worker: it makes up requests and reads
// answers. Which events a subscription is told, and in which order, is the
// business of domain and projections.
package subscription
