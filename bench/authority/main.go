// Command authority measures how fast mailseal issues certificates over HTTP
// beside step-ca: the same keys, the same issuer's key, the same clients, on the
// same store, each record on the disk before the answer.
//
// mailseal's figure is that of POST /api/v1/orders/{id}/certificate for orders
// whose mailboxes are proven: request checked, certificate built from its
// profile, linted, audited, signed and stored. step-ca's is that of POST
// /1.0/sign with a one-time token of a JWK provisioner.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

// options are what the command line says.
type options struct {
	mailseal, stepCA string
	postgres         string // folder of PostgreSQL's programs; empty leaves PostgreSQL out
	certificates     int    // of each round
	clients          []int
	rounds           int
	report           string
}

func main() {
	o := options{clients: []int{1, 8, 32}}
	flag.StringVar(&o.mailseal, "mailseal", "../bin/mailseal", "the program to measure")
	flag.StringVar(&o.stepCA, "step-ca", "step-ca", "the peer")
	flag.StringVar(&o.postgres, "postgres", "", "`FOLDER` of initdb and postgres; empty leaves PostgreSQL out")
	flag.IntVar(&o.certificates, "n", 2000, "certificates of each round")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds, in which every server has its turn; the best counts")
	flag.StringVar(&o.report, "report", "", "`FILE` to write the table to, beside standard output")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "authority:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	for _, p := range []*string{&o.mailseal, &o.stepCA} {
		if strings.ContainsRune(*p, filepath.Separator) {
			if *p, err = filepath.Abs(*p); err != nil {
				return err
			}
		}
	}
	// Not in memory: what is measured includes the way to the disk.
	dir, err := os.MkdirTemp("", "mailseal-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	requests, err := makeRequests(o.certificates)
	if err != nil {
		return err
	}
	stores := []string{"embedded"}
	var database *postgres
	if o.postgres != "" {
		if database, err = startPostgres(ctx, o.postgres, filepath.Join(dir, "postgres")); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, database.stop()) }()
		stores = append(stores, "PostgreSQL")
	}
	t := table{}
	for _, store := range stores {
		for round := range o.rounds {
			for _, name := range []string{"mailseal", "step-ca"} {
				at := filepath.Join(dir, fmt.Sprintf("%s-%s-%d", name, store, round))
				if err := measure(ctx, o, name, store, at, database, requests, &t); err != nil {
					return fmt.Errorf("%s on %s: %w", name, store, err)
				}
			}
		}
	}
	text := t.markdown(o)
	fmt.Print(text)
	if o.report == "" {
		return nil
	}
	return os.WriteFile(o.report, []byte(text), 0o644)
}

// measure runs one server on a fresh store.
func measure(ctx context.Context, o options, name, store, dir string, database *postgres, requests [][]byte, t *table) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	url := ""
	if store == "PostgreSQL" {
		if url, err = database.create(ctx, filepath.Base(dir)); err != nil {
			return err
		}
	}
	start := startMailseal
	if name == "step-ca" {
		start = startStepCA
	}
	s, err := start(ctx, o, dir, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, clients := range o.clients {
		n := len(requests)
		if clients == 1 {
			n /= 4
		}
		m, err := s.load(ctx, requests[:n], clients)
		if err != nil {
			return err
		}
		t.add(name, store, clients, m)
		fmt.Fprintf(os.Stderr, "%-10s %-10s %2d clients: %5.0f/s, %.2f ms of CPU each, p50 %s, p99 %s\n", name, store, clients, m.rate, m.cpu*1000, m.p50, m.p99)
	}
	return nil
}

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
	s.WriteString(`# Issuing beside step-ca

Written by ` + "`make bench-authority`" + `; edit bench/authority instead.

Certificates a second over HTTPS on loopback, the clients on the same machine, P-256 keys everywhere. Every certificate is on the
disk before the answer. mailseal's are linted and audited, which step-ca's are not; step-ca checks a one-time token. CPU is that of
the server's process for one certificate. A ratio above 1 means that mailseal is faster, or needs less.

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
