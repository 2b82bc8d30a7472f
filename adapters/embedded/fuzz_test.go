package embedded

import (
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// entry frames a body as the broker does.
func entry(body string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum([]byte(body), crc32.MakeTable(crc32.Castagnoli)))
	return append(b, body...)
}

// Whatever a file of entries holds after a crash, what is kept of it is whole entries
// from its beginning, and whole entries before a torn end are all kept.
func FuzzEntries(f *testing.F) {
	one, two := entry("\x00\x01first"), entry("\x00\x01second entry")
	both := append(append([]byte(nil), one...), two...)
	for _, seed := range [][]byte{
		nil, one, both, both[:len(both)-1], both[:len(one)+7], append(append([]byte(nil), one...), make([]byte, 20)...), {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1}, entry("\x00"), entry(""),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		kept := wholeEntries(data)
		if kept < 0 || kept > len(data) {
			t.Fatalf("%d of %d bytes are kept", kept, len(data))
		}
		if again := wholeEntries(data[:kept]); again != kept {
			t.Fatalf("of %d bytes that were kept %d are", kept, again)
		}
		if behind := wholeEntries(append(append([]byte(nil), data[:kept]...), two...)); behind != kept+len(two) {
			t.Fatalf("an entry behind %d kept bytes is lost: %d", kept, behind)
		}
		if before := wholeEntries(append(append([]byte(nil), one...), data...)); before != len(one)+kept {
			t.Fatalf("an entry before takes %d of %d bytes away", len(one)+kept-before, kept)
		}
	})
}
