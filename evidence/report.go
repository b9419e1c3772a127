package evidence

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/smime"
)

// Format names the form of records that this package writes and reads.
const Format = "mailseal evidence record, version 1"

// Claim is what a record claims to be.
const Claim = "Technical evidence of who signed what, and when. It is not a qualified electronic signature, seal or timestamp in the sense of any law."

// Report is what was found about a record. Its JSON form is verdict.json in the
// record, and what the command line prints.
type Report struct {
	Format  string    `json:"format"`
	Claim   string    `json:"claim"`
	Program string    `json:"program,omitempty"`
	AsOf    time.Time `json:"as_of"`
	// Level is that of the signature that has least.
	Level   string         `json:"level"`
	Verdict smime.Verdict  `json:"verdict"`
	Signers []SignerReport `json:"signatures"`
	// Anchors are where the trust begins that was used.
	Anchors []CertificateReport `json:"anchors"`
	// Seals are the timestamps over the manifest, the newest first, and Unsealed says
	// why none proves when the files of the record were put together.
	Seals    []SealReport `json:"seals,omitempty"`
	Unsealed string       `json:"unsealed,omitempty"`
	// Altered says what in the record does not follow from the signature, or is not
	// what the manifest lists.
	Altered []string `json:"altered,omitempty"`
}

// Good tells whether the record proves what it says.
func (r *Report) Good() bool { return r.Verdict.Verdict == smime.Valid && len(r.Altered) == 0 }

// SignerReport is about one signature.
type SignerReport struct {
	Certificate CertificateReport `json:"certificate"`
	Level       string            `json:"level"`
	// Missing says what lacks to the next level.
	Missing []string `json:"missing"`
	// Proven is since when the signature existed, at the latest.
	Proven time.Time `json:"proven,omitzero"`
	// KeyOrigin is where the key was made, as far as whoever made the record knew.
	KeyOrigin         string        `json:"key_origin"`
	Timestamps        []StampReport `json:"timestamps"`
	ArchiveTimestamps []StampReport `json:"archive_timestamps"`
}

// StampReport is about one timestamp.
type StampReport struct {
	Time      time.Time         `json:"time"`
	Accuracy  string            `json:"accuracy,omitempty"`
	Authority CertificateReport `json:"authority"`
	Policy    string            `json:"policy"`
	Serial    string            `json:"serial"`
	Believed  bool              `json:"believed"`
	Reason    string            `json:"reason,omitempty"`
	// JudgedFor is the time at which the authority had to be good.
	JudgedFor time.Time `json:"judged_for"`
}

// CertificateReport names a certificate.
type CertificateReport struct {
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Serial  string    `json:"serial"`
	SHA256  string    `json:"sha256"`
	Ends    time.Time `json:"ends"`
}

// OriginUnknown is what is said of a key of whose making nothing is known.
const OriginUnknown = "not known"

func newReport(s *Source, found []*cades.Assessment, v smime.Verdict, o *Options) *Report {
	r := &Report{Format: Format, Claim: Claim, AsOf: o.At.UTC(), Verdict: v, Signers: []SignerReport{}, Anchors: []CertificateReport{}}
	if v.Signers == nil {
		r.Verdict.From, r.Verdict.Signers, r.Verdict.Layers, r.Verdict.Warnings = []string{}, []smime.Signer{}, []smime.Layer{}, []string{}
	}
	level, _ := lowest(found)
	if len(found) == 0 {
		level = cades.None
	}
	r.Level = level.String()
	for _, a := range found {
		r.Signers = append(r.Signers, signerReport(a, o))
	}
	for _, c := range anchors(found) {
		r.Anchors = append(r.Anchors, certificateReport(c))
	}
	return r
}

func signerReport(a *cades.Assessment, o *Options) SignerReport {
	c := a.Signer().Certificate
	r := SignerReport{
		Certificate: certificateReport(c), Level: a.Level.String(), Missing: append([]string{}, a.Missing...), Proven: a.Time.UTC(),
		KeyOrigin: OriginUnknown, Timestamps: []StampReport{}, ArchiveTimestamps: []StampReport{},
	}
	if a.Time.IsZero() {
		r.Proven = time.Time{}
	}
	if o.KeyOrigin != nil && c != nil {
		if origin := o.KeyOrigin(c); origin != "" {
			r.KeyOrigin = origin
		}
	}
	for _, s := range a.Timestamps {
		r.Timestamps = append(r.Timestamps, stampReport(s))
	}
	for _, s := range a.Archive {
		r.ArchiveTimestamps = append(r.ArchiveTimestamps, stampReport(s))
	}
	return r
}

func stampReport(s *cades.Stamp) StampReport {
	r := StampReport{
		Time: s.Time.UTC(), Authority: certificateReport(s.Signer.Certificate), Policy: string(s.Policy),
		Believed: s.Trusted(), JudgedFor: s.Judged.UTC(),
	}
	if s.Serial != nil {
		r.Serial = s.Serial.Text(16)
	}
	if s.Accuracy > 0 {
		r.Accuracy = s.Accuracy.String()
	}
	if s.Why != nil {
		r.Reason = s.Why.Error()
	}
	return r
}

func certificateReport(c *cert.Certificate) CertificateReport {
	if c == nil {
		return CertificateReport{}
	}
	return CertificateReport{c.Subject.String(), c.Issuer.String(), c.SerialHex(), c.SHA256(), c.NotAfter.UTC()}
}

// anchors are the last certificates of the chains that were used, each once.
func anchors(found []*cades.Assessment) (out []*cert.Certificate) {
	add := func(chain []*cert.Certificate) {
		if n := len(chain); n > 0 && !slices.ContainsFunc(out, chain[n-1].Equal) {
			out = append(out, chain[n-1])
		}
	}
	for _, a := range found {
		add(a.Chain)
		for _, s := range slices.Concat(a.Timestamps, a.Archive) {
			add(s.Chain)
		}
	}
	return out
}

// statements adds to the files what speaks of them.
func (s *sealing) statements() ([]file, error) {
	files := append(slices.Clip(s.files), file{name: anchorsName, data: pems(s.roots), what: "the roots that were trusted when the record was made: compare their fingerprints with ones you know"})
	if len(s.sealers) > 0 {
		files = append(files, file{name: sealersName, data: pems(s.sealers), what: "further certificates of who stamped the manifests"})
	}
	for _, one := range s.earlier {
		manifest, response := one.names()
		files = append(files, file{name: manifest, data: one.manifest, what: "the manifest of what this record was before"},
			file{name: response, data: one.response, what: "the timestamp over it"})
	}
	s.report.Anchors = s.report.Anchors[:0]
	for _, c := range s.roots {
		s.report.Anchors = append(s.report.Anchors, certificateReport(c))
	}
	verdict, err := json.MarshalIndent(s.report, "", "  ")
	if err != nil {
		return nil, err
	}
	readme := s.readme(files)
	return append([]file{{name: readmeName, data: readme}}, append(files, file{name: verdictName, data: append(verdict, '\n')})...), nil
}
