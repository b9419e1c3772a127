package repository

import (
	"net/http"
	"strconv"

	"github.com/mailseal/mailseal/internal/authority"
)

// timestamp answers a request for a timestamp (RFC 3161 §3.4).
func (h *handler) timestamp(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		notAllowed(w, http.MethodPost)
		return
	}
	request, ok := readBody(w, r, "application/timestamp-query", authority.MaxTimestampRequest)
	if !ok {
		return
	}
	answer, err := h.authority.Timestamp(r.Context(), request)
	if err != nil {
		h.log.Error("timestamp not given", "error", err)
		http.Error(w, "no timestamp is to be had now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer) // the client is gone: nobody left to tell
}
