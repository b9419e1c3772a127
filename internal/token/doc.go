// Package token uses private keys that live in a PKCS #11 token (a smart card, a
// hardware module) and never leave it.
//
// PKCS #11 modules are C libraries, and mailseal is built without cgo, so a
// process of its own loads them: mailseal-pkcs11, which is package cryptoki behind
// [Serve]. A module that crashes takes that process down and no more. The two
// talk over the process's standard input and output, which nobody else can join:
// frames of four octets of length and that many of JSON, a question and its answer
// in turn. Both ends hold the other to limits.
//
// Start with [ParseURI] (RFC 7512) and [Start]; [Client.Open] returns identities
// whose keys are crypto.Signer, and crypto.Decrypter or cms.ECDHKey, like those
// from files.
package token

import "errors"

// Answers that a caller can act on.
var (
	// ErrPINNeeded means that the token shows its keys only to who has the PIN.
	ErrPINNeeded = errors.New("the token asks for its PIN")
	// ErrPIN means that the token did not take the PIN. It counts such tries and
	// locks itself after a few: never try again unasked.
	ErrPIN = errors.New("the token refused the PIN")
	// ErrPINLocked means that there were too many wrong ones.
	ErrPINLocked = errors.New("the token is locked after too many wrong PINs")
	// ErrNotFound means that no token, or nothing in it, matches the URI.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous means that several tokens match.
	ErrAmbiguous = errors.New("several tokens match")
	// ErrUnsupported means that the token, or this package, cannot do it.
	ErrUnsupported = errors.New("not supported by the token")
	// ErrToken is any other failure of the module or the token.
	ErrToken = errors.New("token failed")
	// ErrProtocol means that the other process said something senseless.
	ErrProtocol = errors.New("mailseal-pkcs11 answered nonsense")
)

// codes are the names under which errors travel.
var codes = map[string]error{
	"pin-needed": ErrPINNeeded, "pin-refused": ErrPIN, "pin-locked": ErrPINLocked, "not-found": ErrNotFound,
	"ambiguous": ErrAmbiguous, "unsupported": ErrUnsupported, "token": ErrToken, "protocol": ErrProtocol,
}

func codeOf(err error) string {
	for code, e := range codes {
		if errors.Is(err, e) {
			return code
		}
	}
	return "token"
}
