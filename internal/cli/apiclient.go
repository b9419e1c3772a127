package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/internal/jobs"
	"github.com/mailseal/mailseal/internal/registration"
)

// serverFlags name a server and who asks there.
type serverFlags struct {
	url       string
	tokenFile string
}

func (s *serverFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.url, "server", "", "`URL` of a running server, in the place of --data")
	cmd.Flags().StringVar(&s.tokenFile, "token-file", "", "`FILE` whose first line is a token of your account there, with --server")
}

// client opens the connection that the flags name. Those for a data folder have no
// meaning beside it.
func (s *serverFlags) client(cmd *cobra.Command) (*apiClient, error) {
	if s.url == "" || s.tokenFile == "" {
		return nil, usage(errors.New("--server and --token-file belong together"), "a token is made in the portal, under your account")
	}
	for _, name := range []string{"data", "db", "dns", "dev", "passphrase-file", "pin-file"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			return nil, usage(fmt.Errorf("--%s has no meaning with --server", name), "leave one of them out")
		}
	}
	c, err := newOrderClient(s.url)
	if err != nil {
		return nil, err
	}
	data, err := readSmall(s.tokenFile)
	if err != nil {
		return nil, broken(err, "--token-file names a file with a token")
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	token := strings.TrimSpace(string(line))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, broken(fmt.Errorf("%s: its first line is no token", s.tokenFile), "a token is made in the portal, under your account")
	}
	return &apiClient{c, token}, nil
}

// apiClient asks the API with an account's token.
type apiClient struct {
	*orderClient
	token string
}

// maxAPIAnswer bounds what a server can make us read: a page of 500 people with
// their certificates has half a MiB, a released bundle and a sheet some more.
const maxAPIAnswer = 64 << 20

// file is a body that is no JSON.
type apiFile struct {
	media string
	body  []byte
}

// ask makes one call; answer is what JSON is read into, or a *[]byte. A POST that
// gets no answer is sent once more: its key has the server do it once.
func (c *apiClient) ask(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	key := rand.Text()
	data, err := c.try(ctx, method, path, query, body, key)
	if lost, ok := errors.AsType[*url.Error](err); ok && ctx.Err() == nil && !lost.Timeout() {
		data, err = c.try(ctx, method, path, query, body, key)
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return broken(err, "is the server running, and is its address right?")
	}
	if err != nil || answer == nil {
		return err
	}
	if raw, ok := answer.(*[]byte); ok {
		*raw = data
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return broken(fmt.Errorf("%s gave an answer that is not JSON: %w", c.base, err), "is this a mailseal server?")
	}
	return nil
}

func (c *apiClient) try(ctx context.Context, method, path string, query url.Values, body any, key string) ([]byte, error) {
	media, content := "application/json", []byte(nil)
	switch b := body.(type) {
	case nil:
	case apiFile:
		media, content = b.media, b.body
	default:
		var err error
		if content, err = json.Marshal(b); err != nil {
			return nil, err
		}
	}
	at := c.base.JoinPath("api/v1", path)
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", media)
	}
	if method == http.MethodPost {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAPIAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", c.base, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, c.refused(resp, data)
	}
	return data, nil
}

// refused makes of a refusal what the same refusal is where the data is at hand.
func (c *apiClient) refused(resp *http.Response, data []byte) error {
	var p theirProblem
	if err := json.Unmarshal(data, &p); err != nil {
		return refusal(c.base, resp, data)
	}
	switch {
	case p.Code == "forbidden":
		return registration.ErrForbidden
	case p.Code == "not-dead":
		return jobs.ErrNotDead
	case p.Code == "state":
		return fmt.Errorf("%w: %s", registration.ErrState, p.Detail)
	case resp.StatusCode == http.StatusUnauthorized:
		return broken(refusal(c.base, resp, data), "a token is made in the portal, under your account")
	case resp.StatusCode == http.StatusBadRequest, resp.StatusCode == http.StatusUnprocessableEntity:
		return broken(p.err(), "see --help")
	}
	return refusal(c.base, resp, data)
}
