// Package testdns is a DNS server for tests: it answers on the loopback interface
// what a test has entered, and fails as a test asks it to.
package testdns

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server is a running one. Names are entered without their final dot, in any
// case.
type Server struct {
	Address string // host:port, of UDP and TCP

	mu      sync.Mutex
	records map[question][]dns.RR
	fails   map[string]int // rcodes, by name
	asked   map[string]int
	silent  bool
	large   bool
	held    chan struct{} // answers wait for its end; nil: they do not
}

type question struct {
	name string
	kind uint16
}

// New starts a server, which stops after the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{records: map[question][]dns.RR{}, fails: map[string]int{}, asked: map[string]int{}}
	packets, streams := listen(t)
	s.Address = packets.LocalAddr().String()
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: s}, {Listener: streams, Handler: s}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { _ = server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	return s
}

// listen takes one port for UDP and TCP. One that is free for the first may be
// somebody's for the other.
func listen(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	const tries = 20
	for i := 1; ; i++ {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		streams, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, streams
		}
		_ = packets.Close()
		if i == tries {
			t.Fatal(err)
		}
	}
}

func canonical(name string) string { return strings.ToLower(dns.Fqdn(name)) }

// TXT makes texts, cut into strings of 255 octets, all that a name has.
func (s *Server) TXT(name string, texts ...string) {
	var list []dns.RR
	for _, text := range texts {
		var strings []string
		for len(text) > 255 {
			strings, text = append(strings, text[:255]), text[255:]
		}
		list = append(list, &dns.TXT{Hdr: header(name, dns.TypeTXT, 60), Txt: append(strings, text)})
	}
	s.set(question{canonical(name), dns.TypeTXT}, list)
}

// CAA makes properties "tag value", with a leading "!" where they are critical,
// all that a name has; ttl is in seconds.
func (s *Server) CAA(name string, ttl uint32, properties ...string) {
	var list []dns.RR
	for _, p := range properties {
		rr := &dns.CAA{Hdr: header(name, dns.TypeCAA, ttl)}
		if p[0] == '!' {
			p, rr.Flag = p[1:], 0x80
		}
		rr.Tag, rr.Value, _ = strings.Cut(p, " ")
		list = append(list, rr)
	}
	s.set(question{canonical(name), dns.TypeCAA}, list)
}

func header(name string, kind uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: canonical(name), Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}

func (s *Server) set(q question, list []dns.RR) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[q] = list
}

// Fail answers questions about a name with an rcode, such as dns.RcodeServerFailure;
// dns.RcodeSuccess ends that.
func (s *Server) Fail(name string, rcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails[canonical(name)] = rcode
}

// Silence makes the server say nothing at all.
func (s *Server) Silence(silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = silent
}

// Hold keeps answers back until release is called.
func (s *Server) Hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := make(chan struct{})
	s.held = held
	return sync.OnceFunc(func() { close(held) })
}

// OnlyTCP makes every answer by UDP a truncated one.
func (s *Server) OnlyTCP(only bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.large = only
}

// Asked says how many questions there were about a name.
func (s *Server) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[canonical(name)]
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	q := r.Question[0]
	name := canonical(q.Name)
	s.mu.Lock()
	s.asked[name]++
	held := s.held
	s.mu.Unlock()
	if held != nil {
		<-held
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent {
		return
	}
	reply := new(dns.Msg)
	reply.SetReply(r)
	reply.RecursionAvailable = true
	_, udp := w.LocalAddr().(*net.UDPAddr)
	switch list, found := s.records[question{name, q.Qtype}]; {
	case s.fails[name] != 0:
		reply.Rcode = s.fails[name]
	case s.large && udp:
		reply.Truncated = true
	case found:
		reply.Answer = list
	default:
		reply.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(reply)
}
