package api

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// errCursor: nobody was given this one.
var errCursor = &fieldError{"cursor", "is none that a page ended with"}

// registrationPage is how many there are in a page that says nothing else.
const registrationPage = 50

// A cursor of a list that the rooms below page by time and name is both, as text
// that means nothing to whoever gets it.
func writeCursor(at time.Time, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(at.Unix(), 10) + " " + id))
}

func readCursor(text string) (at time.Time, id string, err error) {
	if text == "" {
		return time.Time{}, "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	seconds, id, found := strings.Cut(string(raw), " ")
	n, numberErr := strconv.ParseInt(seconds, 10, 64)
	if err != nil || !found || numberErr != nil {
		return time.Time{}, "", errCursor
	}
	return time.Unix(n, 0).UTC(), id, nil
}
