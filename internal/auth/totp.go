package auth

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"time"
)

// What every authenticator app understands: HMAC-SHA-1, six digits, 30 seconds
// (RFC 6238 §4; apps ignore what a URI says beyond that). A number of the step
// before or after is taken, too (§5.2): clocks of phones differ.
const (
	totpSecretSize = 20 // octets, as RFC 4226 §4 recommends
	totpPeriod     = 30 // seconds
	totpDigits     = 6
	totpSkew       = 1 // steps
)

// hotp is the number of a counter (RFC 4226 §5.3).
func hotp(secret []byte, counter uint64) string {
	mac := hmac.New(sha1.New, secret)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], counter)
	mac.Write(b[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0x0f
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", totpDigits, n%1_000_000)
}

// totpStep finds the time step that a number is of, and not one up to last: a
// number is taken once (RFC 6238 §5.2).
func totpStep(secret []byte, number string, now time.Time, last int64) (step int64, ok bool) {
	current := now.Unix() / totpPeriod
	for t := current - totpSkew; t <= current+totpSkew; t++ {
		if subtle.ConstantTimeCompare([]byte(hotp(secret, uint64(t))), []byte(number)) == 1 && t > last {
			step, ok = t, true
		}
	}
	return step, ok
}

// TOTPSetup is what an authenticator app is told.
type TOTPSetup struct {
	Secret string // base32, in groups of four, to type
	URI    string // otpauth://, for a QR code
}

func totpSetup(secret []byte, issuer, name string) TOTPSetup {
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	query := url.Values{"secret": {text}, "issuer": {issuer}}
	uri := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + name, RawQuery: query.Encode()}
	setup := TOTPSetup{URI: uri.String()}
	for i := 0; i < len(text); i += 4 {
		if i > 0 {
			setup.Secret += " "
		}
		setup.Secret += text[i : i+4]
	}
	return setup
}
