package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// server is one authority that runs, and how it is asked for a certificate.
type server struct {
	cmd     *exec.Cmd
	address string
	client  func() *http.Client // one for each client: connections are their own
	// prepare makes what each of n requests needs and is not measured.
	prepare func(ctx context.Context, n int) error
	// request makes the HTTP request for the i-th of those prepared.
	request func(ctx context.Context, i int, csr []byte) (*http.Request, error)
}

// measurement is one run of load.
type measurement struct {
	rate     float64 // certificates a second
	cpu      float64 // seconds of the server's process for each
	p50, p99 time.Duration
}

// makeRequests makes certification requests for addresses of their own.
func makeRequests(n int) ([][]byte, error) {
	requests := make([][]byte, n)
	for i := range requests {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		requests[i], err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: address(i)}, EmailAddresses: []string{address(i)},
		}, key)
		if err != nil {
			return nil, err
		}
	}
	return requests, nil
}

func address(i int) string { return fmt.Sprintf("person%d@example.com", i) }

// load has the certificates issued by that many clients at a time.
func (s *server) load(ctx context.Context, requests [][]byte, clients int) (measurement, error) {
	if err := s.prepare(ctx, len(requests)); err != nil {
		return measurement{}, fmt.Errorf("prepare: %w", err)
	}
	before, err := cpuTime(s.cmd.Process.Pid)
	if err != nil {
		return measurement{}, err
	}
	var next atomic.Int64
	times := make([]time.Duration, len(requests))
	failures := make([]error, clients)
	var all sync.WaitGroup
	begin := time.Now()
	for c := range clients {
		all.Go(func() {
			client := s.client()
			defer client.CloseIdleConnections()
			for i := int(next.Add(1)) - 1; i < len(requests) && failures[c] == nil; i = int(next.Add(1)) - 1 {
				start := time.Now()
				failures[c] = s.issue(ctx, client, i, requests[i])
				times[i] = time.Since(start)
			}
		})
	}
	all.Wait()
	took := time.Since(begin)
	after, err := cpuTime(s.cmd.Process.Pid)
	if err := errors.Join(append(failures, err)...); err != nil {
		return measurement{}, err
	}
	slices.Sort(times)
	n := float64(len(requests))
	return measurement{
		rate: n / took.Seconds(), cpu: (after - before).Seconds() / n,
		p50: times[len(times)/2].Round(100 * time.Microsecond), p99: times[len(times)*99/100].Round(100 * time.Microsecond),
	}, nil
}

func (s *server) issue(ctx context.Context, client *http.Client, i int, csr []byte) error {
	r, err := s.request(ctx, i, csr)
	if err != nil {
		return err
	}
	_, err = call(client, r, http.StatusCreated)
	return err
}

// httpsClient trusts the roots in the file.
func httpsClient(roots *x509.CertPool) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}}
}

// cpuTime is what the process has used so far, user and system.
func cpuTime(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold anything; utime and stime are the 12th and 13th after it.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil // USER_HZ
}

// stop ends the server and waits for it.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	// step-ca exits with a status of its own after a signal.
	_ = s.cmd.Wait()
	return nil
}
