package lint

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/zmap/zcrypto/x509"
	zlint "github.com/zmap/zlint/v3/lint"
	_ "github.com/zmap/zlint/v3/lints/cabf_smime_br" // registers its lints
	_ "github.com/zmap/zlint/v3/lints/rfc"           // likewise
	"github.com/zmap/zlint/v3/util"
)

// sources are whose lints are run: the others are about web servers and code.
var sources = zlint.SourceList{
	zlint.CABFSMIMEBaselineRequirements, zlint.RFC3279, zlint.RFC5280, zlint.RFC5480, zlint.RFC5891, zlint.RFC6960,
	zlint.RFC8813,
}

// zrule is a lint of zlint, and what is the same about it for every certificate.
type zrule struct {
	*zlint.CertificateLint
	configurable bool
}

// chosen filters the lints once, when the first certificate comes.
var chosen = sync.OnceValues(func() (rules []zrule, err error) {
	registry, err := zlint.GlobalRegistry().Filter(zlint.FilterOptions{IncludeSources: sources})
	if err != nil {
		return nil, fmt.Errorf("choose lints: %w", err)
	}
	for _, l := range registry.CertificateLints().Lints() {
		_, configurable := l.Lint().(zlint.Configurable)
		rules = append(rules, zrule{l, configurable})
	}
	return rules, nil
})

// configuration is zlint's own for its lints: none. Making it parses a file.
var configuration = sync.OnceValue(zlint.NewEmptyConfig)

// ZLint runs zlint's rules over a certificate. The error means that zlint
// cannot read it.
func ZLint(der []byte) (found []Finding, err error) {
	defer func() { // its parser is not ours; its lints look after themselves
		if r := recover(); r != nil {
			found, err = nil, fmt.Errorf("zlint broke down: %v", r)
		}
	}()
	rules, err := chosen()
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("zlint: %w", err)
	}
	mail := util.IsEmailProtectionCert(c)
	for _, r := range rules {
		result := r.execute(c, mail)
		severity, bad := severities[result.Status]
		if !bad || mistaken(r.Name, c) {
			continue
		}
		found = append(found, Finding{r.Name, r.Citation, severity, cmp.Or(result.Details, r.Description), "zlint"})
	}
	slices.SortFunc(found, func(a, b Finding) int { return cmp.Compare(a.Rule, b.Rule) })
	return found, nil
}

// notApplicable is the result of a lint that has nothing to say.
var notApplicable = &zlint.LintResult{Status: zlint.NA}

// execute runs the lint as its own method Execute does, which asks each time anew
// whether the certificate is for mail, which mail says, and whether the lint can
// be configured.
func (r zrule) execute(c *x509.Certificate, mail bool) *zlint.LintResult {
	switch {
	case !mail && r.Source == zlint.CABFSMIMEBaselineRequirements && !r.OverrideFrameworkFilter:
		return notApplicable
	case r.configurable:
		return r.Execute(c, configuration())
	case !r.CheckEffective(c):
		return notApplicable
	}
	lint := r.Lint()
	if !lint.CheckApplies(c) {
		return notApplicable
	}
	return lint.Execute(c)
}

// severities are the results that say something against a certificate.
var severities = map[zlint.LintStatus]Severity{
	zlint.Notice: Notice, zlint.Warn: Warning, zlint.Error: Error, zlint.Fatal: Error,
}

// mistaken tells where a lint knows a rule less well than ours. One does not
// know that the VAT numbers of Greece, whose country is GR, begin with EL
// (S/MIME BR §7.1.4.2.2 (d), note 1).
func mistaken(name string, c *x509.Certificate) bool {
	if name != "e_registration_scheme_id_matches_subject_country" {
		return false
	}
	for _, id := range c.Subject.OrganizationIDs {
		for _, country := range c.Subject.Country {
			if CheckOrganizationIdentifier(id) != nil || MatchIdentifierCountry(id, country) != nil {
				return false
			}
		}
	}
	return true
}
