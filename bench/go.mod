module github.com/mailseal/mailseal/bench

go 1.27.4

replace github.com/mailseal/mailseal => ../

require (
	github.com/mailseal/mailseal v0.0.0-00010101000000-000000000000
	github.com/smallstep/pkcs7 v0.2.3
)

require (
	github.com/cloudflare/circl v1.6.5 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)
