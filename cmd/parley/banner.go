package main

import (
	"fmt"
	"io"
)

// banner is what a person sees when dev is up: where, with what token, and what
// to try next.
func banner(w io.Writer, url, token, dir, databaseDir string, ownLog, ownDatabase bool) {
	fmt.Fprintf(w, "\nParley is up at %s (guide: %s/docs)\n", url, url)
	fmt.Fprintf(w, "Admin token: %s\n", token)
	fmt.Fprintf(w, "Data: %s\n", dir)
	if ownDatabase && databaseDir != "" {
		fmt.Fprintf(w, "Database files: %s\n", databaseDir)
	}
	if ownLog || ownDatabase {
		fmt.Fprintln(w, "\nThis is for one machine and a modest history: the embedded log reads itself into memory at start.")
		fmt.Fprintln(w, "PARLEY_KAFKA_BROKERS and PARLEY_DATABASE_URL move it to a Kafka and a Postgres of your own.")
	}
	fmt.Fprintf(w, `
Three commands to try next, in another shell:

1. Create a channel; replies will be posted to its callback_url.
   channel=$(curl -s %[1]s/v1/channels -H 'Authorization: Bearer %[2]s' -H 'Content-Type: application/json' \
     -d '{"dialect":"respondio","name":"First","id_type":"phone","callback_url":"http://127.0.0.1:9000"}'); echo "$channel"

2. Post a message as the integration would.
   curl -s %[1]s/custom/channel/webhook/ -H "Authorization: Bearer $(echo "$channel" | sed 's/.*"api_token": *"\([^"]*\)".*/\1/')" \
     -d '{"channelId":"'"$(echo "$channel" | sed 's/.*"id": *"\([0-9]*\)".*/\1/')"'","contactId":"+15550100","events":[{"type":"message","mId":"m-1","timestamp":1767261600000,"message":{"type":"text","text":"Hello"}}]}'

3. Read the conversation.
   curl -s '%[1]s/v1/conversations?contact=%%2B15550100' -H 'Authorization: Bearer %[2]s'

Ctrl-C stops it.
`, url, token)
}
