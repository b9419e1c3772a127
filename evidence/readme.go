package evidence

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/smime"
)

// readme tells a person, who may never have heard of this program, what the files
// are and how to check them. Lines that begin with "    $ " are commands.
func (s *sealing) readme(files []file) []byte {
	t := &text{sealing: s, report: s.report, files: files, found: s.found}
	t.english()
	t.line("")
	t.line(strings.Repeat("=", 72))
	t.line("")
	t.japanese()
	return t.out.Bytes()
}

type text struct {
	*sealing
	report *Report
	files  []file
	found  []*cades.Assessment
	out    bytes.Buffer
}

func (t *text) line(format string, args ...any) { fmt.Fprintf(&t.out, format+"\r\n", args...) }

func (t *text) command(format string, args ...any) { t.line("    $ "+format, args...) }

func (t *text) content() string {
	for _, f := range t.files {
		if f.name == mailContentName || f.name == fileContentName {
			return f.name
		}
	}
	return ""
}

func day(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

// proven is the time for which OpenSSL is asked about the signers: the latest
// that is proven for one of them, or that of the judgement.
func (t *text) proven() (at time.Time) {
	for _, a := range t.found {
		if a.Time.IsZero() {
			return t.report.AsOf
		}
		if a.Time.After(at) {
			at = a.Time
		}
	}
	return at
}

func (t *text) english() {
	r := t.report
	t.line("EVIDENCE RECORD")
	t.line("")
	t.line("%s", r.Claim)
	t.line("")
	t.facts("Level: %s (ETSI EN 319 122-1), as of %s", "Signed by: %s", "  certificate of %s, SHA-256 %s",
		"  existed at the latest at: %s", "  where its key was made: %s", "  time stamped by: %s, at %s (policy %s)",
		"  archived by: %s, at %s (policy %s)", "no time is proven", OriginUnknown)
	t.line("")
	t.line("THE FILES")
	t.line("")
	for _, f := range t.files {
		t.line("  %-24s %s", f.name, f.what)
	}
	t.line("  %-24s what was found when the record was made; a statement, not a proof", verdictName)
	t.line("  %-24s the digest (SHA-256) of each of these files and of this one", manifestName)
	if t.sealed() {
		t.line("  %-24s the timestamp over %s", sealName, manifestName)
	}
	t.line("")
	t.line("HOW TO CHECK IT WITH OPENSSL (3.0 or newer), in the folder of these files")
	t.line("")
	t.line("1. Decide whom to trust. %s holds the roots that were trusted when the", anchorsName)
	t.line("   record was made. They prove nothing by lying here: compare them with what")
	t.line("   their owners, your system or the archives of the time say:")
	t.line("")
	for _, c := range r.Anchors {
		t.line("     %s", c.Subject)
		t.line("       SHA-256 %s", c.SHA256)
	}
	t.line("")
	t.line("2. The signature fits what was signed, and the certificates were good when it")
	t.line("   existed. -attime is that time, in seconds since 1970 (%s):", day(t.proven()))
	t.line("")
	t.signature()
	t.line("")
	t.line("3. That time is proven by timestamps. Without -attime the authority must be good")
	t.line("   today; with it, at the time at which a later timestamp proves that it existed.")
	t.line("")
	t.stamps("   (none)")
	t.line("")
	t.line("4. Whether the certificates were revoked by then:")
	t.line("")
	t.revocation("   Nothing in the record says.", "   The lists themselves:")
	if slices.ContainsFunc(t.files, func(f file) bool { return strings.HasPrefix(f.name, "ocsp-") }) {
		t.line("   An OCSP response is of its time; that its dates are not those of today is no fault.")
	}
	t.line("")
	t.line("5. No file was exchanged for another one since the manifest was made. The first")
	t.line("   command prints nothing when that is so. Timestamps prove since when: one over")
	t.line("   %s for all files, one over an earlier manifest for %s and", manifestName, t.content())
	t.line("   the mail, which it must list with the same digests.")
	t.line("")
	t.manifests("   No timestamp is over the manifest: whoever had the record could have made it anew.")
	if slices.ContainsFunc(t.found, func(a *cades.Assessment) bool { return len(a.Archive) > 0 }) {
		t.line("")
		t.line("6. An archive-N-M.bin is, in this order: the type of the content, the digest of")
		t.line("   %s, the fields of the signature, and the digests of all certificates,", t.content())
		t.line("   lists and timestamps in %s. OpenSSL cannot make it from these; a program", signatureName)
		t.line("   that knows CAdES can, and mailseal does: mailseal evidence RECORD.zip")
	}
	if len(t.report.Verdict.From) > 0 {
		t.line("")
		t.line("OpenSSL does not look whether the mail's From, %s,", strings.Join(t.report.Verdict.From, ", "))
		t.line("is one of the addresses in the signer's certificate: %s.", t.addresses())
	}
}

func (t *text) addresses() string {
	var out []string
	for _, s := range t.report.Verdict.Signers {
		out = append(out, s.Emails...)
	}
	return strings.Join(out, ", ")
}

// facts prints the same in either language.
func (t *text) facts(level, signedBy, certificate, existed, origin, stamped, archived, unproven, unknown string) {
	r := t.report
	t.line(level, r.Level, day(r.AsOf))
	for _, s := range r.Signers {
		t.line("")
		t.line(signedBy, s.Certificate.Subject)
		t.line(certificate, s.Certificate.Issuer, s.Certificate.SHA256)
		if s.Proven.IsZero() {
			t.line(existed, unproven)
		} else {
			t.line(existed, day(s.Proven))
		}
		if s.KeyOrigin == OriginUnknown {
			t.line(origin, unknown)
		} else {
			t.line(origin, s.KeyOrigin)
		}
		for _, list := range []struct {
			format string
			stamps []StampReport
		}{{stamped, s.Timestamps}, {archived, s.ArchiveTimestamps}} {
			for _, stamp := range list.stamps {
				if stamp.Believed {
					t.line(list.format, stamp.Authority.Subject, day(stamp.Time), stamp.Policy)
				}
			}
		}
	}
}

// verify is the command that all checks of the signature share.
func (t *text) verify(further string) {
	ess := ""
	if t.report.Level != cades.None.String() {
		ess = "-cades " // OpenSSL then holds the certificate to signing-certificate
	}
	purpose := "smimesign"
	if t.content() == fileContentName {
		purpose = "any"
	}
	t.command("openssl cms -verify %s-binary -inform DER -in %s -content %s -CAfile %s -certfile %s -purpose %s %s", ess, signatureName, t.content(), anchorsName, certificatesName, purpose, further)
}

func (t *text) signature() {
	t.verify(fmt.Sprintf("-attime %d -out checked.eml", t.proven().Unix()))
}

func (t *text) stamps(none string) {
	any := false
	for i, a := range t.found {
		for j, s := range a.Timestamps {
			if s.Trusted() {
				any = true
				t.stamp(s, fmt.Sprintf("timestamp-%d-%d.tsr", i+1, j+1), fmt.Sprintf("signature-value-%d.bin", i+1))
			}
		}
		for j, s := range a.Archive {
			if s.Trusted() {
				any = true
				t.stamp(s, fmt.Sprintf("archive-%d-%d.tsr", i+1, j+1), fmt.Sprintf("archive-%d-%d.bin", i+1, j+1))
			}
		}
	}
	if !any {
		t.line("%s", none)
	}
}

func (t *text) stamp(s *cades.Stamp, response, data string) {
	at := ""
	if known, covered := t.covered(s); covered {
		at = fmt.Sprintf(" -attime %d", known.Unix())
	}
	t.command("openssl ts -verify -in %s -data %s -CAfile %s -untrusted %s%s", response, data, anchorsName, certificatesName, at)
}

// manifests prints the commands that hold the files to the manifest, and it to the
// timestamps over it and over those before it.
func (t *text) manifests(unsealed string) {
	names := []string{readmeName}
	for _, f := range t.files {
		names = append(names, f.name)
	}
	names = append(names, verdictName)
	t.command("openssl dgst -sha256 -r %s | cmp - %s", strings.Join(names, " "), manifestName)
	untrusted := certificatesName
	if len(t.sealers) > 0 {
		untrusted = sealersName
	}
	verify := func(manifest, response, at string) {
		t.command("openssl ts -verify -in %s -data %s -CAfile %s -untrusted %s%s", response, manifest, anchorsName, untrusted, at)
	}
	at := ""
	if t.sealed() {
		verify(manifestName, sealName, at)
		at = fmt.Sprintf(" -attime %d", t.report.AsOf.Unix())
	} else {
		t.line("%s", unsealed)
	}
	for _, one := range t.earlier {
		if one.stamp.Trusted() {
			manifest, response := one.names()
			verify(manifest, response, at)
			at = fmt.Sprintf(" -attime %d", one.stamp.Existed().Unix())
		}
	}
}

// covered is the time at which an archive timestamp that is believed proves that
// another timestamp existed.
func (t *text) covered(s *cades.Stamp) (at time.Time, ok bool) {
	for _, a := range t.found {
		for _, archive := range a.Archive {
			if archive.Trusted() && archive.Covers(s) && (!ok || archive.Existed().Before(at)) {
				at, ok = archive.Existed(), true
			}
		}
	}
	return at, ok
}

// revocation prints commands for what the record holds. OpenSSL wants a list that
// is in force at the time that it is asked for, so the time is that of the list.
func (t *text) revocation(none, show string) {
	if at, ok := t.listTime(); ok {
		t.verify(fmt.Sprintf("-crl_check -attime %d -out checked.eml", at.Unix()))
	}
	any := false
	for _, f := range t.files {
		if !strings.HasPrefix(f.name, "crl-") {
			continue
		}
		if !any {
			t.line("%s", show)
		}
		any = true
		t.command("openssl crl -inform DER -in %s -noout -text", f.name)
	}
	for i, a := range t.found {
		for _, f := range t.files {
			if at, about := produced(f, a); about {
				any = true
				t.command("openssl ocsp -respin %s -issuer issuer-%d.pem -cert signer-%d.pem -CAfile %s -verify_other %s -attime %d", f.name, i+1, i+1, anchorsName, certificatesName, at.Unix())
			}
		}
	}
	if !any {
		t.line("%s", none)
	}
}

// produced is when an OCSP response about the signer was made.
func produced(f file, a *cades.Assessment) (at time.Time, about bool) {
	if !strings.HasPrefix(f.name, "ocsp-") || len(a.Chain) < 2 {
		return at, false
	}
	r, err := cert.ParseOCSPResponse(f.data)
	if err != nil || r.Basic == nil {
		return at, false
	}
	about = slices.ContainsFunc(r.Basic.Answers, func(answer cert.OCSPAnswer) bool { return answer.CertID.Matches(a.Chain[0], a.Chain[1]) })
	return r.Basic.ProducedAt, about
}

// listTime is a time for which every signer has a revocation list that is in
// force and does not name it.
func (t *text) listTime() (at time.Time, ok bool) {
	for _, a := range t.found {
		l := a.ListAfter()
		if l == nil || t.report.Verdict.Verdict != smime.Valid {
			return at, false
		}
		if l.ThisUpdate.After(at) {
			at = l.ThisUpdate
		}
	}
	for _, a := range t.found {
		if a.ListAfter().NextUpdate.Before(at) || a.Signer().Certificate.NotAfter.Before(at) {
			return at, false
		}
	}
	return at, len(t.found) > 0
}

func (t *text) japanese() {
	r := t.report
	t.line("証拠記録 (EVIDENCE RECORD)")
	t.line("")
	t.line("この記録は、誰が何にいつ署名したかを示す技術的な証拠です。いかなる法律上の")
	t.line("適格電子署名・適格タイムスタンプ等でもありません。")
	t.line("")
	t.facts("水準: %s (ETSI EN 319 122-1)、%s 時点の判断", "署名者: %s", "  証明書の発行者 %s、SHA-256 %s",
		"  遅くとも存在していた時刻: %s", "  鍵が作られた場所: %s", "  時刻の証明: %s、%s (ポリシー %s)",
		"  保管用の時刻証明: %s、%s (ポリシー %s)", "証明されていません", "不明")
	t.line("")
	t.line("OPENSSL (3.0 以降) による確認。このファイルと同じフォルダーで実行してください。")
	t.line("")
	t.line("1. 誰を信頼するかを決めます。%s は記録の作成時に信頼されたルート", anchorsName)
	t.line("   証明書です。ここにあること自体は何の証明にもなりません。指紋 (SHA-256) を")
	t.line("   発行者の公表、お使いのシステム、当時の資料と照らし合わせてください。")
	t.line("")
	for _, c := range r.Anchors {
		t.line("     %s", c.Subject)
		t.line("       SHA-256 %s", c.SHA256)
	}
	t.line("")
	t.line("2. 署名が内容と一致し、署名が存在した時刻 (-attime、1970 年からの秒数、")
	t.line("   %s) に証明書が有効であったこと。", day(t.proven()))
	t.line("")
	t.signature()
	t.line("")
	t.line("3. その時刻をタイムスタンプが証明していること。-attime がないものは今日の時点で、")
	t.line("   あるものは後のタイムスタンプが証明する時点で、時刻認証局が有効であること。")
	t.line("")
	t.stamps("   (なし)")
	t.line("")
	t.line("4. その時までに証明書が失効していなかったこと。")
	t.line("")
	t.revocation("   この記録には情報がありません。", "   失効リストの内容:")
	t.line("")
	t.line("5. 目録 (manifest) が作られた後に、ファイルがすり替えられていないこと。最初の")
	t.line("   コマンドは、一致すれば何も表示しません。いつからかは、タイムスタンプが証明")
	t.line("   します。%s のものはすべてのファイルについて、以前の目録のものは", manifestName)
	t.line("   %s とメールについて証明します (同じハッシュ値が載っていること)。", t.content())
	t.line("")
	t.manifests("   目録にタイムスタンプはありません。記録を持っていた者は目録を作り直せました。")
	if len(r.Verdict.From) > 0 {
		t.line("")
		t.line("メールの差出人 (From) %s が署名者の証明書の", strings.Join(r.Verdict.From, ", "))
		t.line("アドレス %s と同じかどうかは、OpenSSL は確認しません。", t.addresses())
	}
}
