package validation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Resolver asks the DNS. It validates signatures itself or asks one that does:
// an answer whose signature is wrong is an error (S/MIME BR §4.2.2.1).
type Resolver interface {
	// TXT returns the texts at a name, each joined from its strings (RFC 1035
	// §3.3.14); none and no error: there are none.
	TXT(ctx context.Context, name string) ([]string, error)
	// CAA returns the records at a name (RFC 8659 §4), and for how long they may
	// be relied on.
	CAA(ctx context.Context, name string) ([]CAARecord, time.Duration, error)
}

// CAARecord is one CAA resource record (RFC 8659 §4.1).
type CAARecord struct {
	Critical bool
	Tag      string
	Value    string
}

// DNS is a [Resolver] that asks one recursive resolver, which validates: by
// default that of the system.
type DNS struct {
	Server  string        // host:port; empty: the first of /etc/resolv.conf
	Timeout time.Duration // of one question; 0: 5 s
}

// Limits of an answer.
const (
	dnsTimeout  = 5 * time.Second
	dnsTries    = 2 // S/MIME BR §4.2.2.1: a lookup that failed is retried once
	dnsSize     = 4096
	maxRecords  = 200
	maxTXT      = 4096 // octets
	systemPaths = "/etc/resolv.conf"
)

// TXT implements [Resolver].
func (d DNS) TXT(ctx context.Context, name string) (texts []string, err error) {
	answer, err := d.ask(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	for _, r := range answer {
		if txt, is := r.(*dns.TXT); is {
			if text := strings.Join(txt.Txt, ""); len(text) <= maxTXT {
				texts = append(texts, text)
			}
		}
	}
	return texts, nil
}

// CAA implements [Resolver].
func (d DNS) CAA(ctx context.Context, name string) (records []CAARecord, life time.Duration, err error) {
	answer, err := d.ask(ctx, name, dns.TypeCAA)
	if err != nil {
		return nil, 0, err
	}
	for _, r := range answer {
		if caa, is := r.(*dns.CAA); is {
			records = append(records, CAARecord{caa.Flag&0x80 != 0, strings.ToLower(caa.Tag), caa.Value})
			if ttl := time.Duration(caa.Hdr.Ttl) * time.Second; life == 0 || ttl < life {
				life = ttl
			}
		}
	}
	return records, life, nil
}

// ask puts one question, once more when no answer came. The resolver follows
// aliases; their records are in the answer as well.
func (d DNS) ask(ctx context.Context, name string, kind uint16) (answer []dns.RR, err error) {
	server := d.Server
	if server == "" {
		config, err := dns.ClientConfigFromFile(systemPaths)
		if err != nil {
			return nil, fmt.Errorf("dns: no resolver is named: %w", err)
		}
		if len(config.Servers) == 0 {
			return nil, errors.New("dns: no resolver is named in " + systemPaths)
		}
		server = net.JoinHostPort(config.Servers[0], config.Port)
	}
	for range dnsTries {
		if answer, err = d.exchange(ctx, server, name, kind); err == nil || ctx.Err() != nil {
			return answer, err
		}
	}
	return nil, err
}

func (d DNS) exchange(ctx context.Context, server, name string, kind uint16) ([]dns.RR, error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), kind)
	q.SetEdns0(dnsSize, true) // DO: who validates says SERVFAIL where it fails (RFC 4035 §3.2.2)
	timeout := d.Timeout
	if timeout == 0 {
		timeout = dnsTimeout
	}
	client := &dns.Client{Timeout: timeout}
	reply, _, err := client.ExchangeContext(ctx, q, server)
	if err == nil && reply.Truncated { // RFC 1035 §4.2.1
		client.Net = "tcp"
		reply, _, err = client.ExchangeContext(ctx, q, server)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("dns: %s: no answer: %w", name, err)
	case reply.Rcode == dns.RcodeNameError:
		return nil, nil
	case reply.Rcode != dns.RcodeSuccess:
		return nil, fmt.Errorf("dns: %s: the resolver says %s", name, dns.RcodeToString[reply.Rcode])
	case len(reply.Answer) > maxRecords:
		return nil, fmt.Errorf("dns: %s: more than %d records", name, maxRecords)
	}
	return reply.Answer, nil
}
