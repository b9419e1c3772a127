package problemreport

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// Row is a report as the operator sees it.
type Row struct {
	Filed
	Problem  Problem
	Serial   string // lower-case hex, or empty
	Reporter string
	Text     string
	Proven   bool
	Answered time.Time // zero: not yet
	Answer   string
	Closed   time.Time // zero: open
	Outcome  string    // revoked or kept

	AnswerOverdue, DecisionOverdue bool
}

// List returns the reports: first the open ones, the oldest first.
func (s *Service) List(ctx context.Context) ([]Row, error) {
	var rows []store.ProblemReport
	err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.ProblemReports(shown)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list problem reports: %w", err)
	}
	var list []Row
	for _, r := range rows {
		list = append(list, s.public(r))
	}
	return list, nil
}

func (s *Service) public(r store.ProblemReport) Row {
	now, p := s.now(), Problem(r.Problem)
	row := Row{
		Filed:   Filed{ID: r.ID, Received: r.Received, AnswerBy: r.Received.Add(answerWithin), DecideBy: r.Received.Add(p.decide())},
		Problem: p, Serial: number(r.Serial), Reporter: r.Reporter, Text: r.Text, Proven: r.Proven,
		Answered: r.Answered, Answer: r.Answer, Closed: r.Closed, Outcome: r.Outcome,
	}
	open := r.Closed.IsZero()
	row.AnswerOverdue = open && r.Answered.IsZero() && r.Reporter != "" && now.After(row.AnswerBy)
	row.DecisionOverdue = open && now.After(row.DecideBy)
	return row
}

// Answer mails a preliminary report to whoever reported, and notes it.
func (s *Service) Answer(ctx context.Context, id, text string) error {
	r, err := s.open(ctx, id)
	if err != nil {
		return err
	}
	text = strings.TrimSpace(text)
	if n := utf8.RuneCountInString(text); n == 0 || n > MaxText || !printable(text) {
		return ErrText
	}
	if r.Reporter != "" {
		if err := s.o.Mailer.Send(ctx, answerMail(r, text)); err != nil {
			return fmt.Errorf("answer problem report: %w", err)
		}
	}
	return s.o.Store.Update(ctx, func(tx *store.Tx) error { return tx.AnswerReport(id, text, s.now()) })
}

// Revoke revokes the certificate that the report is about, and closes the
// report. A certificate that is revoked already closes it, too.
func (s *Service) Revoke(ctx context.Context, id string, reason cert.Reason) error {
	r, err := s.open(ctx, id)
	if err != nil {
		return err
	}
	if r.Serial == nil {
		return ErrUnknown
	}
	err = s.o.Authority.Revoke(ctx, new(big.Int).SetBytes(r.Serial), reason)
	if err != nil && !errors.Is(err, authority.ErrUnknown) {
		return err
	}
	return s.close(ctx, id, "revoked")
}

// Keep closes the report without a revocation.
func (s *Service) Keep(ctx context.Context, id string) error {
	if _, err := s.open(ctx, id); err != nil {
		return err
	}
	return s.close(ctx, id, "kept")
}

func (s *Service) open(ctx context.Context, id string) (r store.ProblemReport, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		r, err = tx.ProblemReport(id)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return r, ErrNotFound
	case err == nil && !r.Closed.IsZero():
		return r, ErrClosed
	}
	return r, err
}

const (
	maintainEvery = time.Minute
	mailedAtOnce  = 20
)

// Maintain mails what could not be mailed when it came, and ends what a crash
// interrupted between a proof and its revocation, until ctx ends.
func (s *Service) Maintain(ctx context.Context) {
	for {
		if err := s.catchUp(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Error("problem reports not seen to", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(maintainEvery):
		}
	}
}

func (s *Service) catchUp(ctx context.Context) error {
	var rows []store.ProblemReport
	err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.UnmailedReports(mailedAtOnce)
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range rows {
		// The report that is being taken at the moment sees to itself.
		if s.now().Sub(r.Received) < maintainEvery {
			continue
		}
		if r.Proven && r.Closed.IsZero() {
			if _, err := s.revokeAll(ctx, r.ID, s.sameKey(ctx, r.Serial)); err != nil && !errors.Is(err, ErrClosed) {
				return err
			}
		}
		s.tell(ctx, r, nil)
	}
	return nil
}

// sameKey lists the certificate, and all others with its key.
func (s *Service) sameKey(ctx context.Context, serial []byte) [][]byte {
	serials := [][]byte{serial}
	standing, err := s.o.Authority.Standing(ctx, new(big.Int).SetBytes(serial))
	if err != nil {
		return serials
	}
	_ = s.o.Store.View(ctx, func(tx *store.Tx) error { // what it cannot list is left to the operator, who is told
		key, err := tx.KeyHashOf(standing.AuthorityID, serial)
		if err != nil {
			return err
		}
		others, err := tx.CertificatesOfKey(key, s.now())
		serials = append(serials, others...)
		return err
	})
	return serials
}

// tell mails the report to all administrators.
func (s *Service) tell(ctx context.Context, r store.ProblemReport, revoked []string) {
	var to []string
	err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		to, err = tx.AdministratorEmails()
		return err
	})
	for _, address := range to {
		if err == nil {
			err = s.o.Mailer.Send(ctx, s.operatorMail(r, revoked, address))
		}
	}
	if err == nil && len(to) > 0 {
		err = s.o.Store.Update(ctx, func(tx *store.Tx) error { return tx.ReportMailed(r.ID, s.now()) })
	}
	if err != nil && ctx.Err() == nil {
		s.o.Log.Error("problem report not mailed; it will be tried again", "report", r.ID, "error", err)
	}
}

func (s *Service) operatorMail(r store.ProblemReport, revoked []string, to string) validation.Mail {
	row := s.public(r)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("Somebody reported a problem with a certificate.\n")
	line("Problem:   %s", r.Problem)
	line("Serial:    %s", orNone(row.Serial))
	line("Reporter:  %s", orNone(r.Reporter))
	line("Received:  %s", stamp(r.Received))
	if len(revoked) > 0 || r.Outcome == "revoked" {
		line("\nThe private key was proven to be in other hands. Revoked at once:")
		for _, serial := range revoked {
			line("  %s", serial)
		}
	} else {
		line("Answer by: %s", stamp(row.AnswerBy))
		line("Decide by: %s", stamp(row.DecideBy))
	}
	line("\nReports are at %s/admin/reports", s.o.Site)
	if r.Text != "" {
		line("\nWhat they wrote follows; it is not to be believed unseen.\n")
		for text := range strings.SplitSeq(strings.ReplaceAll(r.Text, "\r", ""), "\n") {
			line("> %s", text)
		}
	}
	return validation.Mail{To: to, Subject: "Certificate problem report: " + r.Problem, Text: b.String(), Language: "en", ID: r.ID}
}

func orNone(s string) string {
	if s == "" {
		return "none given"
	}
	return s
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func answerMail(r store.ProblemReport, text string) validation.Mail {
	subject := "Your report about a certificate"
	if r.Language == "ja" {
		subject = "証明書に関するご報告への回答"
	}
	return validation.Mail{To: r.Reporter, Subject: subject, Text: text + "\n", Language: r.Language, ID: r.ID}
}
