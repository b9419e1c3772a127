#!/bin/sh
# Sets up S/MIME in Thunderbird on Linux and macOS: trusts the authority, takes
# your file in, and chooses your certificate for your account.
#
#   sh thunderbird.sh FILE.p12 [PROFILE]
#
# FILE.p12 is the file that you got. PROFILE is Thunderbird's profile folder; it
# is found by itself where there is one. Close Thunderbird first. Needs certutil
# and pk12util of NSS (Debian: libnss3-tools, Fedora: nss-tools, Homebrew: nss).
set -eu

fail() { echo "thunderbird.sh: error: $1" >&2; echo "thunderbird.sh: hint: $2" >&2; exit 1; }

[ $# -ge 1 ] || fail "no file was named" "sh thunderbird.sh FILE.p12"
file=$1
[ -r "$file" ] || fail "cannot read $file" "name the file that you downloaded"
for tool in certutil pk12util; do
	command -v "$tool" >/dev/null 2>&1 || fail "$tool is not here" "install NSS tools: libnss3-tools, nss-tools or nss"
done

profile=${2:-}
if [ -z "$profile" ]; then
	for candidate in "$HOME"/.thunderbird/*/prefs.js "$HOME"/Library/Thunderbird/Profiles/*/prefs.js \
		"$HOME"/snap/thunderbird/common/.thunderbird/*/prefs.js \
		"$HOME"/.var/app/org.mozilla.Thunderbird/.thunderbird/*/prefs.js; do
		[ -r "$candidate" ] || continue
		grep -q '^user_pref("mail\.identity\.' "$candidate" || continue
		[ -z "$profile" ] || fail "there are several profiles" "name one: sh thunderbird.sh $file PROFILE"
		profile=$(dirname "$candidate")
	done
fi
[ -n "$profile" ] && [ -r "$profile/prefs.js" ] || fail "no profile of Thunderbird was found" "start Thunderbird once, or name the profile folder"
[ ! -h "$profile/lock" ] || fail "Thunderbird is running" "close it, and try again"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Trusted for mail alone: nothing for web sites, nothing for programs.
@CERTIFICATES@

before=$(certutil -L -d "sql:$profile" | sed -n 's/ *u,u,u *$//p')
pk12util -i "$file" -d "sql:$profile"
after=$(certutil -L -d "sql:$profile" | sed -n 's/ *u,u,u *$//p')
printf '%s\n' "$before" >"$work/before"
name=$(printf '%s\n' "$after" | grep -vxF -f "$work/before" | head -n 1)
[ -n "$name" ] || name=$(printf '%s\n' "$after" | head -n 1)

# The accounts whose address the certificate names.
certutil -L -d "sql:$profile" -n "$name" >"$work/shown"
chosen=0
sed -n 's/^user_pref("mail\.identity\.\(id[0-9]*\)\.useremail", "\(.*\)");$/\1 \2/p' "$profile/prefs.js" >"$work/identities"
while read -r id email; do
	grep -iqF "\"$email\"" "$work/shown" || continue
	quoted=$(printf '%s' "$name" | sed 's/\\/\\\\/g; s/"/\\"/g')
	for use in signing encryption; do
		printf 'user_pref("mail.identity.%s.%s_cert_name", "%s");\n' "$id" "$use" "$quoted" >>"$profile/prefs.js"
	done
	printf 'user_pref("mail.identity.%s.sign_mail", true);\n' "$id" >>"$profile/prefs.js"
	echo "Mail from $email is signed from now on."
	chosen=1
done <"$work/identities"
[ "$chosen" = 1 ] || echo "Choose the certificate in Account Settings > End-To-End Encryption: no account has its address."
