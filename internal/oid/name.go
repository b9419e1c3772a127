package oid

// name gives the short names by which people know the identifiers: those of the
// defining documents where they have one, RFC 4514 for attribute types. It is a
// table as a switch: a map would be filled at every start of the program.
func name(o OID) (string, bool) {
	switch o {
	case Data:
		return "data", true
	case SignedData:
		return "signedData", true
	case EnvelopedData:
		return "envelopedData", true
	case DigestedData:
		return "digestedData", true
	case EncryptedData:
		return "encryptedData", true
	case Receipt:
		return "receipt", true
	case AuthenticatedData:
		return "authenticatedData", true
	case TSTInfo:
		return "tSTInfo", true
	case CompressedData:
		return "compressedData", true
	case AuthEnvelopedData:
		return "authEnvelopedData", true
	case AttrContentType:
		return "contentType", true
	case AttrMessageDigest:
		return "messageDigest", true
	case AttrSigningTime:
		return "signingTime", true
	case AttrCountersignature:
		return "countersignature", true
	case AttrChallengePassword:
		return "challengePassword", true
	case AttrExtensionRequest:
		return "extensionRequest", true
	case AttrSMIMECapabilities:
		return "smimeCapabilities", true
	case AttrFriendlyName:
		return "friendlyName", true
	case AttrLocalKeyID:
		return "localKeyID", true
	case AttrAlgorithmProtection:
		return "cmsAlgorithmProtection", true
	case AttrReceiptRequest:
		return "receiptRequest", true
	case AttrMsgSigDigest:
		return "msgSigDigest", true
	case AttrSecurityLabel:
		return "securityLabel", true
	case AttrEncryptionKeyPreference:
		return "encryptionKeyPreference", true
	case AttrSigningCertificate:
		return "signingCertificate", true
	case AttrTimeStampToken:
		return "timeStampToken", true
	case AttrSigningCertificateV2:
		return "signingCertificateV2", true
	case AttrArchiveTimestampV3:
		return "archiveTimestampV3", true
	case AttrATSHashIndexV3:
		return "atsHashIndexV3", true
	case AttrCertificateValues:
		return "certificateValues", true
	case AttrRevocationValues:
		return "revocationValues", true
	case AttrMSEncryptionKeyReference:
		return "encryptionKeyPreference (Microsoft)", true
	case MD5:
		return "md5", true
	case SHA1:
		return "sha1", true
	case SHA224:
		return "sha224", true
	case SHA256:
		return "sha256", true
	case SHA384:
		return "sha384", true
	case SHA512:
		return "sha512", true
	case SHA512_256:
		return "sha512-256", true
	case SHA3_224:
		return "sha3-224", true
	case SHA3_256:
		return "sha3-256", true
	case SHA3_384:
		return "sha3-384", true
	case SHA3_512:
		return "sha3-512", true
	case SHAKE128:
		return "shake128", true
	case SHAKE256:
		return "shake256", true
	case SHAKE256Len:
		return "shake256len", true
	case HMACWithSHA1:
		return "hmac-sha1", true
	case HMACSHA224:
		return "hmac-sha224", true
	case HMACSHA256:
		return "hmac-sha256", true
	case HMACSHA384:
		return "hmac-sha384", true
	case HMACSHA512:
		return "hmac-sha512", true
	case HMACSHA512256:
		return "hmac-sha512256", true
	case RSAEncryption:
		return "rsaEncryption", true
	case MD5WithRSA:
		return "md5WithRSA", true
	case SHA1WithRSA:
		return "sha1WithRSA", true
	case RSAESOAEP:
		return "RSAES-OAEP", true
	case MGF1:
		return "mgf1", true
	case PSpecified:
		return "pSpecified", true
	case RSASSAPSS:
		return "RSASSA-PSS", true
	case SHA256WithRSA:
		return "sha256WithRSA", true
	case SHA384WithRSA:
		return "sha384WithRSA", true
	case SHA512WithRSA:
		return "sha512WithRSA", true
	case SHA224WithRSA:
		return "sha224WithRSA", true
	case SHA3_224WithRSA:
		return "sha3-224WithRSA", true
	case SHA3_256WithRSA:
		return "sha3-256WithRSA", true
	case SHA3_384WithRSA:
		return "sha3-384WithRSA", true
	case SHA3_512WithRSA:
		return "sha3-512WithRSA", true
	case OIWSHA1WithRSA:
		return "sha1WithRSA", true
	case DSA:
		return "DSA", true
	case DSAWithSHA1:
		return "dsaWithSHA1", true
	case ECPublicKey:
		return "ecPublicKey", true
	case ECDSAWithSHA1:
		return "ecdsaWithSHA1", true
	case ECDSAWithSHA224:
		return "ecdsaWithSHA224", true
	case ECDSAWithSHA256:
		return "ecdsaWithSHA256", true
	case ECDSAWithSHA384:
		return "ecdsaWithSHA384", true
	case ECDSAWithSHA512:
		return "ecdsaWithSHA512", true
	case ECDSAWithSHA3_224:
		return "ecdsaWithSHA3-224", true
	case ECDSAWithSHA3_256:
		return "ecdsaWithSHA3-256", true
	case ECDSAWithSHA3_384:
		return "ecdsaWithSHA3-384", true
	case ECDSAWithSHA3_512:
		return "ecdsaWithSHA3-512", true
	case P224:
		return "P-224", true
	case P256:
		return "P-256", true
	case P384:
		return "P-384", true
	case P521:
		return "P-521", true
	case X25519:
		return "X25519", true
	case X448:
		return "X448", true
	case Ed25519:
		return "Ed25519", true
	case Ed448:
		return "Ed448", true
	case MLDSA44:
		return "ML-DSA-44", true
	case MLDSA65:
		return "ML-DSA-65", true
	case MLDSA87:
		return "ML-DSA-87", true
	case SLHDSASHA2_128s:
		return "SLH-DSA-SHA2-128s", true
	case SLHDSASHA2_128f:
		return "SLH-DSA-SHA2-128f", true
	case SLHDSASHA2_192s:
		return "SLH-DSA-SHA2-192s", true
	case SLHDSASHA2_192f:
		return "SLH-DSA-SHA2-192f", true
	case SLHDSASHA2_256s:
		return "SLH-DSA-SHA2-256s", true
	case SLHDSASHA2_256f:
		return "SLH-DSA-SHA2-256f", true
	case SLHDSASHAKE_128s:
		return "SLH-DSA-SHAKE-128s", true
	case SLHDSASHAKE_128f:
		return "SLH-DSA-SHAKE-128f", true
	case SLHDSASHAKE_192s:
		return "SLH-DSA-SHAKE-192s", true
	case SLHDSASHAKE_192f:
		return "SLH-DSA-SHAKE-192f", true
	case SLHDSASHAKE_256s:
		return "SLH-DSA-SHAKE-256s", true
	case SLHDSASHAKE_256f:
		return "SLH-DSA-SHAKE-256f", true
	case RSAPSSWithSHAKE128:
		return "RSASSA-PSS-SHAKE128", true
	case RSAPSSWithSHAKE256:
		return "RSASSA-PSS-SHAKE256", true
	case ECDSAWithSHAKE128:
		return "ecdsaWithSHAKE128", true
	case ECDSAWithSHAKE256:
		return "ecdsaWithSHAKE256", true
	case MLKEM512:
		return "ML-KEM-512", true
	case MLKEM768:
		return "ML-KEM-768", true
	case MLKEM1024:
		return "ML-KEM-1024", true
	case ECDHStdSHA1KDF:
		return "ecdh-std-sha1-kdf", true
	case ECDHStdSHA224KDF:
		return "ecdh-std-sha224-kdf", true
	case ECDHStdSHA256KDF:
		return "ecdh-std-sha256-kdf", true
	case ECDHStdSHA384KDF:
		return "ecdh-std-sha384-kdf", true
	case ECDHStdSHA512KDF:
		return "ecdh-std-sha512-kdf", true
	case ECDHCofactorSHA1KDF:
		return "ecdh-cofactor-sha1-kdf", true
	case ECDHCofactorSHA224KDF:
		return "ecdh-cofactor-sha224-kdf", true
	case ECDHCofactorSHA256KDF:
		return "ecdh-cofactor-sha256-kdf", true
	case ECDHCofactorSHA384KDF:
		return "ecdh-cofactor-sha384-kdf", true
	case ECDHCofactorSHA512KDF:
		return "ecdh-cofactor-sha512-kdf", true
	case ECDHHKDFSHA256:
		return "ecdh-hkdf-sha256", true
	case ECDHHKDFSHA384:
		return "ecdh-hkdf-sha384", true
	case ECDHHKDFSHA512:
		return "ecdh-hkdf-sha512", true
	case AES128Wrap:
		return "aes-128-wrap", true
	case AES192Wrap:
		return "aes-192-wrap", true
	case AES256Wrap:
		return "aes-256-wrap", true
	case AES128WrapPad:
		return "aes-128-wrap-pad", true
	case AES192WrapPad:
		return "aes-192-wrap-pad", true
	case AES256WrapPad:
		return "aes-256-wrap-pad", true
	case DES3Wrap:
		return "des-ede3-wrap", true
	case PWRIKEK:
		return "pwri-kek", true
	case HKDFSHA256:
		return "hkdf-sha256", true
	case HKDFSHA384:
		return "hkdf-sha384", true
	case HKDFSHA512:
		return "hkdf-sha512", true
	case ORIKEM:
		return "ori-kem", true
	case AES128CBC:
		return "aes-128-cbc", true
	case AES192CBC:
		return "aes-192-cbc", true
	case AES256CBC:
		return "aes-256-cbc", true
	case AES128GCM:
		return "aes-128-gcm", true
	case AES192GCM:
		return "aes-192-gcm", true
	case AES256GCM:
		return "aes-256-gcm", true
	case AES128CCM:
		return "aes-128-ccm", true
	case AES192CCM:
		return "aes-192-ccm", true
	case AES256CCM:
		return "aes-256-ccm", true
	case ChaCha20Poly1305:
		return "chacha20-poly1305", true
	case CEKHKDFSHA256:
		return "cek-hkdf-sha256", true
	case DES3CBC:
		return "des-ede3-cbc", true
	case RC2CBC:
		return "rc2-cbc", true
	case RC4:
		return "rc4", true
	case DESCBC:
		return "des-cbc", true
	case ZlibCompress:
		return "zlib", true
	case PBKDF2:
		return "PBKDF2", true
	case PBES2:
		return "PBES2", true
	case PBMAC1:
		return "PBMAC1", true
	case Scrypt:
		return "scrypt", true
	case PBEWithSHA1RC4128:
		return "pbeWithSHA1RC4128", true
	case PBEWithSHA1RC440:
		return "pbeWithSHA1RC440", true
	case PBEWithSHA1DES3:
		return "pbeWithSHA1DES3", true
	case PBEWithSHA1DES2:
		return "pbeWithSHA1DES2", true
	case PBEWithSHA1RC2128:
		return "pbeWithSHA1RC2128", true
	case PBEWithSHA1RC240:
		return "pbeWithSHA1RC240", true
	case PBEWithMD5DES:
		return "pbeWithMD5DES", true
	case BagKey:
		return "keyBag", true
	case BagShroudedKey:
		return "pkcs8ShroudedKeyBag", true
	case BagCertificate:
		return "certBag", true
	case BagCRL:
		return "crlBag", true
	case BagSecret:
		return "secretBag", true
	case BagSafeContents:
		return "safeContentsBag", true
	case BagX509Certificate:
		return "x509Certificate", true
	case ExtSubjectDirectoryAttributes:
		return "subjectDirectoryAttributes", true
	case ExtSubjectKeyID:
		return "subjectKeyIdentifier", true
	case ExtKeyUsage:
		return "keyUsage", true
	case ExtSubjectAltName:
		return "subjectAltName", true
	case ExtIssuerAltName:
		return "issuerAltName", true
	case ExtBasicConstraints:
		return "basicConstraints", true
	case ExtCRLNumber:
		return "cRLNumber", true
	case ExtReasonCode:
		return "reasonCode", true
	case ExtInvalidityDate:
		return "invalidityDate", true
	case ExtDeltaCRLIndicator:
		return "deltaCRLIndicator", true
	case ExtIssuingDistributionPoint:
		return "issuingDistributionPoint", true
	case ExtCertificateIssuer:
		return "certificateIssuer", true
	case ExtNameConstraints:
		return "nameConstraints", true
	case ExtCRLDistributionPoints:
		return "cRLDistributionPoints", true
	case ExtCertificatePolicies:
		return "certificatePolicies", true
	case ExtPolicyMappings:
		return "policyMappings", true
	case ExtAuthorityKeyID:
		return "authorityKeyIdentifier", true
	case ExtPolicyConstraints:
		return "policyConstraints", true
	case ExtExtKeyUsage:
		return "extKeyUsage", true
	case ExtFreshestCRL:
		return "freshestCRL", true
	case ExtInhibitAnyPolicy:
		return "inhibitAnyPolicy", true
	case ExtNoRevAvail:
		return "noRevAvail", true
	case ExtExpiredCertsOnCRL:
		return "expiredCertsOnCRL", true
	case ExtAuthorityInfoAccess:
		return "authorityInfoAccess", true
	case ExtOCSPNoCheck:
		return "ocspNoCheck", true
	case AnyPolicy:
		return "anyPolicy", true
	case AccessOCSP:
		return "ocsp", true
	case AccessCAIssuers:
		return "caIssuers", true
	case BasicOCSPResponse:
		return "basicOCSPResponse", true
	case OCSPNonce:
		return "ocspNonce", true
	case OCSPArchiveCutoff:
		return "ocspArchiveCutoff", true
	case OCSPExtendedRevoke:
		return "ocspExtendedRevoke", true
	case RevocationOCSP:
		return "ocspResponse", true
	case AnyExtendedKeyUsage:
		return "anyExtendedKeyUsage", true
	case ServerAuth:
		return "serverAuth", true
	case ClientAuth:
		return "clientAuth", true
	case CodeSigning:
		return "codeSigning", true
	case EmailProtection:
		return "emailProtection", true
	case TimeStamping:
		return "timeStamping", true
	case OCSPSigning:
		return "OCSPSigning", true
	case CommonName:
		return "CN", true
	case Surname:
		return "SN", true
	case SerialNumber:
		return "serialNumber", true
	case Country:
		return "C", true
	case Locality:
		return "L", true
	case StateOrProvince:
		return "ST", true
	case StreetAddress:
		return "street", true
	case Organization:
		return "O", true
	case OrganizationalUnit:
		return "OU", true
	case Title:
		return "title", true
	case PostalCode:
		return "postalCode", true
	case GivenName:
		return "givenName", true
	case Initials:
		return "initials", true
	case Pseudonym:
		return "pseudonym", true
	case OrganizationIdentifier:
		return "organizationIdentifier", true
	case UserID:
		return "UID", true
	case DomainComponent:
		return "DC", true
	case EmailAddress:
		return "emailAddress", true
	case SmtpUTF8Mailbox:
		return "smtpUTF8Mailbox", true
	}
	return "", false
}
