package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"testing"
)

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
