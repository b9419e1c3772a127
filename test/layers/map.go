package layers

// Module is the path that the map's rooms are relative to.
const Module = "github.com/mailseal/mailseal"

// Rooms is the map, low to high; an empty line begins the next line of rooms.
// A star marks the public packages.
const Rooms = `
internal/ber            BER reader and DER writer: bytes without meaning
internal/oid            object and algorithm identifiers: names without behaviour
internal/mailbox        one strict address type: compared the same way everywhere
internal/gcm            GCM as a stream: one algorithm, no meaning
internal/ccm            CCM as a stream: likewise
internal/ahead          both ends of a long copy at work at once: bytes without meaning
internal/cbc            AES-CBC encryption at the pace of the processor's instructions: likewise
internal/rc2            RFC 2268: a block cipher that only old files need
internal/sha256         SHA-256 for processors without instructions for it: one algorithm, no meaning

internal/pdf            reports as PDF: letters and lines, whatever they say
internal/charset        character sets, for what people read: nothing that is trusted passes through
internal/entity         byte-exact MIME: knows nothing of what a part holds
internal/signature      signature algorithms, for certificates and CMS alike
internal/pbe            PKCS #5 and PKCS #12: encryption under a passphrase, for keys and later CMS

*cert                   certificates, requests, CRLs: a fact, never a judgement

*cms                    RFC 5652: opens layers and states facts
*certpath               RFC 5280 section 6: judges a chain
*identity               a person's key and chain

*revocation             judges a judged chain; dials nobody

revocation/fetch        brings what a certificate names as its sources, and missing authorities on request: the only one of the library that dials

*cades                  EN 319 122-1: since when a signature exists, by what it carries

*smime                  RFC 8551: joins facts and judgements into the verdict

*evidence               a record of a judged message that others can check: files and words around smime and cades

internal/webauthn       what an authenticator says about a passkey: judges bytes, keeps nothing
internal/weakkey        public keys whose private half is not private: arithmetic
internal/anchors        the authorities that are trusted for mail by default: data, no judgement
internal/export         certificates in the forms that other software takes: bytes, no decision
internal/inspect        explains any file of the formats below
internal/store          SQL: imports nothing of ours, its rows are plain structs
internal/signer         keys in a process of its own, which reads what it signs
internal/token          PKCS #11: keys behind a process of their own, which alone needs cgo
internal/mailout        submits one mail; the catcher of --dev; takes back what bounced
internal/roster         lists of people, as spreadsheets and directories write them: judges lines, asks nobody
internal/config         the settings of the server: a file, judged by itself

internal/keys           key URI to crypto.Signer: files, tokens, other processes
internal/lint           findings about a certificate, by the rules of the S/MIME BR: judges bytes, proves nothing

internal/audit          hash-chained events: every act below it enters itself

internal/outbox         durable jobs
internal/auth           accounts, roles, sessions
internal/backup         copies of the state: they hold everything and judge nothing but the log

internal/issuance       pure: prepare, lint, issue

internal/validation     proofs of control, evidence of names, and the warrant to issue by a profile

internal/jobs           the operator's hand on jobs that were given up, entered in the log
internal/mailqueue      mails that are to leave, and what became of them: jobs of the outbox

internal/authority      authorities and their state

internal/registration   the one way to a certificate

internal/recovery       escrowed encryption keys: what a quorum opens, and nobody else
internal/problemreport  what anybody reports about a certificate, and by when it is decided

internal/enrollment     many people at a time, through registration

internal/portal         a door
internal/api            a door
internal/repository     a door: CRL, AIA, later OCSP

internal/server         composition root

internal/doctor         looks at an installation from the side, with the wiring of the server

internal/cli            one file per command

cmd                     main

internal/testca         test authorities, for tests alone
internal/testnpm        what tests need of npm, for tests alone
internal/testdns        a DNS server, for tests alone
test                    end to end with real software
bench                   side by side with other software (a module of its own)
scripts                 called by the Makefile
`

// LibraryLimits is what the public packages may link.
var LibraryLimits = Limits{
	Allowed: []string{
		"golang.org/x/crypto",
		"golang.org/x/net/idna",
		"golang.org/x/text", // below x/net/idna
		"golang.org/x/sys",  // below x/crypto, internal/cbc and internal/sha256: what the processor has
		"github.com/cloudflare/circl",
		"vendor/golang.org/x", // the standard library's own copies
	},
	Forbidden: []Rule{
		{"database/sql/...", "who imports a library for mail wants no database"},
		{"net/http/...", "what is fetched is fetched by the caller, who knows the network's rules"},
		{"log/...", "a library returns errors; the caller decides what is logged"},
		{"os/exec", "a library that starts programs cannot be sandboxed"},
		{"net/smtp", "sending is the caller's"},
		{"net/mail", "lenient about addresses, and it links a logger: use internal/mailbox and internal/entity"},
		{"testing/...", "test hooks belong in test files"},
	},
	Unnamed: []Rule{
		{"net", "the library dials nobody"},
		{"os", "the library reads no files, no environment, no clock"},
		{"flag", "options are passed in"},
	},
	// A person's key store is a folder of files: that is what identity is for.
	Excepted: map[string][]string{"identity": {"os"}},
	TestOnly: []string{"internal/testca", "internal/testnpm", "internal/testdns", "internal/store/storetest", "test"},
}
