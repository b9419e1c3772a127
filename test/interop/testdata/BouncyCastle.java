import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSAuthEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSAuthenticatedData;
import org.bouncycastle.cms.CMSAuthenticatedDataGenerator;
import org.bouncycastle.cms.CMSCompressedData;
import org.bouncycastle.cms.CMSCompressedDataGenerator;
import org.bouncycastle.cms.CMSDigestedData;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.Recipient;
import org.bouncycastle.cms.RecipientInfoGenerator;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.RecipientInformationStore;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceCMSMacCalculatorBuilder;
import org.bouncycastle.cms.jcajce.JceKEKEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKEKRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthenticatedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JcePasswordEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JcePasswordRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.ZlibExpanderProvider;
import org.bouncycastle.cms.jcajce.ZlibCompressor;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.OutputEncryptor;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

/**
 * Bouncy Castle as a peer: a request is a line of fields, the operation first and the rest in base64, an answer is the line
 * "ok" with the result, or "no" with what went wrong.
 */
public final class BouncyCastle {
    private static final String BC = BouncyCastleProvider.PROVIDER_NAME;

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.US_ASCII);
        for (String line; (line = in.readLine()) != null; ) {
            String[] words = line.split(" ", -1);
            byte[][] fields = new byte[words.length][];
            for (int i = 1; i < words.length; i++) {
                fields[i] = Base64.getDecoder().decode(words[i]);
            }
            try {
                out.println("ok " + Base64.getEncoder().encodeToString(run(words[0], fields)));
            } catch (Exception | LinkageError e) {
                out.println("no " + Base64.getEncoder().encodeToString(causes(e).getBytes(StandardCharsets.UTF_8)));
            }
        }
    }

    private static String causes(Throwable e) {
        StringBuilder s = new StringBuilder();
        for (; e != null; e = e.getCause()) {
            s.append(s.length() == 0 ? "" : ": ").append(e.getClass().getSimpleName()).append(" ").append(e.getMessage());
        }
        return s.toString();
    }

    private static byte[] run(String operation, byte[][] f) throws Exception {
        switch (operation) {
            case "version":
                return BouncyCastleProvider.class.getPackage().getImplementationVersion().getBytes(StandardCharsets.US_ASCII);
            case "sign": // certificate, key, algorithm, detached or not, content
                return sign(certificate(f[1]), key(f[2]), text(f[3]), f[4].length > 0, f[5]);
            case "verify": // message, detached or not, content
                return verify(f[1], f[2].length > 0, f[3]);
            case "encrypt": // way, material, cipher, content
                return encrypt(text(f[1]), f[2], text(f[3]), f[4]);
            case "decrypt": // way, material, key, message
                return decrypt(text(f[1]), f[2], f[3], f[4]);
            case "compress":
                return new CMSCompressedDataGenerator().generate(new CMSProcessableByteArray(f[1]), new ZlibCompressor()).getEncoded();
            case "authenticate":
                return authenticate(certificate(f[1]), f[2]);
            case "authenticated":
                return authenticated(key(f[1]), f[2]);
            case "digested":
                return digested(f[1]);
            case "expand":
                return new CMSCompressedData(f[1]).getContent(new ZlibExpanderProvider());
        }
        throw new IllegalArgumentException("operation " + operation);
    }

    private static String text(byte[] b) {
        return new String(b, StandardCharsets.US_ASCII);
    }

    private static X509Certificate certificate(byte[] der) throws Exception {
        return (X509Certificate) CertificateFactory.getInstance("X.509", BC).generateCertificate(new ByteArrayInputStream(der));
    }

    private static PrivateKey key(byte[] pkcs8) throws Exception {
        ASN1ObjectIdentifier algorithm = PrivateKeyInfo.getInstance(pkcs8).getPrivateKeyAlgorithm().getAlgorithm();
        return KeyFactory.getInstance(algorithm.getId(), BC).generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
    }

    private static byte[] sign(X509Certificate certificate, PrivateKey key, String algorithm, boolean detached, byte[] content)
            throws Exception {
        CMSSignedDataGenerator g = new CMSSignedDataGenerator();
        g.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().setProvider(BC).build())
                .build(new JcaContentSignerBuilder(algorithm).setProvider(BC).build(key), certificate));
        g.addCertificates(new JcaCertStore(List.of(certificate)));
        return g.generate(new CMSProcessableByteArray(content), !detached).getEncoded();
    }

    private static byte[] verify(byte[] message, boolean detached, byte[] content) throws Exception {
        CMSSignedData signed =
                detached ? new CMSSignedData(new CMSProcessableByteArray(content), message) : new CMSSignedData(message);
        Collection<SignerInformation> signers = signed.getSignerInfos().getSigners();
        if (signers.isEmpty()) {
            throw new IllegalArgumentException("nobody signs");
        }
        for (SignerInformation signer : signers) {
            @SuppressWarnings("unchecked")
            Collection<X509CertificateHolder> found = signed.getCertificates().getMatches(signer.getSID());
            X509CertificateHolder holder = found.iterator().next();
            X509Certificate certificate = certificate(holder.getEncoded()); // its dates are not at issue here
            if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(certificate.getPublicKey()))) {
                throw new IllegalArgumentException("wrong signature");
            }
        }
        return detached ? new byte[0] : (byte[]) signed.getSignedContent().getContent();
    }

    private static byte[] encrypt(String way, byte[] material, String cipher, byte[] content) throws Exception {
        ASN1ObjectIdentifier algorithm = new ASN1ObjectIdentifier(cipher);
        OutputEncryptor encryptor = new JceCMSContentEncryptorBuilder(algorithm).setProvider(BC).build();
        boolean authenticated = encryptor instanceof OutputAEADEncryptor;
        CMSEnvelopedGenerator g = authenticated ? new CMSAuthEnvelopedDataGenerator() : new CMSEnvelopedDataGenerator();
        g.addRecipientInfoGenerator(recipient(way, material));
        CMSProcessableByteArray data = new CMSProcessableByteArray(content);
        if (authenticated) {
            return ((CMSAuthEnvelopedDataGenerator) g).generate(data, (OutputAEADEncryptor) encryptor).getEncoded();
        }
        return ((CMSEnvelopedDataGenerator) g).generate(data, encryptor).getEncoded();
    }

    private static RecipientInfoGenerator recipient(String way, byte[] material) throws Exception {
        if (way.equals("password")) {
            return new JcePasswordRecipientInfoGenerator(CMSAlgorithm.AES256_CBC, text(material).toCharArray()).setProvider(BC);
        }
        if (way.equals("kek")) {
            return new JceKEKRecipientInfoGenerator("office".getBytes(StandardCharsets.US_ASCII), new SecretKeySpec(material, "AES"))
                    .setProvider(BC);
        }
        X509Certificate to = certificate(material);
        if (way.equals("rsa")) {
            return new JceKeyTransRecipientInfoGenerator(to).setProvider(BC);
        }
        if (way.startsWith("oaep-")) {
            String hash = way.substring("oaep-".length());
            OAEPParameterSpec oaep =
                    new OAEPParameterSpec(hash, "MGF1", new MGF1ParameterSpec(hash), PSource.PSpecified.DEFAULT);
            return new JceKeyTransRecipientInfoGenerator(
                    to, new JcaAlgorithmParametersConverter().getAlgorithmIdentifier(PKCSObjectIdentifiers.id_RSAES_OAEP, oaep))
                    .setProvider(BC);
        }
        KeyPairGenerator pairs = KeyPairGenerator.getInstance(to.getPublicKey().getAlgorithm(), BC);
        ASN1ObjectIdentifier scheme = new ASN1ObjectIdentifier(way);
        if (to.getPublicKey() instanceof ECPublicKey) {
            pairs.initialize(((ECPublicKey) to.getPublicKey()).getParams());
        }
        KeyPair pair = pairs.generateKeyPair();
        return new JceKeyAgreeRecipientInfoGenerator(scheme, pair.getPrivate(), pair.getPublic(), CMSAlgorithm.AES256_WRAP)
                .addRecipient(to).setProvider(BC);
    }

    private static byte[] authenticate(X509Certificate to, byte[] content) throws Exception {
        CMSAuthenticatedDataGenerator g = new CMSAuthenticatedDataGenerator();
        g.addRecipientInfoGenerator(new JceKeyTransRecipientInfoGenerator(to).setProvider(BC));
        return g.generate(new CMSProcessableByteArray(content),
                new JceCMSMacCalculatorBuilder(PKCSObjectIdentifiers.id_hmacWithSHA256, 256).setProvider(BC).build(),
                new JcaDigestCalculatorProviderBuilder().setProvider(BC).build()
                        .get(new org.bouncycastle.asn1.x509.AlgorithmIdentifier(NISTObjectIdentifiers.id_sha256))).getEncoded();
    }

    private static byte[] authenticated(PrivateKey own, byte[] message) throws Exception {
        CMSAuthenticatedData data = new CMSAuthenticatedData(message, new JcaDigestCalculatorProviderBuilder().setProvider(BC).build());
        RecipientInformation info = data.getRecipientInfos().getRecipients().iterator().next();
        byte[] content = info.getContent(new JceKeyTransAuthenticatedRecipient(own).setProvider(BC));
        if (!MessageDigest.isEqual(data.getMac(), info.getMac())) {
            throw new IllegalArgumentException("wrong code");
        }
        if (!MessageDigest.isEqual(data.getContentDigest(), MessageDigest.getInstance("SHA-256").digest(content))) {
            throw new IllegalArgumentException("wrong digest");
        }
        return content;
    }

    private static byte[] digested(byte[] message) throws Exception {
        CMSDigestedData data = new CMSDigestedData(message);
        if (!data.verify(new JcaDigestCalculatorProviderBuilder().setProvider(BC).build())) {
            throw new IllegalArgumentException("wrong digest");
        }
        return (byte[]) data.getDigestedContent().getContent();
    }

    private static byte[] decrypt(String way, byte[] material, byte[] key, byte[] message) throws Exception {
        boolean authenticated = org.bouncycastle.asn1.cms.ContentInfo.getInstance(message).getContentType()
                .equals(org.bouncycastle.asn1.cms.CMSObjectIdentifiers.authEnvelopedData);
        RecipientInformationStore store = authenticated
                ? new CMSAuthEnvelopedData(message).getRecipientInfos()
                : new CMSEnvelopedData(message).getRecipientInfos();
        List<RecipientInformation> infos = new ArrayList<>(store.getRecipients());
        if (infos.isEmpty()) {
            throw new IllegalArgumentException("no recipient that is known");
        }
        RecipientInformation info = infos.get(0);
        return info.getContent(opener(way, material, key, authenticated));
    }

    private static Recipient opener(String way, byte[] material, byte[] key, boolean authenticated) throws Exception {
        boolean transport = way.equals("rsa") || way.startsWith("oaep-");
        if (authenticated && !transport) {
            throw new UnsupportedOperationException("no class opens AuthEnvelopedData but with RSA");
        }
        if (way.equals("password")) {
            return new JcePasswordEnvelopedRecipient(text(material).toCharArray()).setProvider(BC);
        }
        if (way.equals("kek")) {
            return new JceKEKEnvelopedRecipient(new SecretKeySpec(material, "AES")).setProvider(BC);
        }
        PrivateKey own = key(key);
        if (!transport) {
            return new JceKeyAgreeEnvelopedRecipient(own).setProvider(BC);
        }
        return authenticated ? new JceKeyTransAuthEnvelopedRecipient(own).setProvider(BC)
                : new JceKeyTransEnvelopedRecipient(own).setProvider(BC);
    }
}
