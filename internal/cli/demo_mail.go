package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// caughtMail is an entry of /dev/mail, as far as a reader of codes looks.
type caughtMail struct {
	To   []string `json:"to"`
	Text string   `json:"text"`
}

// codeLine is a line that holds a code and nothing else, as the contract with
// programs has it: 24 to 40 letters, digits and hyphens.
var codeLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^[ \t]*([A-Za-z0-9-]{24,40})[ \t]*\r?$`) })

// mailedCode waits for the mail to an address and takes the code from it, as the
// person does who reads that mail.
func (s *story) mailedCode(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		mails, err := s.caught(ctx)
		if err != nil {
			return "", err
		}
		for _, m := range mails {
			if !slices.ContainsFunc(m.To, func(to string) bool { return strings.Contains(to, address) }) {
				continue
			}
			if found := codeLine().FindStringSubmatch(m.Text); found != nil {
				return found[1], nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("no mail with a code came to %s: %w", address, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *story) caught(ctx context.Context) ([]caughtMail, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server+"/dev/mail", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var mails []caughtMail
	if err := json.NewDecoder(resp.Body).Decode(&mails); err != nil {
		return nil, fmt.Errorf("/dev/mail: %w", err)
	}
	return mails, nil
}
