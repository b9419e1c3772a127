package recovery

import (
	"crypto/rand"

	"github.com/mailseal/mailseal/cms"
)

// Spoil makes an officer's share of a released key one that is well-formed and
// wrong; key is the one that it was released to.
func (k *BundleKey) Spoil(i int, request string, key *cms.RecipientKey) error {
	at := k.Shares[i].Position
	mine, err := discloseShare(k.Shares[i].Envelope, []*cms.RecipientKey{key}, content{Key: k.Key, Position: at, For: request})
	if err != nil {
		return err
	}
	mine.value[0] ^= 1
	to, err := reader(key.Certificate)
	if err != nil {
		return err
	}
	k.Shares[i].Envelope, err = envelopShare(rand.Reader, to, content{Key: k.Key, Position: at, For: request, Share: mine.value})
	return err
}

// Choices counts the ways to take n of as many shares.
func Choices(of, n int) (count int) {
	for some := range choices(make([]share, of), n) {
		if len(some) == n {
			count++
		}
	}
	return count
}
