module github.com/mailseal/mailseal

go 1.27.4

require golang.org/x/crypto v0.58.0 // indirect
