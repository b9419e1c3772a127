import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.security.PrivateKey;
import java.security.Security;
import java.util.ArrayList;
import java.util.List;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSEnvelopedDataParser;
import org.bouncycastle.cms.CMSEnvelopedDataStreamGenerator;
import org.bouncycastle.cms.CMSSignedDataParser;
import org.bouncycastle.cms.CMSSignedDataStreamGenerator;
import org.bouncycastle.cms.CMSTypedStream;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

/** One task of the benchmark with Bouncy Castle's streaming classes: TASK PEM CONTENT INPUT OUTPUT. */
public final class BouncyCastle {
    private static final String BC = BouncyCastleProvider.PROVIDER_NAME;

    public static void main(String[] a) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        List<X509CertificateHolder> certificates = new ArrayList<>();
        PrivateKey key = null;
        try (PEMParser pem = new PEMParser(new InputStreamReader(new FileInputStream(a[1])))) {
            for (Object o; (o = pem.readObject()) != null; ) {
                if (o instanceof X509CertificateHolder) {
                    certificates.add((X509CertificateHolder) o);
                } else {
                    key = new JcaPEMKeyConverter().getPrivateKey((PrivateKeyInfo) o);
                }
            }
        }
        switch (a[0]) {
            case "sign":
                sign(certificates, key, a[2], a[4]);
                break;
            case "verify":
                verify(a[2], a[3]);
                break;
            case "encrypt":
                encrypt(certificates, a[2], a[4]);
                break;
            case "decrypt":
                decrypt(key, a[3], a[4]);
                break;
            default:
                throw new IllegalArgumentException(a[0]);
        }
    }

    private static InputStream in(String file) throws Exception {
        return new BufferedInputStream(new FileInputStream(file), 1 << 16);
    }

    private static OutputStream out(String file) throws Exception {
        return new BufferedOutputStream(new FileOutputStream(file), 1 << 16);
    }

    private static void sign(List<X509CertificateHolder> certificates, PrivateKey key, String content, String to) throws Exception {
        CMSSignedDataStreamGenerator g = new CMSSignedDataStreamGenerator();
        g.addSignerInfoGenerator(new JcaSimpleSignerInfoGeneratorBuilder().setProvider(BC).build("SHA256withRSA", key, certificates.get(0)));
        g.addCertificates(new JcaCertStore(new ArrayList<>(certificates)));
        try (InputStream in = in(content); OutputStream out = out(to); OutputStream signed = g.open(out, false)) {
            in.transferTo(signed);
        }
    }

    private static void verify(String content, String message) throws Exception {
        try (InputStream in = in(content); InputStream signature = in(message)) {
            CMSSignedDataParser p = new CMSSignedDataParser(
                new JcaDigestCalculatorProviderBuilder().setProvider(BC).build(), new CMSTypedStream(in), signature);
            p.getSignedContent().drain();
            for (SignerInformation s : p.getSignerInfos().getSigners()) {
                X509CertificateHolder c = (X509CertificateHolder) p.getCertificates().getMatches(s.getSID()).iterator().next();
                if (!s.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(c))) {
                    throw new IllegalStateException("wrong signature");
                }
            }
        }
    }

    private static void encrypt(List<X509CertificateHolder> certificates, String content, String to) throws Exception {
        CMSEnvelopedDataStreamGenerator g = new CMSEnvelopedDataStreamGenerator();
        for (X509CertificateHolder c : certificates) {
            g.addRecipientInfoGenerator(new JceKeyTransRecipientInfoGenerator(new JcaX509CertificateConverter().getCertificate(c)).setProvider(BC));
        }
        try (InputStream in = in(content); OutputStream out = out(to);
            OutputStream enveloped = g.open(out, new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_CBC).setProvider(BC).build())) {
            in.transferTo(enveloped);
        }
    }

    private static void decrypt(PrivateKey key, String message, String to) throws Exception {
        try (InputStream in = in(message); OutputStream out = out(to)) {
            List<RecipientInformation> all = new ArrayList<>(new CMSEnvelopedDataParser(in).getRecipientInfos().getRecipients());
            all.get(all.size() - 1).getContentStream(new JceKeyTransEnvelopedRecipient(key).setProvider(BC)).getContentStream().transferTo(out);
        }
    }
}
