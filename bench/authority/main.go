// Command authority measures mailseal's authority beside its peers, each on this
// machine in the same run: issuing over HTTP beside step-ca, a large CRL beside
// Go's and OpenSSL's, and OCSP beside CFSSL's responder.
//
// Issuing: the same keys, the same issuer's key, the same clients, on the same
// store, each record on the disk before the answer. mailseal's figure is that of
// POST /api/v1/orders/{id}/certificate for orders whose mailboxes are proven:
// request checked, certificate built from its profile, linted, audited, signed
// and stored. step-ca's is that of POST /1.0/sign with a one-time token of a JWK
// provisioner.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailseal/mailseal/bench/machine"
)

// options are what the command line says.
type options struct {
	mailseal, stepCA, cfssl string
	postgres                string // folder of PostgreSQL's programs; empty leaves PostgreSQL out
	parts                   string
	certificates            int // of each round
	clients                 []int
	entries                 int           // of the CRL
	span                    time.Duration // of a run of OCSP requests
	rounds                  int
	report                  string
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == goListCommand {
		entries, err := strconv.Atoi(os.Args[2])
		if err == nil {
			err = listByGo(entries)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "authority:", err)
			os.Exit(1)
		}
		return
	}
	o := options{clients: []int{1, 8, 32}}
	flag.StringVar(&o.mailseal, "mailseal", "../bin/mailseal", "the program to measure")
	flag.StringVar(&o.stepCA, "step-ca", "step-ca", "the peer")
	flag.StringVar(&o.cfssl, "cfssl", "cfssl", "the peer of OCSP")
	flag.StringVar(&o.parts, "parts", "issuing,crl,ocsp", "what to measure")
	flag.IntVar(&o.entries, "entries", 1000000, "entries of the CRL")
	flag.DurationVar(&o.span, "span", 5*time.Second, "length of a run of OCSP requests")
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
	for _, p := range []*string{&o.mailseal, &o.stepCA, &o.cfssl} {
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
	var text strings.Builder
	fmt.Fprintf(&text, heading, time.Now().Format(time.DateOnly), machine.This())
	for _, part := range []struct {
		name    string
		measure func(context.Context, options, string) (string, error)
	}{{"issuing", issuing}, {"crl", lists}, {"ocsp", responses}} {
		if !slices.Contains(strings.Split(o.parts, ","), part.name) {
			continue
		}
		section, err := part.measure(ctx, o, filepath.Join(dir, part.name))
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		text.WriteString("\n" + section)
	}
	fmt.Print(text.String())
	if o.report == "" {
		return nil
	}
	return os.WriteFile(o.report, []byte(text.String()), 0o644)
}

func lists(ctx context.Context, o options, dir string) (string, error) {
	all, err := measureLists(ctx, o, dir)
	return listText(o, all), err
}

func responses(ctx context.Context, o options, dir string) (string, error) {
	all, err := measureOCSP(ctx, o, dir)
	return ocspText(all), err
}

func issuing(ctx context.Context, o options, dir string) (text string, err error) {
	requests, err := makeRequests(o.certificates)
	if err != nil {
		return "", err
	}
	stores := []string{"embedded"}
	var database *postgres
	if o.postgres != "" {
		if database, err = startPostgres(ctx, o.postgres, dir+"-postgres"); err != nil {
			return "", err
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
					return "", fmt.Errorf("%s on %s: %w", name, store, err)
				}
			}
		}
	}
	return t.markdown(o), nil
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
