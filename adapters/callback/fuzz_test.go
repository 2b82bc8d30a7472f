package callback

import (
	"net/netip"
	"testing"
)

// No way to write an address gets a call to an inner one: what the gate lets
// through is public, or was allowed.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{
		"127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "[::ffff:7f00:1]:80", "[fe80::1%eth0]:80", "[64:ff9b::7f00:1]:80", "10.1.2.3:1", "10.2.0.1:1", "169.254.169.254:80",
		"[2002:7f00:1::]:80", "0.0.0.0:0", "8.8.8.8:53", "[2606:4700::1111]:443", "", "x", "1:1", "[::]:1", "0177.0.0.1:80",
	} {
		f.Add(seed)
	}
	allowed := netip.MustParsePrefix("10.1.0.0/16")
	g := newGate([]netip.Prefix{allowed})
	f.Fuzz(func(t *testing.T, address string) {
		if g.control(t.Context(), "tcp", address, nil) != nil {
			return
		}
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			t.Fatalf("%q is called", address)
		}
		a := to.Addr().WithZone("").Unmap()
		if allowed.Contains(a) {
			return
		}
		if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
			t.Fatalf("%q is called", address)
		}
	})
}
