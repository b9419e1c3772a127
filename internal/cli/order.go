package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// orderClient speaks to the API of a mailseal server: the orders part of
// internal/api, from outside.
type orderClient struct {
	base *url.URL
	http *http.Client
}

// maxAnswer bounds what a server can make us read: a chain is a few KiB.
const maxAnswer = 1 << 20

// order is a request for a certificate as the server describes it.
type order struct {
	ID    string `json:"id"`
	Token string `json:"token"` // once, in the answer that made the order
	Email string `json:"email"`
	State string `json:"state"`
	// Mail is what became of the mail with the code, MailReason what the mail
	// server said where it failed.
	Mail       string    `json:"mail"`
	MailReason string    `json:"mail_reason"`
	Expires    time.Time `json:"expires"`
}

// enrolled is the server's answer with the certificate; all three are PEM.
type enrolled struct {
	Certificate string   `json:"certificate"`
	Chain       []string `json:"chain"`
	Root        string   `json:"root"`
}

// problem is an answer of RFC 9457.
type problem struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Status int    `json:"status"`
}

func (e *problem) Error() string {
	if e.Detail != "" {
		return e.Detail
	}
	return e.Title
}

func newOrderClient(server string) (*orderClient, error) {
	base, err := url.Parse(strings.TrimSuffix(server, "/"))
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, usage(fmt.Errorf("%q is not the address of a server", server), "--server takes something like https://ca.example.com")
	}
	// The order's token and the code travel in this connection.
	if base.Scheme == "http" && !loopback(base.Hostname()) {
		return nil, usage(fmt.Errorf("%s: plain http to another machine would show the code to everyone on the way", server), "use https")
	}
	return &orderClient{base: base, http: &http.Client{
		Timeout: time.Minute,
		// A redirect would carry the token to whoever the answer names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *orderClient) create(ctx context.Context, email, name string) (*order, error) {
	var o order
	body := map[string]string{"email": email, "name": name}
	return &o, c.do(ctx, http.MethodPost, "orders", "", body, &o)
}

func (c *orderClient) get(ctx context.Context, id, token string) (*order, error) {
	var o order
	return &o, c.do(ctx, http.MethodGet, "orders/"+url.PathEscape(id), token, nil, &o)
}

func (c *orderClient) prove(ctx context.Context, id, token, code string) error {
	var o order
	return c.do(ctx, http.MethodPost, "orders/"+url.PathEscape(id)+"/code", token, map[string]string{"code": code}, &o)
}

// enroll sends the certification request (RFC 2986, DER).
func (c *orderClient) enroll(ctx context.Context, id, token string, request []byte) (*enrolled, error) {
	var e enrolled
	return &e, c.do(ctx, http.MethodPost, "orders/"+url.PathEscape(id)+"/certificate", token, request, &e)
}

// do makes one call. A body of bytes is a certification request, any other is JSON.
func (c *orderClient) do(ctx context.Context, method, path, token string, body, answer any) error {
	req, err := c.request(ctx, method, path, token, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return broken(err, "is the server running, and is its address right?")
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base, err)
	}
	if resp.StatusCode/100 != 2 {
		return refusal(c.base, resp, data)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return broken(fmt.Errorf("%s gave an answer that is not JSON: %w", c.base, err), "is this a mailseal server?")
	}
	return nil
}

func (c *orderClient) request(ctx context.Context, method, path, token string, body any) (*http.Request, error) {
	var content io.Reader
	mime := "application/json"
	switch b := body.(type) {
	case nil:
	case []byte:
		content, mime = bytes.NewReader(b), "application/pkcs10" // RFC 5967
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath("api/v1", path).String(), content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if content != nil {
		req.Header.Set("Content-Type", mime)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// refusal turns an answer that is not 2xx into a problem with its status.
func refusal(base *url.URL, resp *http.Response, data []byte) error {
	p := &problem{}
	if json.Unmarshal(data, p) != nil || p.Error() == "" {
		return broken(fmt.Errorf("%s answered %s", base, resp.Status), "is this a mailseal server?")
	}
	p.Status = resp.StatusCode
	if p.Status/100 == 5 {
		return broken(p, "the server is in trouble; try again later")
	}
	return no(p, "%s says no", base.Host)
}

// gone says whether the server no longer has the order that we ask for.
func gone(err error) bool {
	var p *problem
	return errors.As(err, &p) && (p.Status == http.StatusNotFound || p.Status == http.StatusGone || p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden)
}
