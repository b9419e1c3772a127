package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// stepTemplate makes an S/MIME certificate out of what the token allows.
const stepTemplate = `{"subject": {"commonName": {{ toJson .Subject.CommonName }}}, "sans": {{ toJson .SANs }},
"keyUsage": ["digitalSignature"], "extKeyUsage": ["emailProtection", "clientAuth"],
"policyIdentifiers": ["2.23.140.1.5.1.2"], "crlDistributionPoints": ["http://ca.example.com/1.crl"]}`

// startStepCA makes a root and an issuing authority with P-256 keys and runs
// step-ca with a JWK provisioner on them.
func startStepCA(ctx context.Context, o options, dir, database string) (*server, error) {
	hierarchy, err := newHierarchy(dir)
	if err != nil {
		return nil, err
	}
	provisioner, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	at, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	store := map[string]any{"type": "badgerv2", "dataSource": filepath.Join(dir, "db")}
	if database != "" {
		store = map[string]any{"type": "postgresql", "dataSource": database[:bytes.LastIndexByte([]byte(database), '/')+1], "database": database[bytes.LastIndexByte([]byte(database), '/')+1:]}
	}
	life := map[string]any{"maxTLSCertDuration": "17520h", "defaultTLSCertDuration": "17520h"}
	config, err := json.Marshal(map[string]any{
		"root": filepath.Join(dir, "root.pem"), "crt": filepath.Join(dir, "issuing.pem"), "key": filepath.Join(dir, "issuing.key"),
		"address": at, "dnsNames": []string{"127.0.0.1"}, "db": store,
		"authority": map[string]any{"provisioners": []any{map[string]any{
			"type": "JWK", "name": "bench", "key": jwk(&provisioner.PublicKey), "claims": life,
			"options": map[string]any{"x509": map[string]any{"template": stepTemplate}},
		}}},
	})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "ca.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, o.stepCA, path)
	cmd.Dir = dir
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, address: at, client: func() *http.Client { return httpsClient(hierarchy) }}
	var tokens []string
	s.prepare = func(_ context.Context, n int) (err error) {
		tokens = make([]string, n)
		for i := range tokens {
			if tokens[i], err = oneTimeToken(provisioner, "https://"+at+"/1.0/sign", address(i)); err != nil {
				return err
			}
		}
		return nil
	}
	s.request = func(ctx context.Context, i int, csr []byte) (*http.Request, error) {
		body, err := json.Marshal(map[string]string{"csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})), "ott": tokens[i]})
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+at+"/1.0/sign", bytes.NewReader(body))
		if err == nil {
			r.Header.Set("Content-Type", "application/json")
		}
		return r, err
	}
	return s, awaitServing(ctx, s.client(), "https://"+at+"/health", filepath.Join(dir, "log"))
}

// newHierarchy writes root.pem, issuing.pem and issuing.key.
func newHierarchy(dir string) (*x509.CertPool, error) {
	var keys [2]*ecdsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
	}
	template := func(name string, serial int64) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
			NotAfter: time.Now().AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	}
	root, issuing := template("Bench Root", 1), template("Bench Issuing", 2)
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, keys[0].Public(), keys[0])
	if err != nil {
		return nil, err
	}
	issuingDER, err := x509.CreateCertificate(rand.Reader, issuing, root, keys[1].Public(), keys[0])
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalECPrivateKey(keys[1])
	if err != nil {
		return nil, err
	}
	for name, block := range map[string]*pem.Block{
		"root.pem":    {Type: "CERTIFICATE", Bytes: rootDER},
		"issuing.pem": {Type: "CERTIFICATE", Bytes: issuingDER},
		"issuing.key": {Type: "EC PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, err
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}))
	return pool, nil
}

func jwk(public *ecdsa.PublicKey) map[string]string {
	raw, err := public.Bytes() // 4, X, Y
	if err != nil {
		panic(err) // of a key on P-256
	}
	return map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "bench", "x": text(raw[1:33]), "y": text(raw[33:])}
}

func text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// oneTimeToken is what a JWK provisioner takes: a JWT for one certificate.
func oneTimeToken(key *ecdsa.PrivateKey, audience, email string) (string, error) {
	now := time.Now()
	id := make([]byte, 16)
	rand.Read(id)
	claims, err := json.Marshal(map[string]any{
		"iss": "bench", "aud": audience, "sub": email, "sans": []string{email}, "jti": text(id),
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := text([]byte(`{"alg":"ES256","kid":"bench","typ":"JWT"}`)) + "." + text(claims)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return "", err
	}
	var sig [64]byte
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + text(sig[:]), nil
}

// freeAddress is a port of the loopback interface that nobody has now.
func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// awaitServing waits until the server answers; else its log says why.
func awaitServing(ctx context.Context, client *http.Client, url, log string) error {
	for range 300 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if _, err = call(client, r, http.StatusOK); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	text, _ := os.ReadFile(log)
	return fmt.Errorf("%s does not answer:\n%s", url, text)
}

// call returns the body of an answer with that status.
func call(client *http.Client, r *http.Request, status int) ([]byte, error) {
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != status {
		err = fmt.Errorf("%s %s: %s: %.300s", r.Method, r.URL.Path, resp.Status, body)
	}
	return body, err
}
