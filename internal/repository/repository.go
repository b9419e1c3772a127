// Package repository serves what certificates point to, over plain HTTP to
// anybody: revocation lists and the authorities' certificates (RFC 5280
// §4.2.1.13, §4.2.2.1; media types of RFC 2585 §4 and RFC 5280 §4.2.1.13).
//
//	GET /crl/{authority}.crl  the full CRL, DER
//	GET /ca/{authority}.cer   the certificate, DER
//	GET /ca/{authority}.pem   the same for people to download; root.pem is the trust anchor
//
// Plain HTTP on purpose: what is served is signed, and a checker must be able
// to fetch it before it trusts anybody (S/MIME BR §7.1.2.3). Start at [New].
package repository

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
)

// Authority has what is served.
type Authority interface {
	CRL(ctx context.Context, name string, partition int) (authority.CRL, error)
	Certificate(name string) (*cert.Certificate, error)
}

// How long a cache may keep an answer. A revocation must show soon, so lists
// are kept far shorter than they are valid.
const (
	crlMaxAge         = 10 * time.Minute
	certificateMaxAge = 24 * time.Hour
)

type handler struct {
	authority Authority
	clock     func() time.Time
	log       *slog.Logger
}

// New returns the handler of /crl/ and /ca/.
func New(a Authority, clock func() time.Time, log *slog.Logger) http.Handler {
	h := &handler{a, clock, log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /crl/{file}", h.crl)
	mux.HandleFunc("GET /ca/{file}", h.certificate)
	return mux
}

func (h *handler) crl(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".crl")
	if !ok {
		http.NotFound(w, r)
		return
	}
	list, err := h.authority.CRL(r.Context(), name, 0)
	switch {
	case errors.Is(err, authority.ErrUnknown):
		http.NotFound(w, r)
		return
	case err != nil:
		h.log.Error("CRL not served", "authority", name, "error", err)
		http.Error(w, "the list is not available now", http.StatusServiceUnavailable)
		return
	}
	left := list.NextUpdate.Sub(h.clock())
	w.Header().Set("ETag", `"`+strconv.FormatInt(list.Number, 10)+`"`)
	serve(w, r, list.DER, "application/pkix-crl", list.ThisUpdate, min(crlMaxAge, max(left, 0)))
}

func (h *handler) certificate(w http.ResponseWriter, r *http.Request) {
	file := r.PathValue("file")
	extension := path.Ext(file)
	c, err := h.authority.Certificate(strings.TrimSuffix(file, extension))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"`+c.SHA256()+`"`)
	switch extension {
	case ".cer":
		serve(w, r, c.Raw, "application/pkix-cert", c.NotBefore, certificateMaxAge)
	case ".pem":
		w.Header().Set("Content-Disposition", `attachment; filename="mailseal-`+file+`"`)
		serve(w, r, c.PEM(), "application/x-pem-file", c.NotBefore, certificateMaxAge)
	default:
		w.Header().Del("ETag")
		http.NotFound(w, r)
	}
}

func serve(w http.ResponseWriter, r *http.Request, body []byte, mediaType string, modified time.Time, maxAge time.Duration) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(maxAge.Seconds())))
	http.ServeContent(w, r, "", modified, bytes.NewReader(body))
}
