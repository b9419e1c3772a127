package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"testing"

	"github.com/mailseal/mailseal/internal/pbe"
)

// hurried is an asker for fuzzing: an iteration count that is allowed and large
// must not slow the search.
func hurried(text string) *asker {
	p := pbe.NewPassphrase([]byte(text))
	p.Limit(1000)
	return &asker{passphrase: p}
}

// decodeBase64 decodes PEM or bare base64.
func decodeBase64(t testing.TB, text []byte) []byte {
	t.Helper()
	if block, _ := pem.Decode(text); block != nil {
		return block.Bytes
	}
	data, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(text), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
