// Package repository serves what certificates point to, over plain HTTP to
// anybody: revocation lists, the authorities' certificates and OCSP (RFC 5280
// §4.2.1.13, §4.2.2.1; media types of RFC 2585 §4 and RFC 5280 §4.2.1.13; RFC
// 6960 §A), and timestamps (RFC 3161 §3.4).
//
//	GET  /crl/{authority}.crl            the CRL, DER
//	GET  /crl/{authority}/{number}.crl   one partition, where there are several
//	GET  /ca/{authority}.cer             the certificate, DER
//	GET  /ca/{authority}.p7c             the same with all cross certificates of the key, PKCS #7
//	GET  /ca/{authority}.pem             the same for people to download; root.pem is the trust anchor
//	GET  /ocsp/{base64}                  an OCSP request in the path
//	POST /ocsp                           an OCSP request in the body
//	POST /timestamp                      a timestamp request in the body
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
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/authority"
)

// Authority has what is served.
type Authority interface {
	Partitions(name string) (int, error)
	CRL(ctx context.Context, name string, partition int) (authority.CRL, error)
	Certificate(name string) (*cert.Certificate, error)
	Certificates(ctx context.Context, name string) ([]*cert.Certificate, error)
	OCSP(ctx context.Context, request []byte) *authority.OCSPResponse
	Timestamp(ctx context.Context, request []byte) ([]byte, error)
}

// How long a cache may keep an answer. A revocation must show soon, so lists
// and responses are kept far shorter than they are valid.
const (
	crlMaxAge         = 10 * time.Minute
	ocspMaxAge        = 10 * time.Minute
	certificateMaxAge = 24 * time.Hour
)

type handler struct {
	authority Authority
	clock     func() time.Time
	log       *slog.Logger
	files     *http.ServeMux
	next      http.Handler
}

// New returns a handler that serves the paths above and leaves all others to
// next. It comes before any ServeMux, which would redirect an OCSP request
// whose base64 has two slashes in a row.
func New(a Authority, clock func() time.Time, log *slog.Logger, next http.Handler) http.Handler {
	h := &handler{a, clock, log, http.NewServeMux(), next}
	h.files.HandleFunc("GET /crl/{file}", h.crl)
	h.files.HandleFunc("GET /crl/{authority}/{file}", h.crlPartition)
	h.files.HandleFunc("GET /ca/{file}", h.certificate)
	return h
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch p := r.URL.Path; {
	case p == "/ocsp" || strings.HasPrefix(p, "/ocsp/"):
		h.ocsp(w, r)
	case p == "/timestamp":
		h.timestamp(w, r)
	case strings.HasPrefix(p, "/crl/"), strings.HasPrefix(p, "/ca/"):
		h.files.ServeHTTP(w, r)
	default:
		h.next.ServeHTTP(w, r)
	}
}

func (h *handler) crl(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".crl")
	if n, err := h.authority.Partitions(name); !ok || err != nil || n != 1 {
		http.NotFound(w, r)
		return
	}
	h.list(w, r, name, 0)
}

func (h *handler) crlPartition(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("authority")
	number, ok := strings.CutSuffix(r.PathValue("file"), ".crl")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || strconv.Itoa(n) != number {
		http.NotFound(w, r)
		return
	}
	if all, err := h.authority.Partitions(name); err != nil || all == 1 {
		http.NotFound(w, r)
		return
	}
	h.list(w, r, name, n)
}

func (h *handler) list(w http.ResponseWriter, r *http.Request, name string, partition int) {
	list, err := h.authority.CRL(r.Context(), name, partition)
	switch {
	case errors.Is(err, authority.ErrUnknown):
		http.NotFound(w, r)
		return
	case err != nil:
		h.log.Error("CRL not served", "authority", name, "partition", partition, "error", err)
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
	name := strings.TrimSuffix(file, extension)
	c, err := h.authority.Certificate(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	tag := `"` + c.SHA256() + `"`
	switch extension {
	case ".cer":
		w.Header().Set("ETag", tag)
		serve(w, r, c.Raw, "application/pkix-cert", c.NotBefore, certificateMaxAge)
	case ".pem":
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Disposition", `attachment; filename="mailseal-`+file+`"`)
		serve(w, r, c.PEM(), "application/x-pem-file", c.NotBefore, certificateMaxAge)
	case ".p7c":
		h.bundle(w, r, name)
	default:
		http.NotFound(w, r)
	}
}

// bundle serves all certificates of an authority's key (RFC 5280 §4.2.2.1: a
// "certs-only" CMS message; media type of RFC 8551 §3.8).
func (h *handler) bundle(w http.ResponseWriter, r *http.Request, name string) {
	list, err := h.authority.Certificates(r.Context(), name)
	var body bytes.Buffer
	if err == nil {
		err = cms.CertsOnly(&body, list, nil)
	}
	if err != nil {
		h.log.Error("certificates not served", "authority", name, "error", err)
		http.Error(w, "the certificates are not available now", http.StatusServiceUnavailable)
		return
	}
	serve(w, r, body.Bytes(), "application/pkcs7-mime", time.Time{}, certificateMaxAge)
}

func serve(w http.ResponseWriter, r *http.Request, body []byte, mediaType string, modified time.Time, maxAge time.Duration) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age="+seconds(maxAge))
	http.ServeContent(w, r, "", modified, bytes.NewReader(body))
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }
