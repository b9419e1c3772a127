package smime

import (
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
)

// CompatCapabilities are what a signature says its maker can read (RFC 8551 §2.5.2) where the maker's mail programs are not known:
// the ciphers that all of them read, best first. It names no authenticated cipher, because programs that are in use show such a
// message as an empty page.
func CompatCapabilities() []cms.Capability {
	return []cms.Capability{
		{Algorithm: oid.AES256CBC},
		{Algorithm: oid.AES128CBC},
	}
}
