package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/smime"
)

const (
	rateMails = 10_000
	rateSize  = 10 * kib
)

// rate is how fast one process opens many signed mails of one sender, beside
// the digest of each and the public-key operation on each alone. Both are what
// all mails take, at the pace of the slice in the middle.
type rate struct {
	Mails   int           `json:"mails"`
	Opening time.Duration `json:"opening"` // CPU time, with that of the garbage collector
	Floor   time.Duration `json:"floor"`
	// Ratio is the median of the slices' own; Wall the same by the clock.
	Ratio float64 `json:"ratio"`
	Wall  float64 `json:"wall"`
}

// rateSlice is how many mails are opened between two looks at the floor: few
// enough that whatever else the machine does disturbs both alike.
const (
	rateSlice  = 100
	rateRounds = 3
)

// rates measures both on the same mails, in turns on one goroutine.
func (b *bench) rates() error {
	root, err := os.ReadFile(b.path("root.pem"))
	if err != nil {
		return err
	}
	anchors, err := cert.ParseAll(root)
	if err != nil {
		return err
	}
	for _, key := range []string{"rsa", "p256"} {
		if b.results.Rates[key] != nil {
			continue
		}
		mails, floor, err := b.letters(key)
		if err != nil {
			return fmt.Errorf("letters of %s: %w", key, err)
		}
		known := &certpath.Known{}
		open := func(mail []byte) error {
			return openLetter(mail, &smime.OpenOptions{Anchors: anchors, At: time.Now(), Known: known})
		}
		if err := open(mails[0]); err != nil {
			return err
		}
		r, err := rateOf(mails, floor, open)
		if err != nil {
			return err
		}
		b.results.Rates[key] = r
		fmt.Fprintf(os.Stderr, "open %d mails of 10 KiB, %s: %.2f of the floor's rate, %.2f by the clock; %v a mail, the floor %v\n",
			r.Mails, key, r.Ratio, r.Wall, r.Opening/time.Duration(r.Mails), r.Floor/time.Duration(r.Mails))
	}
	return nil
}

// rateOf has floor and open take turns.
func rateOf(mails [][]byte, floor, open func([]byte) error) (*rate, error) {
	var floors, openings, ratios, walls []float64
	for range rateRounds {
		for slice := range slices.Chunk(mails, rateSlice) {
			f, err := timed(slice, floor)
			if err != nil {
				return nil, err
			}
			o, err := timed(slice, open)
			if err != nil {
				return nil, err
			}
			floors, openings = append(floors, float64(f.CPU)), append(openings, float64(o.CPU))
			ratios, walls = append(ratios, ratio(f.CPU, o.CPU)), append(walls, ratio(f.Wall, o.Wall))
		}
	}
	whole := float64(len(mails)) / rateSlice
	return &rate{
		Mails: len(mails), Ratio: median(ratios), Wall: median(walls),
		Floor: time.Duration(median(floors) * whole), Opening: time.Duration(median(openings) * whole),
	}, nil
}

// timed does the same with each mail.
func timed(mails [][]byte, f func([]byte) error) (run result, err error) {
	begin, used := time.Now(), cpu()
	for _, m := range mails {
		if err := f(m); err != nil {
			return run, err
		}
	}
	return result{CPU: cpu() - used, Wall: time.Since(begin)}, nil
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// letters makes mails that differ, and what their floor is: the digest of a
// mail, and a verification with the sender's key.
func (b *bench) letters(key string) (mails [][]byte, floor func([]byte) error, err error) {
	data, err := os.ReadFile(b.path(key + ".both"))
	if err != nil {
		return nil, nil, err
	}
	ids, err := identity.Read(data, nil)
	if err != nil {
		return nil, nil, err
	}
	signer := &cms.Signer{Key: ids[0].Key.(crypto.Signer), Certificate: ids[0].Certificate, Chain: ids[0].Chain}
	text := strings.Repeat("The quick brown fox jumps over the lazy dog and comes back again.\r\n", rateSize/67)
	for i := range rateMails {
		letter := fmt.Sprintf("From: alice@example.com\r\nTo: bob@example.com\r\nSubject: letter %d\r\nDate: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nNumber %d\r\n%s",
			i, time.Now().Format(time.RFC1123Z), i, text)
		var out bytes.Buffer
		if err := smime.Sign(&out, strings.NewReader(letter), int64(len(letter)), &smime.SignOptions{Signers: []*cms.Signer{signer}, Time: time.Now()}); err != nil {
			return nil, nil, err
		}
		mails = append(mails, out.Bytes())
	}
	digest := sha256.Sum256(data)
	sig, err := signer.Key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, nil, err
	}
	return mails, func(mail []byte) error {
		sha256.Sum256(mail[:rateSize])
		switch public := signer.Certificate.PublicKey.(type) {
		case *rsa.PublicKey:
			return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], sig)
		case *ecdsa.PublicKey:
			if ecdsa.VerifyASN1(public, digest[:], sig) {
				return nil
			}
		}
		return errors.New("wrong signature")
	}, nil
}

func openLetter(mail []byte, o *smime.OpenOptions) error {
	m, err := smime.Open(bytes.NewReader(mail), int64(len(mail)), o)
	if err != nil {
		return err
	}
	if m.Verdict.Verdict != smime.Valid {
		return fmt.Errorf("verdict %s", m.Verdict.Verdict)
	}
	return m.Close()
}

func (r *results) rateTable(s *strings.Builder) {
	s.WriteString("\n## Many mails in one process\n\nSigned mails of 10 KiB from one sender are opened on one goroutine, the chain known after the first. The floor is the digest of each and one public-key operation on each, measured in turns with the opening in slices of 100 mails; the median of all slices counts.\n\n| key | mails | mails a second of CPU | of the floor's rate | by the clock |\n|---|---|---|---|---|\n")
	for _, key := range []string{"rsa", "p256"} {
		if m := r.Rates[key]; m != nil {
			fmt.Fprintf(s, "| %s | %d | %.0f | %.2f | %.2f |\n", key, m.Mails, float64(m.Mails)/m.Opening.Seconds(), m.Ratio, m.Wall)
		}
	}
}
