package smime

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cms"
)

// JudgeRaw judges the signers of a SignedData that is no mail and was read to its end, whatever its last Read returned. It has no
// From, so no address is asked for: who signed is in the verdict, and whether that is the right one is for the caller to say. With
// o nil nobody is trusted or distrusted, and a signature that fits is valid; a warning says so. Of o, what concerns mail is not used.
func JudgeRaw(s *cms.SignedReader, o *OpenOptions) Verdict {
	v := Verdict{From: []string{}, Signers: []Signer{}, Layers: []Layer{}, Warnings: []string{},
		HeaderProtection: HeaderNone, DifferingHeaders: []DifferingHeader{}}
	j := judge{o: o, raw: true}
	l := layerEvidence{kind: LayerSigned}
	var algorithms []string
	for _, r := range s.Signers() {
		signer, _ := j.signer(r, s)
		v.Signers = append(v.Signers, signer)
		l.signers = append(l.signers, signer.Status)
		if !slices.Contains(algorithms, signer.Algorithm) {
			algorithms = append(algorithms, signer.Algorithm)
		}
	}
	v.Layers = append(v.Layers, Layer{Type: LayerSigned, Algorithm: strings.Join(algorithms, ", ")})
	v.Verdict, v.Coverage = conclude(evidence{layers: []layerEvidence{l}})
	switch {
	case len(v.Signers) == 0:
	case o == nil:
		v.Warnings = append(v.Warnings, "it was not asked whose keys these are and whether they may be trusted")
	default:
		if text := j.unaskedWarning(len(v.Signers)); text != "" {
			v.Warnings = append(v.Warnings, text)
		}
		v.Warnings = append(v.Warnings, j.notes...)
	}
	for _, signer := range v.Signers {
		if o != nil && signer.SigningTime.After(o.At.Add(maxSkew)) {
			v.Warnings = append(v.Warnings, fmt.Sprintf("signed at %s, which is in the future", signer.SigningTime.UTC().Format(time.RFC3339)))
		}
	}
	return v
}
