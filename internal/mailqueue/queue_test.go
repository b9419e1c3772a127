package mailqueue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/validation"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// post is a queue with a clock that tests set, and a relay that keeps mails.
type post struct {
	*mailqueue.Queue
	t      testing.TB
	source string
	db     *store.DB
	box    *outbox.Outbox

	mu        sync.Mutex
	ahead     time.Duration
	mails     []validation.Mail
	tries     map[string]int   // by address
	fail      map[string]error // by address; "" for all
	pointless map[string]bool
	now, most int // being handed over at once
}

func open(t testing.TB) *post {
	t.Helper()
	p := &post{t: t, source: storetest.Source(t), tries: map[string]int{}, fail: map[string]error{}, pointless: map[string]bool{}}
	var err error
	if p.db, err = store.Open(t.Context(), p.source); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.db.Close() })
	p.box, err = outbox.New(outbox.Options{Store: p.db, Clock: p.clock, Poll: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	p.Queue = mailqueue.New(mailqueue.Options{Store: p.db, Outbox: p.box, Mailer: p, Clock: p.clock})
	p.Handle("news", mailqueue.Sort{AtOnce: 8, PerDomain: 2, Compose: p.compose})
	return p
}

func (p *post) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.ahead)
}

func (p *post) compose(_ *store.Tx, m mailqueue.Leaving) (validation.Mail, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pointless[m.Address] {
		return validation.Mail{}, mailqueue.ErrPointless
	}
	return validation.Mail{To: m.Address, Text: string(m.Data)}, nil
}

func (p *post) Send(_ context.Context, m validation.Mail) error {
	p.mu.Lock()
	p.now++
	p.most = max(p.most, p.now)
	p.tries[m.To]++
	p.mu.Unlock()
	time.Sleep(time.Millisecond)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now--
	for _, who := range []string{"", m.To} {
		if err := p.fail[who]; err != nil {
			return err
		}
	}
	p.mails = append(p.mails, m)
	return nil
}

func (p *post) set(address string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail[address] = err
}

func (p *post) write(l mailqueue.Letter, address string) (isNew bool) {
	p.t.Helper()
	to, err := mailbox.Parse(address)
	if err != nil {
		p.t.Fatal(err)
	}
	l.Kind, l.To = "news", to
	err = p.db.Update(p.t.Context(), func(tx *store.Tx) error {
		isNew, err = p.Enqueue(tx, l)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return isNew
}

// run works until the end of the test.
func (p *post) run() {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); p.box.Run(ctx) }()
	p.t.Cleanup(func() { stop(); <-ended })
}

func (p *post) eventually(what string, yes func() bool) {
	p.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		p.mu.Lock()
		ok := yes()
		p.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("never: %s", what)
		}
	}
}

// became waits for what became of the mail about something.
func (p *post) became(about string, want mailqueue.State) mailqueue.Mail {
	p.t.Helper()
	var m mailqueue.Mail
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		err := p.db.View(p.t.Context(), func(tx *store.Tx) (err error) {
			m, err = mailqueue.Last(tx, "news", about)
			return err
		})
		if err != nil {
			p.t.Fatal(err)
		}
		if m.State == want {
			return m
		}
		if time.Now().After(end) {
			p.t.Fatalf("about %s: %+v, want %s", about, m, want)
		}
	}
}

// waiting counts the mails about something that have not left.
func (p *post) waiting(about string) (n int) {
	err := p.db.View(p.t.Context(), func(tx *store.Tx) error {
		counts, err := tx.MailsAbout(about)
		for _, c := range counts {
			if c.State == string(mailqueue.Waiting) {
				n += c.Count
			}
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// A mail is there exactly if what asked for it took place, once for a key, and
// what it says leaves with it.
func TestEnqueue(t *testing.T) {
	p := open(t)
	boom := errors.New("boom")
	err := p.db.Update(t.Context(), func(tx *store.Tx) error {
		to, _ := mailbox.Parse("never@example.org")
		_, err := p.Enqueue(tx, mailqueue.Letter{Kind: "news", About: "x", To: to})
		return errors.Join(err, boom)
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if !p.write(mailqueue.Letter{About: "campaign", Key: "k", Data: []byte("hello")}, "alice@example.org") {
		t.Error("the first one is not new")
	}
	if p.write(mailqueue.Letter{About: "campaign", Key: "k", Data: []byte("again")}, "alice@example.org") {
		t.Error("a key was taken twice")
	}
	p.run()
	p.became("campaign", mailqueue.Sent)
	if len(p.mails) != 1 || p.mails[0].Text != "hello" || len(p.mails[0].ID) != 32 {
		t.Errorf("sent %+v", p.mails)
	}
	// Long after the job is forgotten.
	if err := p.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ForgetJobs(p.clock().Add(time.Hour), 100)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if p.write(mailqueue.Letter{About: "campaign", Key: "k"}, "alice@example.org") {
		t.Error("a key was taken again, later")
	}
}

// A mailbox that does not work holds up no other, in its domain or elsewhere;
// why is kept, as it may be shown.
func TestDeadMailboxes(t *testing.T) {
	p := open(t)
	p.set("gone@example.org", &validation.UndeliverableError{Reason: "5.1.1 no\x1b[31m\u202e such\r\nperson " + strings.Repeat("x", 1000)})
	p.set("full@example.org", &validation.DeferredError{Reason: "4.2.2 mailbox full"})
	p.set("silent@example.org", errors.New("no answer"))
	for _, who := range []string{"gone", "full", "silent"} {
		p.write(mailqueue.Letter{About: who}, who+"@example.org")
	}
	for i := range 20 {
		p.write(mailqueue.Letter{About: "others"}, fmt.Sprintf("p%d@example.org", i))
	}
	p.mu.Lock()
	p.pointless["p7@example.org"] = true
	p.mu.Unlock()
	p.run()
	p.eventually("all others have theirs", func() bool { return len(p.mails) == 19 })
	if m := p.became("gone", mailqueue.Refused); !strings.HasPrefix(m.Reason, "5.1.1 no [31m such person xxx") || len(m.Reason) != 300 {
		t.Errorf("refused: %+v", m)
	}
	p.eventually("all are tried", func() bool { return p.tries["full@example.org"] > 0 && p.tries["silent@example.org"] > 0 })
	if p.most > 2 {
		t.Errorf("%d mails to one domain at once", p.most)
	}
	p.eventually("the last one is known to have left", func() bool { return p.waiting("others") == 0 })
	var counts []store.MailCount
	var failed []store.Mail
	if err := p.db.View(t.Context(), func(tx *store.Tx) (err error) {
		if failed, err = tx.FailedMailsAbout("gone", 10); err != nil {
			return err
		}
		counts, err = tx.MailsAbout("others")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(counts, []store.MailCount{{Kind: "news", State: "sent", Count: 19}, {Kind: "news", State: "void", Count: 1}}) || len(failed) != 1 {
		t.Errorf("counted %v; failed %v", counts, failed)
	}
	// They are tried for days, and then somebody is told.
	storetest.SQL(t, p.source, `UPDATE jobs SET attempts = 199 WHERE state = 'open'`)
	p.mu.Lock()
	p.ahead += time.Hour
	p.mu.Unlock()
	if m := p.became("full", mailqueue.Refused); m.Reason != "4.2.2 mailbox full" {
		t.Errorf("given up: %+v", m)
	}
	if m := p.became("silent", mailqueue.Refused); m.Reason != "no mail server took it within four days" {
		t.Errorf("given up: %+v", m)
	}
	if p.tries["gone@example.org"] != 1 {
		t.Errorf("%d tries of what was refused", p.tries["gone@example.org"])
	}
}

// A relay that is away costs no mail a try.
func TestRelayAway(t *testing.T) {
	p := open(t)
	p.set("", &validation.UnavailableError{Err: errors.New("connection refused")})
	for i := range 50 {
		p.write(mailqueue.Letter{About: fmt.Sprint(i)}, fmt.Sprintf("p@example%d.org", i))
	}
	p.run()
	p.eventually("tried", func() bool { return len(p.tries) > 0 })
	time.Sleep(50 * time.Millisecond)
	if len(p.tries) > 16 {
		t.Errorf("%d mails were tried while the relay is away", len(p.tries))
	}
	p.set("", nil)
	p.eventually("all have left", func() bool { return len(p.mails) == 50 })
	p.eventually("no job is left", func() bool {
		counts, err := p.box.Counts(t.Context())
		return err == nil && len(counts) == 0
	})
}

// TestBounced: what was sent comes back, by its name alone, once.
func TestBounced(t *testing.T) {
	p := open(t)
	p.write(mailqueue.Letter{About: "x"}, "alice@example.org")
	p.run()
	p.became("x", mailqueue.Sent)
	id := p.mails[0].ID
	if known, err := p.KnowsMail(t.Context(), id); err != nil || !known {
		t.Errorf("known: %v, %v", known, err)
	}
	guess := strings.Repeat("0", 32)
	if known, err := p.KnowsMail(t.Context(), guess); err != nil || known {
		t.Errorf("somebody's guess is known: %v, %v", known, err)
	}
	if err := p.Bounced(t.Context(), guess, "x"); !errors.Is(err, mailqueue.ErrUnknown) {
		t.Errorf("somebody's guess: %v", err)
	}
	if err := p.Bounced(t.Context(), id, "mailbox\r\nfull"); err != nil {
		t.Fatal(err)
	}
	if m := p.became("x", mailqueue.Bounced); !m.Failed() || m.Reason != "mailbox full" {
		t.Errorf("shown as %+v", m)
	}
	if err := p.Bounced(t.Context(), id, "again"); !errors.Is(err, mailqueue.ErrUnknown) {
		t.Errorf("a second time: %v", err)
	}
}

// Who waits for a mail has it before those that wait in the queue, and hears what
// became of it.
func TestUrgent(t *testing.T) {
	p := open(t)
	p.set("gone@example.org", &validation.UndeliverableError{Reason: "no such person"})
	p.set("silent@example.org", errors.New("no answer"))
	for i := range 50 {
		p.write(mailqueue.Letter{About: "others"}, fmt.Sprintf("p%d@example.org", i))
	}
	for address, want := range map[string]mailqueue.Mail{
		"alice@example.org": {State: mailqueue.Sent}, "silent@example.org": {State: mailqueue.Waiting},
		"gone@example.org": {State: mailqueue.Refused, Reason: "no such person"},
	} {
		var urgent *mailqueue.Urgent
		err := p.db.Update(t.Context(), func(tx *store.Tx) error {
			to, err := mailbox.Parse(address)
			if err != nil {
				return err
			}
			urgent, err = p.Reserve(tx, mailqueue.Letter{Kind: "news", About: address, To: to})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := urgent.Send(t.Context()); got != want {
			t.Errorf("%s: %+v, want %+v", address, got, want)
		}
		if got := p.became(address, want.State); got != want {
			t.Errorf("%s: stored as %+v, want %+v", address, got, want)
		}
	}
	if n := p.waiting("others"); n != 50 {
		t.Errorf("%d of 50 wait", n)
	}
}
