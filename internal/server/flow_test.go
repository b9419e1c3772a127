package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A long answer goes on while it is read, for longer than WriteTimeout; whoever
// stops reading, or reads for ever, is cut off.
func TestFlow(t *testing.T) {
	const whole = 24 << 20 // more than the kernel keeps for a connection
	const step = 400 * time.Millisecond
	for _, two := range []bool{false, true} {
		for _, test := range []struct {
			name    string
			pieces  int           // that the client reads
			pause   time.Duration // before each
			longest time.Duration
			whole   bool
		}{
			{"slow", 24, 50 * time.Millisecond, time.Minute, true},
			{"stalled", 1, 0, time.Minute, false},
			{"for ever", 24, 50 * time.Millisecond, 600 * time.Millisecond, false},
		} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", test.name, two), func(t *testing.T) {
				t.Parallel()
				ended := make(chan error, 1)
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					_, err := newFlow(w, step, test.longest).Write(make([]byte, whole))
					ended <- err
				}))
				s.Config.WriteTimeout = step
				s.EnableHTTP2 = two
				s.StartTLS()
				defer s.Close()
				client := s.Client()
				transport := client.Transport.(*http.Transport)
				transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					c, err := (&net.Dialer{}).DialContext(ctx, network, address)
					if err == nil {
						err = c.(*net.TCPConn).SetReadBuffer(64 << 10)
					}
					return c, err
				}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				got, begin := int64(0), time.Now()
				for range test.pieces {
					time.Sleep(test.pause)
					n, err := io.CopyN(io.Discard, answer.Body, 1<<20)
					if got += n; err != nil {
						break
					}
				}
				select {
				case err = <-ended:
				case <-time.After(20 * step):
					t.Fatal("the handler never ends")
				}
				if test.whole && (got != whole || err != nil || time.Since(begin) < 2*step) {
					t.Errorf("%d octets in %v, %v", got, time.Since(begin), err)
				}
				if !test.whole && (got == whole || err == nil) {
					t.Errorf("%d octets in %v, and no end: %v", got, time.Since(begin), err)
				}
			})
		}
	}
}
