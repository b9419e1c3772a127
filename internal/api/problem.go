package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/jobs"
	"github.com/mailseal/mailseal/internal/pdf"
	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
	"github.com/mailseal/mailseal/internal/store"
)

// What this door refuses by itself.
var (
	errNoSuchPage = errors.New("no such page")
	errMethod     = errors.New("method not allowed")
	errNoToken    = errors.New("no bearer token")
	errMediaType  = errors.New("media type not accepted")
	errBody       = errors.New("the body did not arrive whole")
	errJSON       = errors.New("not the JSON object that is expected")
)

// roomPrefix is what sentinels begin with, for logs.
var roomPrefix = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(registration|problemreport|recovery|auth|enrollment): `)
})

// problem is RFC 9457 §3 with one member of our own.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`             // stable, for programs
	Detail string `json:"detail,omitempty"` // for people
	Field  string `json:"field,omitempty"`  // the member or parameter that is meant
}

// forbidden does not tell what is not there from what is not allowed.
var forbidden = problem{Title: "Not allowed, or not there.", Status: http.StatusForbidden, Code: "forbidden", Detail: "The token lacks the role, or there is no such thing."}

// problems translates errors, the first match counts. Only where shown is true
// does the text of the error itself go out.
var problems = []struct {
	err   error
	shown bool
	problem
}{
	{errNoSuchPage, false, problem{Title: "There is nothing here.", Status: http.StatusNotFound, Code: "not-found"}},
	{errMethod, false, problem{Title: "The method is not allowed here.", Status: http.StatusMethodNotAllowed, Code: "method", Detail: "The Allow field names the one that is."}},
	{errNoToken, false, problem{Title: "The order's token is missing.", Status: http.StatusUnauthorized, Code: "no-token", Detail: "Send `Authorization: Bearer TOKEN` with the token that opening the order returned."}},
	{errMediaType, true, problem{Title: "The media type is not accepted.", Status: http.StatusUnsupportedMediaType, Code: "media-type"}},
	{jobs.ErrNotDead, false, problem{Title: "No job of that id was given up.", Status: http.StatusConflict, Code: "not-dead"}},
	{errKey, true, problem{Title: "The Idempotency-Key cannot be used.", Status: http.StatusBadRequest, Code: "idempotency-key"}},
	{errKeyReused, false, problem{Title: "The Idempotency-Key was used for another request.", Status: http.StatusUnprocessableEntity, Code: "idempotency-reused", Detail: "Make a new key for each request; send the same one only to repeat a request as it was."}},
	{errUnderWay, false, problem{Title: "The request with this Idempotency-Key has not ended.", Status: http.StatusConflict, Code: "idempotency-under-way", Detail: "Ask again later."}},
	{errLost, false, problem{Title: "The server stopped while it did the request with this Idempotency-Key.", Status: http.StatusConflict, Code: "idempotency-lost", Detail: "It may have been done, in part or not at all, and is not done again by itself: look at what is there, and ask for the rest with a new key."}},
	{errOnce, false, problem{Title: "It was done, and its answer is shown only once.", Status: http.StatusConflict, Code: "idempotency-once", Detail: "Undo it, and ask again with a new key."}},
	{auth.ErrToken, false, problem{Title: "The token is not one, or has ended.", Status: http.StatusUnauthorized, Code: "token", Detail: "Make a new one in the portal."}},
	{registration.ErrForbidden, false, forbidden},
	{pdf.ErrFont, true, problem{Title: "The PDF needs a font.", Status: http.StatusConflict, Code: "font"}},
	{enrollment.ErrProblems, false, problem{Title: "The list has problems.", Status: http.StatusUnprocessableEntity, Code: "list-problems", Detail: "The preview names them by line. To go on without these lines, say leave_out=problems."}},
	{enrollment.ErrNobody, false, problem{Title: "Nobody is left to equip.", Status: http.StatusUnprocessableEntity, Code: "nobody"}},
	{enrollment.ErrUnderWay, false, problem{Title: "A run with this list is under way.", Status: http.StatusConflict, Code: "under-way"}},
	{enrollment.ErrChanged, false, problem{Title: "The settings were changed meanwhile.", Status: http.StatusConflict, Code: "settings-changed", Detail: "Send the list again."}},
	{enrollment.ErrNoKeys, false, problem{Title: "The organization's people make their keys themselves.", Status: http.StatusConflict, Code: "browser-keys", Detail: "Its settings say so: use mode invite, or change them."}},
	{enrollment.ErrNoOfficers, false, problem{Title: "There are no recovery officers yet.", Status: http.StatusConflict, Code: "no-officers", Detail: "The settings want encryption keys to be escrowed: name officers first."}},
	{enrollment.ErrGone, false, problem{Title: "Nothing is here any more.", Status: http.StatusGone, Code: "gone", Detail: "It was picked up, has expired, was withdrawn, or too many codes were wrong. The administrator can have a new mail sent, or start again."}},
	{enrollment.ErrWrongCode, false, problem{Title: "That is not the code of this link.", Status: http.StatusForbidden, Code: "wrong-code", Detail: "Only the last mail counts, and after five wrong codes a new mail is needed."}},
	{enrollment.ErrOptions, true, problem{Title: "The request cannot be taken.", Status: http.StatusBadRequest, Code: "options"}},
	{roster.ErrSize, true, problem{Title: "The list is too long.", Status: http.StatusRequestEntityTooLarge, Code: "too-large"}},
	{problemreport.ErrNotFound, false, forbidden},
	{problemreport.ErrClosed, false, problem{Title: "The report is closed.", Status: http.StatusConflict, Code: "state"}},
	{recovery.ErrProof, true, problem{Title: "The answer does not fit the task.", Status: http.StatusConflict, Code: "proof"}},
	{recovery.ErrSigns, true, problem{Title: "The key signs.", Status: http.StatusConflict, Code: "signing-key"}},
	{recovery.ErrState, true, problem{Title: "It cannot be done now.", Status: http.StatusConflict, Code: "state"}},
	{auth.ErrForbidden, false, forbidden},
	{auth.ErrAgain, false, problem{Title: "It takes a person.", Status: http.StatusForbidden, Code: "in-person", Detail: "No program does this: sign in to the portal, and do it there."}},
	{errBody, false, problem{Title: "The request did not arrive whole.", Status: http.StatusBadRequest, Code: "incomplete", Detail: "Send it again."}},
	{errJSON, true, problem{Title: "The request is not the JSON object that is expected.", Status: http.StatusBadRequest, Code: "json"}},
	{problemreport.ErrProblem, true, problem{Title: "There is no such problem.", Status: http.StatusBadRequest, Code: "problem"}},
	{problemreport.ErrSerial, false, problem{Title: "That is not a serial number.", Status: http.StatusBadRequest, Code: "serial", Detail: "Hexadecimal, with or without colons."}},
	{problemreport.ErrUnknown, false, problem{Title: "No certificate of ours has that serial number.", Status: http.StatusUnprocessableEntity, Code: "unknown-certificate"}},
	{problemreport.ErrReporter, false, problem{Title: "The address is not accepted.", Status: http.StatusBadRequest, Code: "address"}},
	{problemreport.ErrText, false, problem{Title: "The text is missing or too long.", Status: http.StatusBadRequest, Code: "text", Detail: "At most 8000 characters, and none only beside a proof."}},
	{problemreport.ErrProof, true, problem{Title: "The proof cannot be used.", Status: http.StatusUnprocessableEntity, Code: "proof"}},
	{problemreport.ErrOtherKey, false, problem{Title: "No valid certificate of ours has that key.", Status: http.StatusUnprocessableEntity, Code: "unknown-key"}},
	{registration.ErrAddress, true, problem{Title: "The address is not accepted.", Status: http.StatusBadRequest, Code: "address"}},
	{registration.ErrName, true, problem{Title: "The name is not accepted.", Status: http.StatusBadRequest, Code: "name"}},
	{registration.ErrNotFound, false, problem{Title: "There is no such order for this token.", Status: http.StatusNotFound, Code: "not-found"}},
	{registration.ErrNotACode, false, problem{Title: "That is not a code.", Status: http.StatusBadRequest, Code: "not-a-code", Detail: "Copy the whole line from the mail: six groups of five letters and digits."}},
	{registration.ErrWrongCode, false, problem{Title: "That is not the code of this order.", Status: http.StatusForbidden, Code: "wrong-code", Detail: "Only the last mail counts, and after five wrong codes the order is over."}},
	{registration.ErrState, true, problem{Title: "The order does not allow this now.", Status: http.StatusConflict, Code: "state"}},
	{registration.ErrRootsChange, false, problem{Title: "The trusted roots were changed again and again meanwhile.", Status: http.StatusConflict, Code: "roots-changed", Detail: "Send it again. Certificates of the file that were taken in before are there, and are refused as such."}},
	{registration.ErrOtherKey, false, problem{Title: "The order belongs to another key.", Status: http.StatusConflict, Code: "other-key", Detail: "Send the request with the key that was sent first, or open a new order."}},
	{registration.ErrRequest, true, problem{Title: "The certification request is not accepted.", Status: http.StatusBadRequest, Code: "request"}},
}

// refuse answers with the problem that err is.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	_ = h.problemAnswer(&call{w: w, r: r, ctx: r.Context()}, err).write(w) // it says nothing itself
}

// problemAnswer is a refusal as an answer.
func (h *handler) problemAnswer(c *call, err error) *answer {
	p := h.problem(c.w, c.r, err)
	body, err := json.Marshal(p)
	if err != nil {
		h.Log.Error("problem not encoded", "error", err)
	}
	return &answer{status: p.Status, media: "application/problem+json", body: append(body, '\n')}
}

// setHeader does nothing for the part of an answer, which has none of its own.
func setHeader(w http.ResponseWriter, name, value string) {
	if w != nil {
		w.Header().Set(name, value)
	}
}

func tooLarge(err error) bool {
	_, large := errors.AsType[*http.MaxBytesError](err)
	return large
}

func (h *handler) problem(w http.ResponseWriter, r *http.Request, err error) problem {
	if many, ok := errors.AsType[*registration.TooManyError](err); ok {
		setHeader(w, "Retry-After", strconv.Itoa(int(many.Retry.Seconds())+1))
		return problem{Title: "Too many mails were asked for.", Status: http.StatusTooManyRequests, Code: "too-many"}
	}
	if many, ok := errors.AsType[*problemreport.TooManyError](err); ok {
		setHeader(w, "Retry-After", strconv.Itoa(int(many.Retry.Seconds())+1))
		return problem{Title: "Too many reports came.", Status: http.StatusTooManyRequests, Code: "too-many"}
	}
	if many, ok := errors.AsType[*limitError](err); ok {
		setHeader(w, "Retry-After", strconv.Itoa(int(many.retry.Seconds())))
		return problem{Title: "Too many requests.", Status: http.StatusTooManyRequests, Code: "too-many", Detail: "There is a request that takes many at a time."}
	}
	if wrong, ok := errors.AsType[*registration.InputError](err); ok {
		return problem{Title: "A member is not accepted.", Status: http.StatusUnprocessableEntity, Code: strings.ReplaceAll(wrong.Key, ".", "-"), Detail: wrong.Field + ": " + wrong.Text(language(r)), Field: wrong.Field}
	}
	if field, ok := errors.AsType[*fieldError](err); ok {
		return problem{Title: "A member or parameter is not accepted.", Status: http.StatusBadRequest, Code: "field", Detail: field.Error(), Field: field.field}
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem{Title: "The request is too large.", Status: http.StatusRequestEntityTooLarge, Code: "too-large", Detail: "At most " + strconv.FormatInt(large.Limit, 10) + " bytes are read."}
	}
	if undeliverable, ok := errors.AsType[*registration.UndeliverableError](err); ok {
		return problem{Title: "No mail reaches the address.", Status: http.StatusUnprocessableEntity, Code: "undeliverable", Detail: "The mail server says: " + undeliverable.Reason + ". Check the spelling, or use another address."}
	}
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		h.Log.ErrorContext(r.Context(), "database not available", "error", err)
		setHeader(w, "Retry-After", "30")
		return problem{Title: "The database does not answer.", Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "Nothing is lost. Try again in a minute."}
	}
	for _, known := range problems {
		if !errors.Is(err, known.err) {
			continue
		}
		p := known.problem
		if known.shown {
			p.Detail = roomPrefix().ReplaceAllString(err.Error(), "")
		}
		if p.Status == http.StatusUnauthorized {
			setHeader(w, "WWW-Authenticate", "Bearer")
		}
		return p
	}
	if errors.Is(err, context.Canceled) {
		return problem{Title: "The request was given up.", Status: 499, Code: "canceled"}
	}
	h.Log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	return problem{Title: "Something went wrong here.", Status: http.StatusInternalServerError, Code: "internal", Detail: "The server's log has more."}
}
