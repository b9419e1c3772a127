package mailqueue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/store"
)

// BenchmarkQueue hands mails over that are all there at the beginning: to one
// domain, and to as many domains as mails.
func BenchmarkQueue(b *testing.B) {
	for name, domain := range map[string]func(int) string{
		"one domain":  func(int) string { return "example.org" },
		"all domains": func(n int) string { return fmt.Sprintf("d%d.example", n) },
	} {
		b.Run(name, func(b *testing.B) {
			p := open(b)
			for from := 0; from < b.N; from += 500 {
				err := p.db.Update(b.Context(), func(tx *store.Tx) error {
					for n := from; n < min(from+500, b.N); n++ {
						to, err := mailbox.Parse(fmt.Sprintf("p%d@%s", n, domain(n)))
						if err != nil {
							return err
						}
						if _, err := p.Enqueue(tx, mailqueue.Letter{Kind: "news", About: "x", To: to}); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			p.run()
			for p.waiting("x") > 0 {
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}
