package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
)

// MaxSeals is the number of earlier manifests, each with a timestamp, that a record
// carries: one for each time that it was raised or renewed.
const MaxSeals = 64

// seal is a manifest with the timestamp that is over it (RFC 3161). That of the
// record as it stands has number 0; those of what it was before count from 1, the
// oldest.
type seal struct {
	number             int
	manifest, response []byte
	stamp              *cades.Stamp // nil until it is judged
}

func earlierName(number int) (manifest, response string) {
	return fmt.Sprintf("manifest-%d.sha256", number), fmt.Sprintf("manifest-%d.tsr", number)
}

func (s *seal) names() (manifest, response string) {
	if s.number == 0 {
		return manifestName, sealName
	}
	return earlierName(s.number)
}

// SealReport is about the timestamp of a manifest.
type SealReport struct {
	// Manifest is the file that the timestamp is over. It lists the digests of all
	// files of the record, or of what the record was before.
	Manifest string `json:"manifest"`
	StampReport
}

// findSeals returns the seals of a record, the newest first.
func (r *Record) findSeals() (out []*seal, err error) {
	for n := 1; ; n++ {
		manifest, response := earlierName(n)
		if r.small[manifest] == nil && r.small[response] == nil {
			break
		}
		if n > MaxSeals {
			return nil, malformed("more than %d earlier manifests", MaxSeals)
		}
		out = append(out, &seal{number: n, manifest: r.small[manifest], response: r.small[response]})
	}
	slices.Reverse(out)
	if response := r.small[sealName]; response != nil {
		out = append([]*seal{{manifest: r.small[manifestName], response: response}}, out...)
	}
	return out, nil
}

// judgeSeals decides what the seals are worth, the newest first. The authority of one
// must have been good when the next came, which is over it, and that of the newest
// must be good at the time of the judgement.
func (r *Record) judgeSeals(f *faults, s *cms.SignedReader, o *Options) {
	at := o.At
	sealers, err := cert.ParseAll(r.small[sealersName])
	if err != nil && r.small[sealersName] != nil {
		f.add(sealersName, "holds no certificates")
	}
	for i, one := range r.seals {
		manifest, response := one.names()
		token, err := cms.TimestampToken(one.response)
		if err != nil {
			f.add(response, "is no timestamp")
			continue
		}
		one.judge(token, at, s, sealers, budget(i), o)
		switch {
		case one.stamp.Err != nil:
			f.add(response, "is not a timestamp over "+manifest)
		case one.stamp.Trusted() && one.stamp.Existed().Before(at):
			at = one.stamp.Existed()
		}
		if one.number > 0 {
			r.unchangedSince(f, one)
		}
	}
}

// budget is how much work the path of a seal may make: a record with many must not
// take many times as long.
func budget(i int) int {
	const enough = 20 // for a path without any detour
	return max(certpath.DefaultBudget>>i, enough)
}

func (s *seal) judge(token []byte, at time.Time, message *cms.SignedReader, sealers []*cert.Certificate, budget int, o *Options) {
	options := o.cades(false)
	options.Budget = budget
	options.Intermediates = slices.Concat(o.Intermediates, sealers)
	stamp := cms.VerifyTimestamp(token, s.manifest, slices.Concat(message.Certificates(), options.Intermediates))
	s.stamp = cades.JudgeTimestamp(stamp, token, at, message, &options)
}

// unchangedSince holds an earlier manifest to what never changes: what was signed,
// and the mail as it is.
func (r *Record) unchangedSince(f *faults, s *seal) {
	manifest, _ := s.names()
	digests, ok := readManifest(s.manifest)
	if !ok {
		f.add(manifest, "is no list of digests")
		return
	}
	for _, name := range []string{messageName, mailContentName, fileContentName} {
		want, listed := digests[name]
		here := slices.Contains(r.names, name)
		if !listed && !here {
			continue
		}
		if sum, err := r.sum(name); err != nil || listed != here || !bytes.Equal(sum, want) {
			f.add(name, "is not the one that "+manifest+" lists")
		}
	}
}

// addSeals says what is known about when the files of the record were put together.
func (r *Report) addSeals(seals []*seal) {
	r.Unsealed = "no timestamp is over " + manifestName
	for _, s := range seals {
		if s.stamp == nil {
			continue
		}
		manifest, _ := s.names()
		r.Seals = append(r.Seals, SealReport{manifest, stampReport(s.stamp)})
		switch {
		case s.number > 0:
		case s.stamp.Trusted():
			r.Unsealed = ""
		default:
			r.Unsealed = "the timestamp over " + manifestName + " is not believed: " + s.stamp.Why.Error()
		}
		r.addAnchor(s.stamp.Chain)
	}
}

// addAnchor adds the root that a chain ends at.
func (r *Report) addAnchor(chain []*cert.Certificate) {
	if len(chain) == 0 {
		return
	}
	report := certificateReport(chain[len(chain)-1])
	if !slices.Contains(r.Anchors, report) {
		r.Anchors = append(r.Anchors, report)
	}
}

// sealing puts the statements and the manifest of a record together.
type sealing struct {
	report  *Report
	files   []file // what follows from the signature
	found   []*cades.Assessment
	message *cms.SignedReader
	o       *MakeOptions
	earlier []*seal // the newest first

	roots, sealers []*cert.Certificate // what it takes to verify the seals
	unbelieved     error               // why the authority's timestamp is not used
}

// all returns every file of the record. Whom the seal will come from is known only
// when it is there; if the record lacks what it takes to verify it then, another one
// is asked for.
func (s *sealing) all() ([]file, error) {
	s.roots = anchors(s.found)
	for _, one := range s.earlier {
		s.believe(one.stamp)
	}
	for range 3 {
		files, err := s.statements()
		if err != nil {
			return nil, err
		}
		manifest, err := manifestOf(files)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: manifestName, data: manifest})
		if !s.sealed() {
			s.report.addSeals(s.earlier)
			if s.unbelieved != nil {
				s.report.Unsealed = "the timestamp authority is not believed: " + s.unbelieved.Error()
			}
			return files, nil
		}
		one, err := s.ask(manifest)
		switch {
		case err != nil:
			return nil, err
		case !one.stamp.Trusted():
			s.unbelieved = one.stamp.Why
		case !s.believe(one.stamp):
			s.report.addSeals(append([]*seal{one}, s.earlier...))
			return append(files, file{name: sealName, data: one.response}), nil
		}
	}
	return nil, errors.New("the timestamp authority answers with other certificates each time")
}

func (s *sealing) sealed() bool { return s.o.Timestamp != nil && s.unbelieved == nil }

// believe notes what is needed to verify a timestamp, and tells whether that is new.
func (s *sealing) believe(stamp *cades.Stamp) (more bool) {
	if stamp == nil || !stamp.Trusted() {
		return false
	}
	last := len(stamp.Chain) - 1
	if root := stamp.Chain[last]; !slices.ContainsFunc(s.roots, root.Equal) {
		s.roots, more = append(s.roots, root), true
	}
	known := slices.Concat(s.sealers, stamp.Certificates)
	for _, c := range stamp.Chain[:last] {
		if !slices.ContainsFunc(known, c.Equal) {
			s.sealers, more = append(s.sealers, c), true
		}
	}
	return more
}

// ask has a manifest stamped.
func (s *sealing) ask(manifest []byte) (*seal, error) {
	q, err := cms.NewTimestampRequest(manifest, 0, s.o.Rand)
	if err != nil {
		return nil, err
	}
	der, err := q.DER()
	if err != nil {
		return nil, err
	}
	response, err := s.o.Timestamp(der)
	if err != nil {
		return nil, fmt.Errorf("get a timestamp: %w", err)
	}
	token, _, err := q.Open(response)
	if err != nil {
		return nil, err
	}
	one := &seal{manifest: manifest}
	one.judge(token, s.o.At, s.message, nil, budget(0), &s.o.Options)
	one.response, err = cms.TimestampResponse(token)
	return one, err
}
