package fetch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/revocation"
)

// Cache keeps what was fetched. It need not be trusted: what it gives is checked
// like anything that comes from the network. It may forget.
type Cache interface {
	// Get returns what was put under key, unless its time is over.
	Get(key string, now time.Time) ([]byte, bool)
	// Put keeps data until that time.
	Put(key string, data []byte, until, now time.Time)
}

// kept is what will be put into the cache if it has helped to an answer.
type kept struct {
	key   string
	data  []byte
	until time.Time
}

func listKey(source string) string { return "crl " + source }

func responseKey(source string, c, issuer *cert.Certificate) string {
	return "ocsp " + source + " " + issuer.SHA256() + " " + c.SerialHex()
}

// remember looks into the cache for an answer to the whole question.
func (t *task) remember() bool {
	if t.o.Cache == nil || t.o.Now.IsZero() {
		return false
	}
	var e revocation.Evidence
	for _, source := range t.c.OCSPServer {
		if data, found := t.o.Cache.Get(responseKey(source, t.c, t.issuer), t.o.Now); found {
			if r, err := cert.ParseOCSPResponse(data); err == nil {
				e.Responses = append(e.Responses, r)
			}
		}
	}
	complete := t.remembered(t.c.DistributionPoints)
	e.CRLs = append(slices.Clone(complete), t.remembered(t.c.FreshestCRL)...)
	for _, l := range complete { // deltas name no further ones: whoever made the list could name the list itself
		e.CRLs = append(e.CRLs, t.remembered(l.FreshestCRL)...)
	}
	if len(e.Responses)+len(e.CRLs) == 0 || !t.answers(e) {
		return false
	}
	t.got = e
	return true
}

// remembered returns the lists of the points.
func (t *task) remembered(points []cert.DistributionPoint) (list []*cert.CRL) {
	for _, p := range points[:min(len(points), MaxSources)] {
		uris := p.FullName.URIs()
		for _, source := range uris[:min(len(uris), MaxSources)] {
			data, found := t.o.Cache.Get(listKey(source), t.o.Now)
			if !found {
				continue
			}
			if l, err := cert.ParseCRL(data); err == nil {
				list = append(list, l)
			}
		}
	}
	return list
}

// keep puts what has helped into the cache.
func (t *task) keep() {
	if t.o.Cache == nil || t.o.Now.IsZero() {
		return
	}
	for _, k := range t.kept {
		until := t.o.Now.Add(MaxCacheAge)
		if k.until.Before(until) {
			until = k.until
		}
		if until.After(t.o.Now) {
			t.o.Cache.Put(k.key, k.data, until, t.o.Now)
		}
	}
}

// MaxCacheFiles limits the files of a Folder.
const MaxCacheFiles = 500

// Folder is a Cache in a folder of the file system, which is made when it is
// needed. What it holds tells whose certificates were asked about, so nobody
// else may read it. Names of files are digests; a failure to write is a loss of
// time and nothing else, and is not reported.
type Folder string

// Get implements Cache.
func (d Folder) Get(key string, now time.Time) ([]byte, bool) {
	path := d.path(key)
	info, err := os.Stat(path)
	if err != nil || info.Size() > MaxCRLSize+int64(len(time.RFC3339))+1 {
		return nil, false
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	until, data, ok := split(content)
	return data, ok && now.Before(until)
}

// split takes the first line, which says until when, from a file.
func split(content []byte) (until time.Time, data []byte, ok bool) {
	line, data, found := bytes.Cut(content, []byte("\n"))
	until, err := time.Parse(time.RFC3339, string(line))
	return until, data, found && err == nil
}

// Put implements Cache.
func (d Folder) Put(key string, data []byte, until, now time.Time) {
	if os.MkdirAll(string(d), 0o700) != nil {
		return
	}
	d.tidy(now)
	tmp, err := os.CreateTemp(string(d), "new-")
	if err != nil {
		return
	}
	_, err = fmt.Fprintf(tmp, "%s\n%s", until.UTC().Format(time.RFC3339), data)
	if closed := tmp.Close(); err != nil || closed != nil || os.Rename(tmp.Name(), d.path(key)) != nil {
		os.Remove(tmp.Name())
	}
}

func (d Folder) path(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(string(d), hex.EncodeToString(sum[:])+suffix)
}

const suffix = ".revocation"

// tidy removes what is over, and where there are too many files the oldest.
func (d Folder) tidy(now time.Time) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return
	}
	var files []os.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), suffix) {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for i, info := range files {
		path := filepath.Join(string(d), info.Name())
		if len(files)-i >= MaxCacheFiles || over(path, now) {
			os.Remove(path)
		}
	}
}

// over tells whether the time of a file has come, by its first line.
func over(path string, now time.Time) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	line := make([]byte, len(time.RFC3339)+1)
	n, _ := f.Read(line)
	until, _, ok := split(line[:n])
	return !ok || !now.Before(until)
}
