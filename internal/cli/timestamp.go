package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
)

// timestampTimeout is how long an authority may take to answer.
const timestampTimeout = time.Minute

func addTimestampFlag(cmd *cobra.Command, authority *string) {
	cmd.Flags().StringVar(authority, "timestamp", "", "`URL` of a timestamp authority (RFC 3161) that confirms when each signature was made")
}

// timestampClient asks a timestamp authority over HTTP (RFC 3161 §3.4); nil where
// none is named. What the authority learns is a digest, and its answer is signed, so
// plain http is no danger.
func timestampClient(ctx context.Context, authority string) (func(request []byte) ([]byte, error), error) {
	if authority == "" {
		return nil, nil
	}
	u, err := url.Parse(authority)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, usage(fmt.Errorf("%q is not the address of a timestamp authority", authority), "--timestamp takes something like http://tsa.example.com/tsr")
	}
	client := &http.Client{Timeout: timestampTimeout}
	return func(request []byte) ([]byte, error) {
		q, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(request))
		if err != nil {
			return nil, err
		}
		q.Header.Set("Content-Type", "application/timestamp-query")
		q.Header.Set("Accept", "application/timestamp-reply")
		answer, err := client.Do(q)
		if err != nil {
			return nil, broken(err, "is the timestamp authority reachable from here?")
		}
		defer answer.Body.Close()
		kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
		if answer.StatusCode != http.StatusOK || kind != "application/timestamp-reply" {
			return nil, broken(fmt.Errorf("%s answers %q (%q)", u.Redacted(), answer.Status, kind), "does a timestamp authority (RFC 3161) listen at that address?")
		}
		return io.ReadAll(io.LimitReader(answer.Body, cms.MaxTimestampResponse+1))
	}, nil
}
