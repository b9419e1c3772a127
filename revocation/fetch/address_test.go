package fetch

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/revocation"
)

func TestPublic(t *testing.T) {
	for _, s := range []string{"8.8.8.8", "1.1.1.1", "93.184.215.14", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "169.253.255.255", "192.0.1.0", "198.20.0.0", "223.255.255.255",
		"2606:4700::1111", "2001:4860:4860::8888", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2003::1"} {
		if !public(netip.MustParseAddr(s)) {
			t.Errorf("%s is not public", s)
		}
	}
	for _, s := range []string{"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255",
		"192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:db8::1",
		"2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2620:4f:8000::1"} {
		if public(netip.MustParseAddr(s)) {
			t.Errorf("%s is public", s)
		}
	}
}

// canary listens where nobody must come.
type canary struct {
	hits  atomic.Int32
	port4 int
	port6 int // 0 where the machine has no IPv6
}

func newCanary(t *testing.T) *canary {
	c := &canary{}
	listen := func(network, address string) int {
		l, err := net.Listen(network, address)
		if err != nil {
			return 0
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				c.hits.Add(1)
				conn.Close()
			}
		}()
		return l.Addr().(*net.TCPAddr).Port
	}
	// On all addresses of the machine.
	if c.port4 = listen("tcp4", "0.0.0.0:0"); c.port4 == 0 {
		t.Fatal("cannot listen")
	}
	c.port6 = listen("tcp6", "[::]:0")
	return c
}

// resolver is a name server of the test. The first label of a name says what
// to answer, with - for what separates the parts of an address, and "then"
// between what is said first and what later.
func resolver(t *testing.T) *net.Resolver {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	asked := map[string]int{}
	go func() {
		buf := make([]byte, 1<<12)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) == nil && len(m.Questions) == 1 {
				reply(&m, asked)
				if out, err := m.Pack(); err == nil {
					conn.WriteTo(out, from)
				}
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func reply(m *dnsmessage.Message, asked map[string]int) {
	q := m.Questions[0]
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}
	m.Additionals = nil
	label, _, _ := strings.Cut(q.Name.String(), ".")
	choices := strings.Split(label, "-then-")
	i := min(asked[q.Name.String()+q.Type.String()], len(choices)-1)
	asked[q.Name.String()+q.Type.String()]++
	for _, s := range strings.Split(choices[i], "-and-") {
		a, err := netip.ParseAddr(strings.ReplaceAll(s, "-", "."))
		if err != nil {
			a, err = netip.ParseAddr(strings.ReplaceAll(s, "-", ":"))
		}
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
		switch {
		case err != nil:
			m.RCode = dnsmessage.RCodeNameError
		case a.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
}

// TestNoPrivateAddress is row 29 of the threat table: a stranger's certificate
// names sources inside the network of who reads the mail, and nobody there
// hears of it.
func TestNoPrivateAddress(t *testing.T) {
	c := newCanary(t)
	local := "10.0.0.1" // an address of this machine that is not loopback, where there is one
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() && ip.IP.IsPrivate() {
				local = ip.IP.String()
			}
		}
	}
	urls := []string{
		// loopback in its ways to be written
		"http://127.0.0.1:P/", "http://127.1:P/", "http://127.0.1:P/", "http://127.255.255.254:P/", "http://0177.0.0.1:P/", "http://0x7f.0.0.1:P/", "http://0x7f000001:P/",
		"http://2130706433:P/", "http://017700000001:P/", "http://127.0.0.1.:P/", "http://localhost:P/", "http://LOCALHOST:P/", "http://localhost.:P/", "http://localhost.localdomain:P/",
		"http://0:P/", "http://0.0.0.0:P/", "http://[::1]:Q/", "http://[::]:Q/", "http://[0:0:0:0:0:0:0:1]:Q/", "http://[::ffff:127.0.0.1]:P/", "http://[::ffff:7f00:1]:P/", "http://[0:0:0:0:0:ffff:127.0.0.1]:P/",
		"http://[::127.0.0.1]:Q/", "http://[64:ff9b::127.0.0.1]:Q/", "http://[2002:7f00:1::]:Q/", "http://[::1%25lo]:Q/", "http://%31%32%37.0.0.1:P/", "http://127%2e0%2e0%2e1:P/",
		"http://①②⑦.⓪.⓪.①:P/", "http://127。0。0。1:P/", "http://ip6-localhost:Q/",
		// private networks, and this machine in one
		"http://LOCAL:P/", "http://10.0.0.1:P/", "http://172.16.0.1:P/", "http://192.168.0.1:P/", "http://100.64.0.1:P/", "http://198.18.0.1:P/", "http://[fc00::1]:Q/", "http://[fe80::1]:Q/", "http://[fe80::1%25eth0]:Q/",
		// what answers in clouds
		"http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/latest/", "http://[::ffff:169.254.169.254]/", "http://2852039166/", "http://169.254.170.2/v2/credentials",
		// everybody, and nobody
		"http://255.255.255.255:P/", "http://224.0.0.1:P/", "http://240.0.0.1:P/", "http://[ff02::1]:Q/", "http://192.0.2.1/", "http://[2001:db8::1]/",
		// other schemes
		"https://127.0.0.1:P/", "HTTPS://localhost:P/", "gopher://127.0.0.1:P/_GET", "file:///etc/passwd", "ftp://127.0.0.1:P/", "ldap://127.0.0.1:P/", "dict://127.0.0.1:P/", "unix:///var/run/docker.sock",
		"jar:http://127.0.0.1:P/!/", "data:,hello", "javascript:alert(1)", "//127.0.0.1:P/", "127.0.0.1:P", "/etc/passwd", "",
		// users, and what is no URL
		"http://user@127.0.0.1:P/", "http://example.com@127.0.0.1:P/", "http://example.com:80@127.0.0.1:P/", "http://127.0.0.1:P#@example.com/", "http:127.0.0.1:P/", "http:///127.0.0.1:P/",
		"http://127.0.0.1:P\\@example.com/", "http://\t127.0.0.1:P/", "http://127.0.0.1\x00.example.com:P/", "http://127.0.0.1:P/\r\nHost: example.com", "http://[::1:Q/", "http://:P/",
		// names that resolve to such addresses, at once or later
		"http://127-0-0-1.test:P/", "http://10-0-0-1.test:P/", "http://169-254-169-254.test/", "http://--1.test:Q/", "http://--ffff-7f00-1.test:P/", "http://64-ff9b--7f00-1.test:Q/",
		"http://192-168-1-1-and-127-0-0-1.test:P/", "http://203-0-113-7-then-127-0-0-1.test:P/", "http://nothing.test:P/",
	}
	if len(urls) < 60 {
		t.Fatalf("%d URLs", len(urls))
	}
	ca := testca.New(t)
	resolve := resolver(t)
	for _, u := range urls {
		u = strings.NewReplacer(":P", fmt.Sprintf(":%d", c.port4), ":Q", fmt.Sprintf(":%d", max(c.port6, c.port4)), "LOCAL", local).Replace(u)
		leaf := ca.Leaf("alice@example.com", testca.P256, testca.OCSPServers(u), testca.Points(testca.Point{URIs: []string{u}})).Certificate
		for range 2 { // a name may resolve to something else the second time
			f := New(context.Background(), &Options{Timeout: 2 * time.Second, Resolver: resolve})
			e, err := f.Fetch(leaf, ca.Issuing.Certificate, func(revocation.Evidence) bool { return true })
			if err == nil || len(e.CRLs)+len(e.Responses) > 0 {
				t.Errorf("%q: fetched", u)
			}
		}
		if n := c.hits.Load(); n > 0 {
			t.Fatalf("%q: %d connections", u, n)
		}
	}
	// The canary does hear what comes.
	f := New(context.Background(), &Options{Timeout: 2 * time.Second, Resolver: resolve, Loopback: true})
	leaf := ca.Leaf("alice@example.com", testca.P256, testca.OCSPServers(fmt.Sprintf("http://127-0-0-1.test:%d/", c.port4))).Certificate
	f.Fetch(leaf, ca.Issuing.Certificate, func(revocation.Evidence) bool { return true })
	if c.hits.Load() == 0 {
		t.Error("nobody came to the canary where somebody should")
	}
}

// TestRedirectToPrivate: neither does a redirect lead there.
func TestRedirectToPrivate(t *testing.T) {
	for to, want := range map[string]string{
		"http://10.0.0.1/": errAddress.Error(), "http://169.254.169.254/latest/meta-data/": errAddress.Error(), "http://[fd00::1]/": errAddress.Error(), "http://10-0-0-1.test/": errAddress.Error(),
		"https://127.0.0.1/": "only http", "file:///etc/passwd": "only http", "gopher://127.0.0.1/": "only http", "http://user@127.0.0.1/": "user name", "http:///": "no host",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Location", to)
			rw.WriteHeader(http.StatusFound)
		}))
		f := New(context.Background(), &Options{Loopback: true, Timeout: 2 * time.Second, Resolver: resolver(t)})
		if _, err := f.get(server.URL, "", "", 100); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", to, err)
		}
		server.Close()
		if _, err := f.get(to, "", "", 100); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s itself: %v", to, err)
		}
	}
}
