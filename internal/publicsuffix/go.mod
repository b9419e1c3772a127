module github.com/weppos/publicsuffix-go

go 1.27.4

require golang.org/x/net v0.62.0
