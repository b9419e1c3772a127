package main

import (
	"fmt"
	"strings"
	"time"
)

const heading = `# The authority beside its peers

Written by ` + "`make bench-authority`" + `; edit bench/authority instead. %s on %s.

A ratio above 1 means that mailseal is faster, or needs less. The clients run on the same machine as the servers.
Where the load average says that other work went on, single rates are disturbed by it, and the CPU is what compares.
`

// table is the best of every round.
type table map[string]measurement

func (t table) add(name, store string, clients int, m measurement) {
	key := fmt.Sprint(store, " ", clients, " ", name)
	if m.rate > t[key].rate {
		t[key] = m
	}
}

func (t table) markdown(o options) string {
	var s strings.Builder
	s.WriteString(`## Issuing beside step-ca

Certificates a second over loopback, P-256 keys everywhere, connections kept: mailseal's over HTTP (` + "`serve --dev`" + `),
step-ca's over HTTPS, which it always speaks. Every certificate is on the disk before the answer. mailseal's are linted and audited,
which step-ca's are not; step-ca checks a one-time token. CPU is that of the server's process for one certificate, without
PostgreSQL's. A certificate's OCSP response is signed on the first request for it, or within a day, and is not in these figures;
step-ca has no OCSP.

| store | clients | mailseal | step-ca | ratio | CPU of mailseal | CPU of step-ca | ratio | p99 of mailseal | p99 of step-ca |
|---|---|---|---|---|---|---|---|---|---|
`)
	for _, store := range []string{"embedded", "PostgreSQL"} {
		for _, clients := range o.clients {
			ours, theirs := t[fmt.Sprint(store, " ", clients, " mailseal")], t[fmt.Sprint(store, " ", clients, " step-ca")]
			if ours.rate == 0 || theirs.rate == 0 {
				continue
			}
			fmt.Fprintf(&s, "| %s | %d | %.0f | %.0f | %.2f | %.2f ms | %.2f ms | %.2f | %s | %s |\n", store, clients, ours.rate, theirs.rate,
				ours.rate/theirs.rate, ours.cpu*1000, theirs.cpu*1000, theirs.cpu/ours.cpu, ours.p99, theirs.p99)
		}
	}
	return s.String()
}

func listText(o options, all map[string]listing) string {
	var s strings.Builder
	fmt.Fprintf(&s, `## A CRL of %d entries

Serial numbers of 16 octets, half of the entries with a reason, P-256. mailseal's is the whole process of `+"`mailseal ca revoke`"+`: one
more certificate is revoked in a SQLite store, the entries are read from there, the list is signed and stored. OpenSSL's is
`+"`openssl ca -gencrl`"+` with its text index. Go's is x509.CreateRevocationList of entries that are in memory already, and stores nothing.

| | CPU | wall | memory | CPU, ratio | memory, ratio |
|---|---|---|---|---|---|
`, o.entries)
	ours := all["mailseal"]
	for _, name := range []string{"mailseal", "Go", "OpenSSL"} {
		l := all[name]
		fmt.Fprintf(&s, "| %s | %.2f s | %.2f s | %d MiB | %.2f | %.2f |\n", name, l.cpu.Seconds(), l.wall.Seconds(), l.peak>>20,
			l.cpu.Seconds()/ours.cpu.Seconds(), float64(l.peak)/float64(ours.peak))
	}
	return s.String()
}

func ocspText(t ocspTable) string {
	var s strings.Builder
	fmt.Fprintf(&s, `## OCSP beside CFSSL

Answers a second from mailseal and from CFSSL's `+"`ocspserve`"+`, each with the responses about the same %d certificates at hand, to the same
requests over %d connections: as fast as they come, and then at half of that rate, where a time begins when the request was due.
mailseal's responses are signed by a delegated key, whose certificate is in them; CFSSL, which verifies such a response each time
that it serves it, has shorter ones that the authority signed itself.

| method | mailseal | CFSSL | ratio | CPU of mailseal | CPU of CFSSL | p99 of mailseal | p99 of CFSSL | at half the rate: p50, p99 of mailseal | p50, p99 of CFSSL |
|---|---|---|---|---|---|---|---|---|---|
`, ocspCertificates, ocspConnections)
	for _, method := range []string{"GET", "POST"} {
		ours, theirs := t[method+" mailseal"], t[method+" CFSSL"]
		micro := func(seconds float64) time.Duration {
			return time.Duration(seconds * float64(time.Second)).Round(100 * time.Nanosecond)
		}
		fmt.Fprintf(&s, "| %s | %.0f | %.0f | %.2f | %s | %s | %s | %s | %s, %s | %s, %s |\n", method, ours.full.rate, theirs.full.rate,
			ours.full.rate/theirs.full.rate, micro(ours.full.cpu), micro(theirs.full.cpu), ours.full.p99, theirs.full.p99,
			ours.half.p50, ours.half.p99, theirs.half.p50, theirs.half.p99)
	}
	return s.String()
}
