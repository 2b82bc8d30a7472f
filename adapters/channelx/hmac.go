package channelx

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// hashOf is the hex HMAC-SHA256 of data.
func hashOf(key string, data ...[]byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	for _, d := range data {
		mac.Write(d)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// proves tells whether a hash is that of an identifier with an inbox's token
// (channelx.md 5.2). The comparison takes as long for every hash of one length.
func proves(token, identifier, hash string) bool {
	return hmac.Equal([]byte(hashOf(token, []byte(identifier))), []byte(hash))
}

// signature is the header X-Chatwoot-Signature of a body that is sent at a time, in
// Unix seconds (channelx.md 6.1).
func signature(secret string, at int64, body []byte) string {
	return "sha256=" + hashOf(secret, strconv.AppendInt(nil, at, 10), []byte("."), body)
}
