package channelx

import (
	"strings"
	"testing"
)

// Ensure a hash proves its identifier and no other, by the vectors of section 5.2.
func TestProves(t *testing.T) {
	t.Parallel()
	const token = "k9Yw2rTzQm4VbX7sLd1NcA5e"
	vectors := []struct{ identifier, hash string }{
		{"crm-48213", "02bae89a00c344ef2c160b04dfa13caaf11950648ec0f77a0b8f7bc2652ef5a1"},
		{"ana@example.test", "668c4a6b1d1921b4639eda7c09fb39a38c7b752636d6c1a39c856a40a7c38817"},
		{"+5511999990000", "b8437635692b3d161831418b3830d8187795c735fe255f30b3e0e287de2b2b75"},
		{"jürgen", "c39c378314d579ae7098b36f535c09f5ad6848b624da6e967e00d38b0f47a220"},
		{"", "3dfd590265fdd00a0e8831550ec3b9ff80d868dcbdac1e0b16fc7bddd3f23ffe"},
	}
	for i, v := range vectors {
		if !proves(token, v.identifier, v.hash) {
			t.Errorf("the hash of %q does not prove it", v.identifier)
		}
		last := "0"
		if strings.HasSuffix(v.hash, last) {
			last = "1"
		}
		for name, hash := range map[string]string{
			"another one's": vectors[(i+1)%len(vectors)].hash, "a changed": v.hash[:63] + last, "a cut": v.hash[:63], "no": "",
			"an upper-case": strings.ToUpper(v.hash),
		} {
			if proves(token, v.identifier, hash) {
				t.Errorf("%s hash proves %q", name, v.identifier)
			}
		}
		if proves(token+"x", v.identifier, v.hash) {
			t.Errorf("the hash of %q proves it with another token", v.identifier)
		}
	}
}

// Ensure callbacks are signed as the vectors of section 6.1 are.
func TestSignature(t *testing.T) {
	t.Parallel()
	const secret = "Zt6qWm3pXc8RfJ2hVd5KsB7n"
	hello := `{"event":"message_created","id":501,"content":"Hello"}`
	for _, v := range []struct {
		at         int64
		body, want string
	}{
		{1765000123, hello, "b49d52f23eb35368c893fa1cbf80c5f9e329fdc127cccd79c4aadac0dc15a230"},
		{1765000124, hello, "0001c60c8f97020ecdb9ca55a7dfe95fae245a2b737f654765599302fc47a39d"},
		{1765000123, `{"event":"message_created","id":502,"content":"Olá 👋"}`, "d8ec7c3c1737396d1ebc5172bb0b9627850442ff0b56f2c49f004002557177d0"},
		{1765000300, `{"event":"conversation_typing_on"}`, "74c34f010105ea11dd7df0a43faa49d6e7df1302870aa056112d733c969304a8"},
	} {
		if got := signature(secret, v.at, []byte(v.body)); got != "sha256="+v.want {
			t.Errorf("%d %s is signed %s, want %s", v.at, v.body, got, v.want)
		}
	}
}
