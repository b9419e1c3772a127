package thunderbird

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mailseal/mailseal/cert"
)

// profile is what a Thunderbird knows when it starts: one account, whose mails go
// to the SMTP server on smtpPort, that person's keys, trusted roots, and the local
// folder Judged.
type profile struct {
	dir                      string
	email                    string
	smtpPort, marionettePort int
}

const settings = `user_pref("mail.accountmanager.accounts", "account1,account2");
user_pref("mail.accountmanager.defaultaccount", "account2");
user_pref("mail.accountmanager.localfoldersserver", "server1");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.server.server1.type", "none");
user_pref("mail.server.server1.hostname", "Local Folders");
user_pref("mail.server.server1.name", "Local Folders");
user_pref("mail.server.server1.userName", "nobody");
user_pref("mail.server.server1.directory-rel", "[ProfD]Mail/Local Folders");
user_pref("mail.account.account2.server", "server2");
user_pref("mail.account.account2.identities", "id1");
user_pref("mail.server.server2.type", "pop3");
user_pref("mail.server.server2.hostname", "127.0.0.1");
user_pref("mail.server.server2.userName", "person");
user_pref("mail.server.server2.check_new_mail", false);
user_pref("mail.server.server2.login_at_startup", false);
user_pref("mail.server.server2.directory-rel", "[ProfD]Mail/pop");
user_pref("mail.identity.id1.fullName", "A Person");
user_pref("mail.identity.id1.useremail", %q);
user_pref("mail.identity.id1.valid", true);
user_pref("mail.identity.id1.smtpServer", "smtp1");
user_pref("mail.identity.id1.fcc", false);
user_pref("mail.smtpservers", "smtp1");
user_pref("mail.smtpserver.smtp1.hostname", "127.0.0.1");
user_pref("mail.smtpserver.smtp1.port", %d);
user_pref("mail.smtpserver.smtp1.authMethod", 1);
user_pref("mail.smtpserver.smtp1.try_ssl", 0);
user_pref("marionette.port", %d);
user_pref("app.update.enabled", false);
user_pref("app.normandy.enabled", false);
user_pref("app.donation.eoy.version.viewed", 999);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("datareporting.policy.dataSubmissionPolicyBypassNotification", true);
user_pref("extensions.update.enabled", false);
user_pref("mail.inappnotifications.enabled", false);
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("mail.rights.version", 1);
user_pref("mail.shell.checkDefaultClient", false);
user_pref("mail.spotlight.firstRunDone", true);
user_pref("mail.winsearch.firstRunDone", true);
user_pref("mailnews.start_page.enabled", false);
user_pref("mailnews.start_page_override.mstone", "ignore");
user_pref("network.dns.disabled", true);
user_pref("security.OCSP.enabled", 0);
`

// keyFile is a PKCS #12 file, with what opens it.
type keyFile struct {
	file       []byte
	passphrase string
}

// write makes the profile's folder. NSS's own tools put root and key into its store,
// as a person does in the settings.
func (p *profile) write(t *testing.T, roots []*cert.Certificate, keys []keyFile, mbox []byte) {
	t.Helper()
	folders := filepath.Join(p.dir, "Mail", "Local Folders")
	if err := os.MkdirAll(folders, 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		filepath.Join(p.dir, "user.js"):  fmt.Appendf(nil, settings, p.email, p.smtpPort, p.marionettePort),
		filepath.Join(folders, "Judged"): mbox,
	}
	store := "sql:" + p.dir
	lines := [][]string{{"certutil", "-N", "-d", store, "--empty-password"}}
	for i, k := range keys {
		path := filepath.Join(p.dir, fmt.Sprintf("key%d.p12", i))
		files[path] = k.file
		lines = append(lines, []string{"pk12util", "-i", path, "-d", store, "-W", k.passphrase, "-K", ""})
	}
	for path, data := range files {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, root := range roots {
		path := filepath.Join(p.dir, fmt.Sprintf("root%d.pem", i))
		if err := os.WriteFile(path, root.PEM(), 0o600); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, []string{"certutil", "-A", "-d", store, "-n", root.Subject.String(), "-t", "C,C,C", "-i", path})
	}
	for _, line := range lines {
		need(t, line[0])
		if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", line, err, out)
		}
	}
}
