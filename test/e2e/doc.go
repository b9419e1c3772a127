// Package e2e walks through the portal as people do, in a headless Chromium,
// against the real server on a free port: from an address to a PKCS #12 file
// that OpenSSL opens and whose certificate it verifies; by keyboard alone; and
// as a mail scanner that opens every link and presses every button.
//
//	go test ./test/e2e                                 the walks
//	go test ./test/e2e -run Screens -screens DIR       a picture of every page
//
// Without Chromium or OpenSSL the tests skip, unless CI=true.
package e2e
