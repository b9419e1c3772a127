package api

import (
	"net/http"
	"strings"
)

// language is the one that sentences are in: Japanese where that is asked for
// first (RFC 9110 §12.5.4), else English.
func language(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("Accept-Language"), ",")
	if tag := strings.ToLower(strings.TrimSpace(first)); tag == "ja" || strings.HasPrefix(tag, "ja-") || strings.HasPrefix(tag, "ja;") {
		return "ja"
	}
	return "en"
}
