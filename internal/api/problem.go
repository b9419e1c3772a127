package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/registration"
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

// problem is RFC 9457 §3 with one member of our own.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`             // stable, for programs
	Detail string `json:"detail,omitempty"` // for people
}

// problems translates errors, the first match counts. Only where shown is true
// does the text of the error itself go out.
var problems = []struct {
	err   error
	shown bool
	problem
}{
	{errNoSuchPage, false, problem{"There is nothing here.", http.StatusNotFound, "not-found", ""}},
	{errMethod, false, problem{"The method is not allowed here.", http.StatusMethodNotAllowed, "method", "The Allow field names the one that is."}},
	{errNoToken, false, problem{"The order's token is missing.", http.StatusUnauthorized, "no-token", "Send `Authorization: Bearer TOKEN` with the token that opening the order returned."}},
	{errMediaType, true, problem{"The media type is not accepted.", http.StatusUnsupportedMediaType, "media-type", ""}},
	{errBody, false, problem{"The request did not arrive whole.", http.StatusBadRequest, "incomplete", "Send it again."}},
	{errJSON, true, problem{"The request is not the JSON object that is expected.", http.StatusBadRequest, "json", ""}},
	{problemreport.ErrProblem, true, problem{"There is no such problem.", http.StatusBadRequest, "problem", ""}},
	{problemreport.ErrSerial, false, problem{"That is not a serial number.", http.StatusBadRequest, "serial", "Hexadecimal, with or without colons."}},
	{problemreport.ErrUnknown, false, problem{"No certificate of ours has that serial number.", http.StatusUnprocessableEntity, "unknown-certificate", ""}},
	{problemreport.ErrReporter, false, problem{"The address is not accepted.", http.StatusBadRequest, "address", ""}},
	{problemreport.ErrText, false, problem{"The text is missing or too long.", http.StatusBadRequest, "text", "At most 8000 characters, and none only beside a proof."}},
	{problemreport.ErrProof, true, problem{"The proof cannot be used.", http.StatusUnprocessableEntity, "proof", ""}},
	{problemreport.ErrOtherKey, false, problem{"No valid certificate of ours has that key.", http.StatusUnprocessableEntity, "unknown-key", ""}},
	{registration.ErrAddress, true, problem{"The address is not accepted.", http.StatusBadRequest, "address", ""}},
	{registration.ErrName, true, problem{"The name is not accepted.", http.StatusBadRequest, "name", ""}},
	{registration.ErrNotFound, false, problem{"There is no such order for this token.", http.StatusNotFound, "not-found", ""}},
	{registration.ErrNotACode, false, problem{"That is not a code.", http.StatusBadRequest, "not-a-code", "Copy the whole line from the mail: six groups of five letters and digits."}},
	{registration.ErrWrongCode, false, problem{"That is not the code of this order.", http.StatusForbidden, "wrong-code", "Only the last mail counts, and after five wrong codes the order is over."}},
	{registration.ErrState, true, problem{"The order does not allow this now.", http.StatusConflict, "state", ""}},
	{registration.ErrOtherKey, false, problem{"The order belongs to another key.", http.StatusConflict, "other-key", "Send the request with the key that was sent first, or open a new order."}},
	{registration.ErrRequest, true, problem{"The certification request is not accepted.", http.StatusBadRequest, "request", ""}},
}

// refuse answers with the problem that err is.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := h.problem(w, r, err)
	body, err := json.Marshal(p)
	if err != nil {
		h.log.Error("problem not encoded", "error", err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // whoever asked may have gone
}

func (h *handler) problem(w http.ResponseWriter, r *http.Request, err error) problem {
	if many, ok := errors.AsType[*registration.TooManyError](err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(many.Retry.Seconds())+1))
		return problem{"Too many mails were asked for.", http.StatusTooManyRequests, "too-many", ""}
	}
	if many, ok := errors.AsType[*problemreport.TooManyError](err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(many.Retry.Seconds())+1))
		return problem{"Too many reports came.", http.StatusTooManyRequests, "too-many", ""}
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem{"The request is too large.", http.StatusRequestEntityTooLarge, "too-large",
			"At most " + strconv.FormatInt(large.Limit, 10) + " bytes are read."}
	}
	if undeliverable, ok := errors.AsType[*registration.UndeliverableError](err); ok {
		return problem{"No mail reaches the address.", http.StatusUnprocessableEntity, "undeliverable",
			"The mail server says: " + undeliverable.Reason + ". Check the spelling, or use another address."}
	}
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		h.log.ErrorContext(r.Context(), "database not available", "error", err)
		w.Header().Set("Retry-After", "30")
		return problem{"The database does not answer.", http.StatusServiceUnavailable, "unavailable", "Nothing is lost. Try again in a minute."}
	}
	for _, known := range problems {
		if !errors.Is(err, known.err) {
			continue
		}
		p := known.problem
		if known.shown {
			p.Detail = strings.TrimPrefix(strings.TrimPrefix(err.Error(), "registration: "), "problemreport: ")
		}
		if p.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		return p
	}
	if errors.Is(err, context.Canceled) {
		return problem{"The request was given up.", 499, "canceled", ""}
	}
	h.log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	return problem{"Something went wrong here.", http.StatusInternalServerError, "internal", "The server's log has more."}
}
