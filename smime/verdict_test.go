package smime

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

var statuses = []Status{StatusValid, StatusRevocationUnknown, StatusUnsupported, StatusWeak, StatusExpired, StatusUntrusted,
	StatusAddressMismatch, StatusRevoked, StatusInvalid, "no such status"}

// TestConclusionOfOneSigner is the table of the design.
func TestConclusionOfOneSigner(t *testing.T) {
	for status, want := range map[Status]Conclusion{
		StatusValid: Valid, StatusRevocationUnknown: Unknown, StatusUnsupported: Unknown, StatusWeak: Untrusted, StatusExpired: Untrusted,
		StatusUntrusted: Untrusted, StatusAddressMismatch: Invalid, StatusRevoked: Invalid, StatusInvalid: Invalid, "no such status": Invalid,
	} {
		got, coverage := conclude(evidence{layers: []layerEvidence{{kind: LayerSigned, signers: []Status{status}}}})
		if got != want || coverage != CoverageWhole {
			t.Errorf("%s: %s, %s", status, got, coverage)
		}
	}
}

func TestWorse(t *testing.T) {
	for i, a := range statuses {
		for j, b := range statuses {
			want := statuses[max(i, j)]
			if want == "no such status" {
				want = StatusInvalid
			}
			if got := worse(a, b); got != want {
				t.Errorf("worse(%s, %s) = %s, want %s", a, b, got, want)
			}
		}
	}
}

// TestConcludeEverything goes through all messages of up to three layers with up to two signers each and holds the conclusion to
// the rules, each said on its own.
func TestConcludeEverything(t *testing.T) {
	some := []Status{StatusValid, StatusUnsupported, StatusUntrusted, StatusAddressMismatch, StatusInvalid}
	layers := []layerEvidence{{kind: LayerEncrypted}, {kind: LayerCompressed}, {kind: LayerSigned}, {kind: LayerSigned, broken: true}}
	for _, a := range some {
		layers = append(layers, layerEvidence{kind: LayerSigned, signers: []Status{a}})
		for _, b := range some {
			layers = append(layers, layerEvidence{kind: LayerSigned, signers: []Status{a, b}})
		}
	}
	n := 0
	check := func(ls ...layerEvidence) {
		for _, closed := range []bool{false, true} {
			for _, part := range []bool{false, true} {
				n++
				checkRules(t, evidence{ls, closed, part})
			}
		}
	}
	check()
	for _, a := range layers {
		check(a)
		for _, b := range layers {
			check(a, b)
			for _, c := range layers {
				check(a, b, c)
			}
		}
	}
	if n < 100_000 {
		t.Errorf("only %d cases", n)
	}
}

func checkRules(t *testing.T, e evidence) {
	got, coverage := conclude(e)
	var all, inside []Status
	broken := false
	for _, l := range e.layers {
		if l.kind == LayerEncrypted {
			inside = nil
		}
		all, inside = append(all, l.signers...), append(inside, l.signers...)
		broken = broken || l.broken
	}
	bad := broken || slices.Contains(all, StatusInvalid) || slices.Contains(all, StatusAddressMismatch)
	perfect := !slices.ContainsFunc(all, func(s Status) bool { return s != StatusValid })
	for rule, holds := range map[string]bool{
		"valid only if something inside is signed, all is open and all is valid": (got == Valid) == (len(inside) > 0 && !e.closed && perfect && !broken),
		"invalid exactly if something is":                                        (got == Invalid) == bad,
		"whole exactly if the signature is inside and all is open":               (coverage == CoverageWhole) == (len(inside) > 0 && !e.closed),
		"none exactly if nothing is signed":                                      (coverage == CoverageNone) == (len(all) == 0 && !e.partSigned),
		"unsigned exactly if open, not bad, and nothing inside signed":           (got == Unsigned) == (!bad && !e.closed && len(inside) == 0),
		"closed is never trusted":                                                !e.closed || got == Invalid || got == Unknown,
		"untrusted counts":                                                       !(slices.Contains(all, StatusUntrusted) && !bad && !e.closed && len(inside) > 0) || got == Untrusted,
	} {
		if !holds {
			t.Fatalf("%s: %+v is %s, %s", rule, e, got, coverage)
		}
	}
}

// TestVerdictJSON pins the contract with programs.
func TestVerdictJSON(t *testing.T) {
	v := Verdict{Verdict: Valid, From: []string{}, Coverage: CoverageWhole, Layers: []Layer{{LayerSigned, "a", 0}}, Warnings: []string{},
		Subject: "Lunch", HeaderProtection: HeaderSigned, DifferingHeaders: []DifferingHeader{{"Subject", "a", "b"}},
		Signers: []Signer{{Status: StatusValid, Emails: []string{"a@example.com"}, SigningTime: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}}}
	b, err := json.Marshal(v)
	want := `{"verdict":"valid","encrypted":false,"from":[],"subject":"Lunch","header_protection":"signed",` +
		`"differing_headers":[{"name":"Subject","outside":"a","inside":"b"}],"coverage":"whole","signers":[{"status":"valid","reason":"","emails":["a@example.com"],` +
		`"subject":"","issuer":"","serial":"","sha256":"","algorithm":"","signing_time":"2026-06-01T12:00:00Z","validation":""}],` +
		`"layers":[{"type":"signed","algorithm":"a","recipients":0}],"warnings":[]}`
	if string(b) != want || err != nil {
		t.Errorf("%s, %v", b, err)
	}
}
