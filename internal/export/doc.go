// Package export writes certificates in the forms that other software takes
// them in: a certificate store for Microsoft 365, LDIF for directories, profiles
// for Apple's devices, setup scripts for Windows and for Thunderbird.
//
// It takes values and gives bytes; who may have them is decided elsewhere. No
// private key passes through but inside a PKCS #12 file that stays encrypted.
package export
