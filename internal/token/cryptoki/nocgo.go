//go:build !cgo

package cryptoki

import (
	"fmt"

	"github.com/mailseal/mailseal/internal/token"
)

// Open always fails: see the package's comment.
func Open(string, *token.URI, []byte) (token.Module, *token.Content, error) {
	return nil, nil, fmt.Errorf("%w: %s was built without cgo and cannot load modules", token.ErrUnsupported, token.Program)
}
