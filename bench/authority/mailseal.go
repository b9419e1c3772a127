package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
)

// startMailseal runs the server with an authority of its own.
func startMailseal(ctx context.Context, o options, dir, database string) (*server, error) {
	at, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	smtp, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	environment := os.Environ()
	if database != "" {
		environment = append(environment, "MAILSEAL_DB="+database+"?sslmode=disable")
	}
	create := exec.CommandContext(ctx, o.mailseal, "ca", "init", "--dev", "--yes", "--data", data, "--algorithm", "p-256",
		"--operator", "Bench", "--base-url", "http://"+at)
	create.Env = environment
	if out, err := create.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ca init: %w: %s", err, out)
	}
	cmd := exec.CommandContext(ctx, o.mailseal, "serve", "--dev", "--data", data, "--listen", at, "--smtp", smtp)
	cmd.Env = environment
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	m := &mailsealClient{url: "http://" + at, mails: filepath.Join(data, "mail")}
	s := &server{cmd: cmd, address: at, client: m.client, prepare: m.prepare, request: m.request}
	return s, awaitServing(ctx, m.client(), m.url+"/healthz", filepath.Join(dir, "log"))
}

// mailsealClient orders certificates as the program `mailseal id request` does.
type mailsealClient struct {
	url    string
	mails  string // the folder of the mail catcher
	orders []order
}

type order struct {
	ID    string `json:"id"`
	Token string `json:"token"`
	Email string `json:"email"`
}

func (m *mailsealClient) client() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
}

// prepare applies for n certificates and proves their mailboxes.
func (m *mailsealClient) prepare(ctx context.Context, n int) error {
	m.orders = make([]order, n)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	if err := m.each(ctx, n, func(i int) error {
		body, err := m.post(ctx, client, "/api/v1/orders", "", map[string]string{"email": address(i)})
		if err != nil {
			return err
		}
		return json.Unmarshal(body, &m.orders[i])
	}); err != nil {
		return err
	}
	codes, err := m.codes()
	if err != nil {
		return err
	}
	return m.each(ctx, n, func(i int) error {
		o := m.orders[i]
		r, err := m.newRequest(ctx, "/api/v1/orders/"+o.ID+"/code", o.Token, map[string]string{"code": codes[o.Email]})
		if err != nil {
			return err
		}
		_, err = call(client, r, http.StatusOK)
		return err
	})
}

// each runs f for 0 to n-1, eight at a time.
func (m *mailsealClient) each(ctx context.Context, n int, f func(int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := w; i < n && ctx.Err() == nil; i += 8 {
				if err := f(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

var (
	toLine   = regexp.MustCompile(`(?im)^To: .*?([^ <>\r\n]+@[^ <>\r\n]+)`)
	codeLine = regexp.MustCompile(`(?m)^ *([0-9A-Za-z-]{24,40})\r?$`)
)

// codes reads the codes out of the caught mails, by address, and removes them.
func (m *mailsealClient) codes() (map[string]string, error) {
	entries, err := os.ReadDir(m.mails)
	if err != nil {
		return nil, err
	}
	codes := map[string]string{}
	for _, e := range entries {
		path := filepath.Join(m.mails, e.Name())
		mail, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		to, code := toLine.FindSubmatch(mail), codeLine.FindSubmatch(mail)
		if to != nil && code != nil {
			codes[string(to[1])] = string(code[1])
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return codes, nil
}

func (m *mailsealClient) post(ctx context.Context, client *http.Client, path, token string, body any) ([]byte, error) {
	r, err := m.newRequest(ctx, path, token, body)
	if err != nil {
		return nil, err
	}
	return call(client, r, http.StatusCreated)
}

func (m *mailsealClient) newRequest(ctx context.Context, path, token string, body any) (*http.Request, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return m.raw(ctx, path, token, "application/json", data)
}

func (m *mailsealClient) raw(ctx context.Context, path, token, kind string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", kind)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r, nil
}

func (m *mailsealClient) request(ctx context.Context, i int, csr []byte) (*http.Request, error) {
	o := m.orders[i]
	return m.raw(ctx, "/api/v1/orders/"+o.ID+"/certificate", o.Token, "application/pkcs10", csr)
}
