// Package api is the JSON door to registration over HTTP, for programs:
// `mailseal id request` and whoever else wants a certificate without a browser.
//
//	POST /api/v1/orders                   {"email", "name", "language"} -> 201 {"id", "token", "email", "expires", "state", "mail"}
//	GET  /api/v1/orders/{id}              -> 200 {"id", "state", "email", "expires", "reason", "mail", "mail_reason"}
//	POST /api/v1/orders/{id}/mail         -> 200, a new code is mailed, the old one is void
//	POST /api/v1/orders/{id}/code         {"code"} -> 200 {"state": "proven", ...}
//	POST /api/v1/orders/{id}/certificate  PKCS #10, DER or PEM -> 201 {"certificate", "chain", "root"} in PEM
//
//	POST /api/v1/problem-reports          {"problem", "serial", "email", "text", "proof", "language"} -> 201 {"id", "received", "answer_by", "decide_by", "revoked"}
//	GET  /api/v1/key-compromise           -> 200 {"statement"}, what a compromised key signs as a proof
//
// All other orders need `Authorization: Bearer TOKEN` (RFC 6750) with the
// token that the first one returned; cookies are never looked at, so no other
// site can make a browser act here. Refusals are problem+json (RFC 9457) with
// a member "code" for programs. Start at [New].
package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/registration"
)

// Limits on request bodies, in bytes. An RSA-8192 request with a handful of
// attributes has 5 kB as PEM.
const (
	maxJSON    = 16 << 10
	maxRequest = 64 << 10
)

// handler answers for one registration.
type handler struct {
	service *registration.Service
	reports Reports
	log     *slog.Logger
}

// New returns the handler of everything below /api/.
func New(service *registration.Service, reports Reports, log *slog.Logger) http.Handler {
	h := &handler{service, reports, log}
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /api/v1/orders":                  h.apply,
		"GET /api/v1/orders/{id}":              h.order,
		"POST /api/v1/orders/{id}/mail":        h.resend,
		"POST /api/v1/orders/{id}/code":        h.prove,
		"POST /api/v1/orders/{id}/certificate": h.enroll,
		"POST /api/v1/problem-reports":         h.report,
		"GET /api/v1/key-compromise":           h.statement,
		"/":                                    func(http.ResponseWriter, *http.Request) error { return errNoSuchPage },
	} {
		mux.Handle(pattern, h.rendered(serve))
		if method, path, found := strings.Cut(pattern, " "); found {
			mux.Handle(path, h.rendered(onlyBy(method)))
		}
	}
	return mux
}

// onlyBy refuses every other method than the one that a path has (RFC 9110
// §15.5.6).
func onlyBy(method string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Allow", method)
		return errMethod
	}
}

// rendered is the one place where errors become answers.
func (h *handler) rendered(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if err := serve(w, r); err != nil {
			h.refuse(w, r, err)
		}
	})
}

// orderJSON is an order as programs see it; Token is only in the answer to the
// application.
type orderJSON struct {
	ID      string `json:"id"`
	Token   string `json:"token,omitempty"`
	State   string `json:"state"`
	Email   string `json:"email"`
	Expires string `json:"expires"` // RFC 3339
	Reason  string `json:"reason,omitempty"`
	// Mail is what became of the last mail with a code: waiting, sent, refused,
	// bounced. MailReason is what the mail server said of the last two.
	Mail       string `json:"mail,omitempty"`
	MailReason string `json:"mail_reason,omitempty"`
}

func toJSON(o registration.Order, token string) orderJSON {
	return orderJSON{
		ID: o.ID, Token: token, State: string(o.State), Email: o.Email,
		Expires: o.Expires.UTC().Format(time.RFC3339), Reason: o.Reason,
		Mail: string(o.Mail.State), MailReason: o.Mail.Reason,
	}
}

func (h *handler) apply(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Email    string `json:"email"`
		Name     string `json:"name"`
		Language string `json:"language"`
	}
	if err := readJSON(w, r, &in); err != nil {
		return err
	}
	order, token, err := h.service.Apply(r.Context(), registration.Application{
		Email: in.Email, Name: in.Name, Language: in.Language, Client: registration.Client(r.RemoteAddr),
	})
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/orders/"+order.ID)
	return writeJSON(w, http.StatusCreated, toJSON(order, token))
}

func (h *handler) order(w http.ResponseWriter, r *http.Request) error {
	token, err := bearer(r)
	if err != nil {
		return err
	}
	order, err := h.service.Order(r.Context(), r.PathValue("id"), token)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, toJSON(order, ""))
}

func (h *handler) resend(w http.ResponseWriter, r *http.Request) error {
	token, err := bearer(r)
	if err != nil {
		return err
	}
	order, err := h.service.Resend(r.Context(), r.PathValue("id"), token)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, toJSON(order, ""))
}

func (h *handler) prove(w http.ResponseWriter, r *http.Request) error {
	token, err := bearer(r)
	if err != nil {
		return err
	}
	var in struct {
		Code string `json:"code"`
	}
	if err := readJSON(w, r, &in); err != nil {
		return err
	}
	order, err := h.service.Prove(r.Context(), r.PathValue("id"), token, in.Code)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, toJSON(order, ""))
}

func (h *handler) enroll(w http.ResponseWriter, r *http.Request) error {
	token, err := bearer(r)
	if err != nil {
		return err
	}
	request, err := readBody(w, r, maxRequest, "application/pkcs10", "application/x-pem-file", "text/plain", "application/octet-stream")
	if err != nil {
		return err
	}
	issued, err := h.service.Enroll(r.Context(), r.PathValue("id"), token, request)
	if err != nil {
		return err
	}
	out := struct {
		Certificate string   `json:"certificate"`
		Chain       []string `json:"chain"`
		Root        string   `json:"root"`
	}{string(issued.Certificate.PEM()), pems(issued.Chain), string(issued.Root.PEM())}
	return writeJSON(w, http.StatusCreated, out)
}

func pems(chain []*cert.Certificate) []string {
	list := []string{}
	for _, c := range chain {
		list = append(list, string(c.PEM()))
	}
	return list
}

// bearer reads the token of RFC 6750 §2.1. Tokens in the query or the body
// (§2.2, §2.3) end up in logs and are not taken.
func bearer(r *http.Request) (string, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", errNoToken
	}
	return token, nil
}

func readBody(w http.ResponseWriter, r *http.Request, limit int64, types ...string) ([]byte, error) {
	given, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		given = ""
	}
	for _, t := range types {
		if given == t {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
			if _, large := errors.AsType[*http.MaxBytesError](err); err != nil && !large {
				err = fmt.Errorf("%w: %w", errBody, err)
			}
			return body, err
		}
	}
	return nil, fmt.Errorf("%w: Content-Type must be %s", errMediaType, types[0])
}

// readJSON takes one object with known members only: an option that is not
// understood is refused, not ignored.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := readBody(w, r, maxJSON, "application/json")
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", errJSON, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more than one value", errJSON)
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The status is out; whoever asked may have gone, and may ask again.
	_, _ = w.Write(append(body, '\n'))
	return nil
}
