package anchors

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The names of the comment lines.
const (
	sourceLine   = "# source: "
	dateLine     = "# date: "
	labelLine    = "# label: "
	digestLine   = "# sha256: "
	distrustLine = "# distrust after: "
	begin        = "-----BEGIN CERTIFICATE-----"
	end          = "-----END CERTIFICATE-----"
)

const head = `# Trust anchors for mail: the authorities that Mozilla trusts to name mailboxes.
# Written by scripts/anchors; a changed list is read by a person before it is
# committed. The list is Mozilla's, under the Mozilla Public License 2.0,
# https://mozilla.org/MPL/2.0/.
`

// Format writes the list as Parse reads it, in one way only.
func (l *List) Format() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s%s\n%s%s\n", head, sourceLine, l.Source, dateLine, l.Date.Format(time.DateOnly))
	entries := slices.SortedFunc(slices.Values(l.Entries), func(a, b Entry) int {
		return cmp.Or(strings.Compare(a.Label, b.Label), bytes.Compare(a.DER, b.DER))
	})
	for _, e := range entries {
		fmt.Fprintf(&b, "\n%s%s\n%s%x\n", labelLine, e.Label, digestLine, sha256.Sum256(e.DER))
		if !e.DistrustAfter.IsZero() {
			fmt.Fprintf(&b, "%s%s\n", distrustLine, e.DistrustAfter.UTC().Format(time.RFC3339))
		}
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.DER}))
	}
	return b.String()
}

// Parse reads a list.
func Parse(text string) (*List, error) {
	p := parser{list: &List{}}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		if err := p.line(lines.Text()); err != nil {
			return nil, fmt.Errorf("trust anchors, line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("trust anchors: %w", err)
	}
	if len(p.list.Entries) == 0 || p.block != nil {
		return nil, errors.New("trust anchors: the list ends too early")
	}
	return p.list, nil
}

type parser struct {
	list  *List
	entry Entry
	block []string // lines of a certificate that has begun
}

func (p *parser) line(line string) (err error) {
	if p.block != nil || line == begin {
		if p.block = append(p.block, line); line == end {
			err = p.certificate()
		}
		return err
	}
	if value, ok := strings.CutPrefix(line, sourceLine); ok {
		p.list.Source = value
	}
	if value, ok := strings.CutPrefix(line, dateLine); ok {
		p.list.Date, err = time.Parse(time.DateOnly, value)
	}
	if value, ok := strings.CutPrefix(line, labelLine); ok {
		p.entry = Entry{Label: value}
	}
	if value, ok := strings.CutPrefix(line, distrustLine); ok {
		p.entry.DistrustAfter, err = time.Parse(time.RFC3339, value)
	}
	return err
}

func (p *parser) certificate() error {
	block, _ := pem.Decode([]byte(strings.Join(p.block, "\n") + "\n"))
	if block == nil {
		return errors.New("broken PEM")
	}
	p.entry.DER = block.Bytes
	p.list.Entries = append(p.list.Entries, p.entry)
	p.entry, p.block = Entry{}, nil
	return nil
}
