package lint

import "github.com/mailseal/mailseal/cert"

// Severity is how much a finding weighs.
type Severity string

// The severities: a SHALL is broken, a SHOULD is not followed, or something is
// merely worth knowing.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Notice  Severity = "notice"
)

// Finding is one rule that a certificate does not keep.
type Finding struct {
	Rule     string   // its name
	Section  string   // where it stands
	Severity Severity // how much it weighs
	Text     string   // what is wrong
	By       string   // whose rule it is: mailseal or zlint
}

// Subject is a certificate and what it is held against.
type Subject struct {
	*cert.Certificate

	// Kind decides about subscribers' certificates. The zero Kind leaves only
	// the rules that hold for all of them.
	Kind Kind

	// Private: the policy identifier is the operator's own, and one of the
	// CA/Browser Forum's has no place in the certificate.
	Private bool
}

// rule is one requirement. The check returns what is wrong, or nothing.
type rule struct {
	name     string
	section  string
	severity Severity
	check    func(*Subject) string
}

// Check holds a certificate against our own rules.
func Check(s *Subject) []Finding {
	var found []Finding
	for _, r := range rulesFor(s) {
		if text := r.check(s); text != "" {
			found = append(found, Finding{r.name, r.section, r.severity, text, "mailseal"})
		}
	}
	return found
}

// rulesFor returns those that apply: to all certificates, to authorities, or to
// subscribers. Certificates for other purposes than mail (responders,
// timestamps) are none of the latter.
func rulesFor(s *Subject) (list []rule) {
	list = append(list, commonRules...)
	switch {
	case s.BasicConstraints.CA:
		list = append(list, authorityRules...)
		if s.SelfIssued() {
			return append(list, rootRules...)
		}
		return append(list, subordinateRules...)
	case s.forMail():
		list = append(list, mailRules...)
		if s.Kind != (Kind{}) {
			list = append(list, kindRules...)
		}
	}
	return list
}
