package callback

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// names answers each question for the addresses of a name, in this order.
func names(t *testing.T, addrs ...string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(answerTo(buf[:n], addrs), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// answerTo makes a message of DNS (RFC 1035, 4.1) from a question: its header and
// its question, and the addresses that are of the type asked for.
func answerTo(question []byte, addrs []string) []byte {
	end := 12
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	end += 5
	kind := binary.BigEndian.Uint16(question[end-4:])
	answer := append([]byte(nil), question[:end]...)
	binary.BigEndian.PutUint16(answer[2:], 0x8180)
	count := uint16(0)
	for _, text := range addrs {
		addr := netip.MustParseAddr(text)
		if want := map[bool]uint16{true: 1, false: 28}[addr.Is4()]; want != kind {
			continue
		}
		raw := addr.AsSlice()
		answer = append(answer, 0xc0, 12)
		answer = binary.BigEndian.AppendUint16(answer, kind)
		answer = append(answer, 0, 1, 0, 0, 0, 0)
		answer = binary.BigEndian.AppendUint16(answer, uint16(len(raw)))
		answer = append(answer, raw...)
		count++
	}
	binary.BigEndian.PutUint16(answer[6:], count)
	binary.BigEndian.PutUint32(answer[8:], 0)
	return answer
}

// Ensure that of a name's addresses only those are connected to that are allowed,
// wherever they stand, and that the name is refused only when none is: one that is
// down among others that are refused may come back.
func TestGate_NameWithManyAddresses(t *testing.T) {
	t.Parallel()
	up, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = up.Close() })
	_, port, _ := net.SplitHostPort(up.Addr().String())
	for _, c := range []struct {
		addrs            []string
		port             string
		reached, refused bool
	}{
		{addrs: []string{"127.0.0.1", "127.0.0.2"}, port: port, reached: true},
		{addrs: []string{"127.0.0.2", "169.254.169.254"}, port: port, reached: true},
		{addrs: []string{"fd00:ec2::254", "::1", "127.0.0.2"}, port: port, reached: true},
		{addrs: []string{"127.0.0.1", "127.0.0.2"}, port: "1"},
		{addrs: []string{"127.0.0.2", "127.0.0.1"}, port: "1"},
		{addrs: []string{"::1", "127.0.0.2"}, port: "1"},
		{addrs: []string{"127.0.0.1", "::1"}, port: port, refused: true},
		{addrs: []string{"10.0.0.1", "0.0.0.0"}, port: port, refused: true},
	} {
		g := newGate([]netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")})
		dial := g.dial(&net.Dialer{Timeout: 5 * time.Second, Resolver: names(t, c.addrs...)})
		conn, err := dial(t.Context(), "tcp", net.JoinHostPort("many.example.com", c.port))
		if conn != nil {
			_ = conn.Close()
		}
		_, refused := errors.AsType[*refusedError](err)
		if reached := err == nil; reached != c.reached || refused != c.refused {
			t.Errorf("%v: reached %t, refused %t: %v", c.addrs, reached, refused, err)
		}
	}
}
