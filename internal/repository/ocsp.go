package repository

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
)

// maxGET is the longest request that is read from a path, in octets of base64.
// RFC 6960 §A.1 wants less than 255.
const maxGET = 4 << 10

// ocsp answers GET and POST (RFC 6960 §A.1). Whatever can be answered with an
// OCSPResponse is: a client shows its status rather than ours.
func (h *handler) ocsp(w http.ResponseWriter, r *http.Request) {
	var request []byte
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		request = fromPath(r.URL)
	case http.MethodPost:
		body, ok := readBody(w, r, "application/ocsp-request", cert.MaxOCSPRequestSize)
		if !ok {
			return
		}
		request = body
	default:
		notAllowed(w, "GET, HEAD, POST")
		return
	}
	h.answer(w, r, h.authority.OCSP(r.Context(), request))
}

// fromPath reads a request from behind /ocsp/. The base64 may be escaped for the
// URL or not, and have its padding or not; nil when it is none.
func fromPath(u *url.URL) []byte {
	text, err := url.PathUnescape(strings.TrimPrefix(u.EscapedPath(), "/ocsp/"))
	if err != nil || len(text) > maxGET {
		return nil
	}
	der, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil
	}
	return der
}

// readBody reads the body of a media type, and answers by itself when it is
// another one or too long.
func readBody(w http.ResponseWriter, r *http.Request, mediaType string, limit int64) ([]byte, bool) {
	given, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || given != mediaType {
		http.Error(w, "Content-Type must be "+mediaType, http.StatusUnsupportedMediaType)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		http.Error(w, "the request is longer than "+strconv.FormatInt(limit, 10)+" bytes", http.StatusRequestEntityTooLarge)
		return nil, false
	}
	if err != nil {
		http.Error(w, "the request did not arrive whole", http.StatusBadRequest)
		return nil, false
	}
	return body, true
}

func notAllowed(w http.ResponseWriter, methods string) {
	w.Header().Set("Allow", methods)
	http.Error(w, "the method is not allowed here", http.StatusMethodNotAllowed)
}

// answer sends a response with the header fields of RFC 5019 §6.2, but lets
// caches keep it for minutes, not until nextUpdate: a revocation must show.
// Refusals and what has a nonce are for one client.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, a *authority.OCSPResponse) {
	head := w.Header()
	head.Set("Content-Type", "application/ocsp-response")
	head.Set("X-Content-Type-Options", "nosniff")
	now := h.clock()
	age := min(ocspMaxAge, a.NextUpdate.Sub(now))
	if a.NextUpdate.IsZero() || age <= 0 {
		head.Set("Cache-Control", "no-store")
	} else {
		sum := sha256.Sum256(a.DER)
		tag := `"` + hex.EncodeToString(sum[:]) + `"`
		head.Set("ETag", tag)
		head.Set("Last-Modified", a.ThisUpdate.UTC().Format(http.TimeFormat))
		head.Set("Expires", now.Add(age).UTC().Format(http.TimeFormat))
		head.Set("Cache-Control", "max-age="+seconds(age)+", public, no-transform, must-revalidate")
		if r.Method != http.MethodPost && matches(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	head.Set("Content-Length", strconv.Itoa(len(a.DER)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.DER) // the client is gone: nobody left to tell
	}
}

// matches: RFC 9110 §13.1.2, weak comparison.
func matches(field, tag string) bool {
	for one := range strings.SplitSeq(field, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == tag || one == "*" {
			return true
		}
	}
	return false
}
