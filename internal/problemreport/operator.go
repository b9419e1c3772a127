package problemreport

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/store"
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

	// AnswerMail is what became of the last mail with an answer; its zero value:
	// there was none.
	AnswerMail mailqueue.Mail
	// Untold is how many administrators' mailboxes did not take the report.
	Untold int

	AnswerOverdue, DecisionOverdue bool
}

// Limits of a page of reports.
const (
	UsualPage = 50 // where nothing else is said
	MaxPage   = 500
)

// List returns a page of the reports: first the open ones, the oldest first, then
// the closed ones, the newest first. After is the next of the page before, or empty;
// limit is at most [MaxPage], and 0 stands for [UsualPage].
func (s *Service) List(ctx context.Context, after string, limit int) (list []Row, next string, err error) {
	place, err := readPlace(after)
	if err != nil {
		return nil, "", err
	}
	if limit <= 0 {
		limit = UsualPage
	}
	limit = min(limit, MaxPage)
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		list, next = nil, ""
		rows, err := tx.ProblemReports(place, limit+1)
		if err != nil {
			return err
		}
		if len(rows) > limit {
			rows = rows[:limit]
			next = writePlace(rows[limit-1])
		}
		for _, r := range rows {
			row := s.public(r)
			if row.AnswerMail, err = mailqueue.Last(tx, answerKind, r.ID); err != nil {
				return err
			}
			if row.Untold, err = untold(tx, r.ID); err != nil {
				return err
			}
			list = append(list, row)
		}
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("list problem reports: %w", err)
	}
	return list, next, nil
}

// Where a page ends is told by its last report: how it stands, since when, and its
// name.
const (
	placeOpen   = "open"
	placeClosed = "closed"
)

func writePlace(r store.ProblemReport) string {
	state, at := placeOpen, r.Received
	if !r.Closed.IsZero() {
		state, at = placeClosed, r.Closed
	}
	return fmt.Sprintf("%s.%d.%s", state, at.Unix(), r.ID)
}

func readPlace(text string) (p store.ReportPlace, err error) {
	if text == "" {
		return p, nil
	}
	state, rest, _ := strings.Cut(text, ".")
	at, id, found := strings.Cut(rest, ".")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || !found || len(text) > maxPlace || !printable(id) || state != placeOpen && state != placeClosed {
		return p, ErrPlace
	}
	return store.ReportPlace{Closed: state == placeClosed, At: time.Unix(seconds, 0), ID: id}, nil
}

// untold counts the administrators whom no mail about a report reached.
func untold(tx *store.Tx, id string) (n int, err error) {
	counts, err := tx.MailsAbout(id)
	for _, c := range counts {
		if c.Kind == operatorKind && (mailqueue.Mail{State: mailqueue.State(c.State)}).Failed() {
			n += c.Count
		}
	}
	return n, err
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
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.AnswerReport(id, text, s.now()); err != nil {
			return err
		}
		return s.answer(tx, r, text)
	})
	if errors.Is(err, store.ErrConflict) {
		return ErrClosed
	}
	return err
}

// Revoke revokes the certificate that the report is about, and closes the
// report. A certificate that is revoked already closes it, too. An operator who is
// signed in shows first that it is them.
func (s *Service) Revoke(ctx context.Context, actor auth.Actor, id string, reason cert.Reason) error {
	if err := actor.Again(); err != nil {
		return err
	}
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
