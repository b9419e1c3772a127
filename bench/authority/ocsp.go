package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ocsp"
)

// OCSP beside CFSSL's responder: the same questions over connections that stay
// open. mailseal's answers are signed by a delegated key, whose certificate is in
// them. CFSSL verifies such an answer each time that it serves it, which takes
// longer than all else that it does; it gets answers that the authority signed
// itself, which are shorter and which it does not verify.

const (
	ocspCertificates = 1000
	ocspConnections  = 32
)

// answering is one run of questions.
type answering struct {
	rate     float64 // answers a second
	cpu      float64 // seconds of the server's process for each
	p50, p99 time.Duration
}

// ocspTable is the best at full rate, and what was seen at half of it, by method
// and name.
type ocspTable map[string]struct{ full, half answering }

// responder is a server of OCSP responses.
type responder struct {
	cmd      *exec.Cmd
	address  string
	requests map[string][][]byte // whole HTTP requests, by method
}

func measureOCSP(ctx context.Context, o options, dir string) (t ocspTable, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s, err := startMailseal(ctx, o, dir, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	questions, err := issueForOCSP(ctx, s)
	if err != nil {
		return nil, err
	}
	ours := &responder{cmd: s.cmd, address: s.address, requests: httpRequests(s.address, "/ocsp", questions)}
	if err := ours.warm(questions); err != nil {
		return nil, err
	}
	answers := filepath.Join(dir, "responses")
	if err := signAnswers(questions, answers); err != nil {
		return nil, err
	}
	theirs, err := startCFSSL(ctx, o, answers, questions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, theirs.cmd.Process.Kill(), ended(theirs.cmd)) }()
	t = ocspTable{}
	for range o.rounds {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for name, r := range map[string]*responder{"mailseal": ours, "CFSSL": theirs} {
				full, err := r.load(method, 0, o.span)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				half, err := r.load(method, full.rate/2, o.span)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				fmt.Fprintf(os.Stderr, "%-10s OCSP by %-4s %6.0f/s, %.1f µs of CPU each, p99 %s; at half of that p50 %s, p99 %s\n",
					name, method, full.rate, full.cpu*1e6, full.p99, half.p50, half.p99)
				if key := method + " " + name; full.rate > t[key].full.rate {
					t[key] = struct{ full, half answering }{full, half}
				}
			}
		}
	}
	return t, nil
}

// ended waits for a process that was killed.
func ended(cmd *exec.Cmd) error {
	_ = cmd.Wait() // says that it was killed
	return nil
}

// issueForOCSP has certificates issued and asks about each.
func issueForOCSP(ctx context.Context, s *server) (questions [][]byte, err error) {
	requests, err := makeRequests(ocspCertificates)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, len(requests)); err != nil {
		return nil, err
	}
	client := s.client()
	defer client.CloseIdleConnections()
	for i, csr := range requests {
		r, err := s.request(ctx, i, csr)
		if err != nil {
			return nil, err
		}
		body, err := call(client, r, http.StatusCreated)
		if err != nil {
			return nil, err
		}
		var issued struct {
			Certificate string   `json:"certificate"`
			Chain       []string `json:"chain"`
		}
		if err := json.Unmarshal(body, &issued); err != nil {
			return nil, err
		}
		c, err := readPEM(issued.Certificate)
		if err != nil {
			return nil, err
		}
		issuer, err := readPEM(issued.Chain[0])
		if err != nil {
			return nil, err
		}
		q, err := ocsp.CreateRequest(c, issuer, nil)
		if err != nil {
			return nil, err
		}
		questions = append(questions, q)
	}
	return questions, nil
}

func readPEM(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// httpRequests writes each question as a request by GET and by POST (RFC 6960 §A.1).
func httpRequests(address, path string, questions [][]byte) map[string][][]byte {
	requests := map[string][][]byte{}
	for _, q := range questions {
		text := strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(base64.StdEncoding.EncodeToString(q))
		requests[http.MethodGet] = append(requests[http.MethodGet],
			fmt.Appendf(nil, "GET %s/%s HTTP/1.1\r\nHost: %s\r\n\r\n", strings.TrimSuffix(path, "/"), text, address))
		requests[http.MethodPost] = append(requests[http.MethodPost],
			fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n\r\n%s", path, address, len(q), q))
	}
	return requests
}

// warm asks once about each certificate, and reads the answers.
func (r *responder) warm(questions [][]byte) error {
	c, err := dial(r.address)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range questions {
		body, err := c.ask(r.requests[http.MethodPost][i])
		if err != nil {
			return err
		}
		if _, err := ocsp.ParseResponse(body, nil); err != nil {
			return err
		}
	}
	return nil
}

// signAnswers writes answers as CFSSL reads them: base64, one in a line.
func signAnswers(questions [][]byte, path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	issuer := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Bench"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, issuer, issuer, key.Public(), key)
	if err != nil {
		return err
	}
	if issuer, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	var file bytes.Buffer
	for _, q := range questions {
		request, err := ocsp.ParseRequest(q)
		if err != nil {
			return err
		}
		answer, err := ocsp.CreateResponse(issuer, issuer, ocsp.Response{
			Status: ocsp.Good, SerialNumber: request.SerialNumber, ThisUpdate: now, NextUpdate: now.AddDate(0, 0, 4),
		}, key)
		if err != nil {
			return err
		}
		file.WriteString(base64.StdEncoding.EncodeToString(answer) + "\n")
	}
	return os.WriteFile(path, file.Bytes(), 0o600)
}

// startCFSSL serves the responses of a file.
func startCFSSL(ctx context.Context, o options, answers string, questions [][]byte) (*responder, error) {
	at, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, o.cfssl, "ocspserve", "-address", host, "-port", port, "-responses", answers, "-loglevel", "4")
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &responder{cmd: cmd, address: at, requests: httpRequests(at, "/", questions)}
	for range 100 {
		if c, err := dial(at); err == nil {
			return r, c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, errors.Join(errors.New("CFSSL does not answer"), cmd.Process.Kill(), ended(cmd))
}

// load asks for that long: as fast as the connections can, or at a rate. Then an
// answer's time begins when the question was due, whether or not a connection
// was free to ask it.
func (r *responder) load(method string, rate float64, span time.Duration) (a answering, err error) {
	requests := r.requests[method]
	before, err := cpuTime(r.cmd.Process.Pid)
	if err != nil {
		return a, err
	}
	var next atomic.Int64
	times := make([][]time.Duration, ocspConnections)
	failures := make([]error, ocspConnections)
	var all sync.WaitGroup
	begin := time.Now()
	for n := range ocspConnections {
		all.Go(func() {
			c, err := dial(r.address)
			if err != nil {
				failures[n] = err
				return
			}
			defer c.Close()
			for failures[n] == nil {
				i := next.Add(1) - 1
				start := time.Now()
				if rate > 0 {
					start = begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))
					time.Sleep(time.Until(start))
				}
				if start.Sub(begin) > span {
					return
				}
				_, failures[n] = c.ask(requests[i%int64(len(requests))])
				times[n] = append(times[n], time.Since(start))
			}
		})
	}
	all.Wait()
	took := time.Since(begin)
	after, err := cpuTime(r.cmd.Process.Pid)
	if err := errors.Join(append(failures, err)...); err != nil {
		return a, err
	}
	list := slices.Concat(times...)
	slices.Sort(list)
	n := float64(len(list))
	return answering{
		rate: n / took.Seconds(), cpu: (after - before).Seconds() / n,
		p50: list[len(list)/2].Round(10 * time.Microsecond), p99: list[len(list)*99/100].Round(10 * time.Microsecond),
	}, nil
}

// connection speaks just enough HTTP/1.1 to cost less than the servers.
type connection struct {
	net.Conn
	in *bufio.Reader
}

func dial(address string) (*connection, error) {
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &connection{c, bufio.NewReaderSize(c, 16<<10)}, nil
}

// ask returns the body of an answer with status 200.
func (c *connection) ask(request []byte) ([]byte, error) {
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	good := bytes.HasPrefix(status, []byte("HTTP/1.1 200"))
	length := -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
	}
	if !good || length < 0 {
		return nil, errors.New("an OCSP request was refused, or the answer has no length")
	}
	body := make([]byte, length)
	_, err = io.ReadFull(c.in, body)
	return body, err
}
