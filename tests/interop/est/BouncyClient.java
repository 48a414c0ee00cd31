// An EST client made of Bouncy Castle's org.bouncycastle.est, for bouncycastle.sh. One operation a run:
//
//   BouncyClient HOST:PORT ANCHORS.pem TLS_VERSION cacerts  OUT.pem
//   BouncyClient HOST:PORT ANCHORS.pem TLS_VERSION csrattrs [--label LABEL]
//   BouncyClient HOST:PORT ANCHORS.pem TLS_VERSION enroll   OUT.pem KEY.pem [OPTION...]
//
//   --subject CN=x          of the request
//   --basic USER PASSWORD   answer a 401 with this
//   --client CERT KEY       certificate chain and key for TLS
//   --renew                 simplereenroll: names and key of the --client certificate
//   --rekey                 simplereenroll with a new key
//   --given                 serverkeygen: KEY.pem is what the server sends
//   --link tls-unique | wrong
//                           challengePassword is the channel binding (RFC 7030 section 3.5), or zeros. TLS 1.2 only: this
//                           JSSE gives no tls-exporter of a finished handshake, and TLS 1.3 has no tls-unique
//
// Prints one line a fact: "tls TLSv1.3", "waiting 5" (a 202 and its Retry-After), "status 403" (an error's status).
// Exit status 0: done; 3: the server refused; 1: anything else.

import java.io.FileReader;
import java.io.FileWriter;
import java.io.IOException;
import java.net.Socket;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Security;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.logging.Level;
import java.util.logging.Logger;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLSession;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.Extensions;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.est.CACertsResponse;
import org.bouncycastle.est.CSRRequestResponse;
import org.bouncycastle.est.ESTAuth;
import org.bouncycastle.est.ESTException;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.jcajce.ChannelBindingProvider;
import org.bouncycastle.est.jcajce.JcaHttpAuthBuilder;
import org.bouncycastle.est.jcajce.JcaJceUtils;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.jsse.BCSSLSocket;
import org.bouncycastle.jsse.provider.BouncyCastleJsseProvider;
import org.bouncycastle.openssl.PEMKeyPair;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.openssl.jcajce.JcaPEMWriter;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequestBuilder;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;
import org.bouncycastle.util.Store;
import org.bouncycastle.util.io.pem.PemObject;

public final class BouncyClient {
  private static final int MAX_POLLS = 20;
  private static final long MAX_WAIT_MS = 20_000;

  private static final Logger CHATTER = Logger.getLogger("org.bouncycastle");

  private final List<String> args;

  private BouncyClient(List<String> args) {
    this.args = args;
  }

  public static void main(String[] argv) throws Exception {
    CHATTER.setLevel(Level.SEVERE);
    Security.addProvider(new BouncyCastleProvider());
    BouncyClient client = new BouncyClient(List.of(argv));
    try {
      client.run();
    } catch (ESTException e) {
      System.out.println("status " + e.getStatusCode());
      System.err.println(e.getMessage());
      System.exit(e.getStatusCode() == 0 ? 1 : 3);
    }
  }

  private void run() throws Exception {
    ESTService service = service();
    switch (args.get(3)) {
      case "cacerts" -> cacerts(service);
      case "csrattrs" -> csrattrs(service);
      case "enroll" -> enroll(service);
      default -> throw new IllegalArgumentException(args.get(3));
    }
  }

  private void cacerts(ESTService service) throws Exception {
    CACertsResponse response = service.getCACerts();
    session(response.getSession());
    writePem(args.get(4), certificates(response.getCertificateStore()).toArray());
  }

  private void csrattrs(ESTService service) throws Exception {
    CSRRequestResponse response = service.getCSRAttributes();
    session(response.getSession());
    if (response.hasAttributesResponse()) {
      response.getAttributesResponse().getRequirements().forEach(oid -> System.out.println("attribute " + oid));
    }
  }

  private void enroll(ESTService service) throws Exception {
    boolean renew = has("--renew");
    boolean reenroll = renew || has("--rekey");
    KeyPair key = renew ? keyPair(certificateChain().get(0), privateKey()) : newKey();
    ContentSigner signer = new JcaContentSignerBuilder("SHA256withECDSA").build(key.getPrivate());
    PKCS10CertificationRequestBuilder request = request(key.getPublic(), reenroll);
    ESTAuth auth = null;
    if (has("--basic")) {
      auth = new JcaHttpAuthBuilder(option("--basic", 1), option("--basic", 2).toCharArray()).setProvider("BC").build();
    }
    EnrollmentResponse response =
        has("--link")
            ? service.simpleEnrollPoP(reenroll, request, signer, auth)
            : has("--given")
                ? service.simpleEnrollWithServersideCreation(request.build(signer), auth)
                : service.simpleEnroll(reenroll, request.build(signer), auth);
    session(response.getSession());
    for (int polls = 0; !response.isCompleted() && polls < MAX_POLLS; polls++) {
      long wait = response.getNotBefore() - System.currentTimeMillis();
      System.out.println("waiting " + Math.round(wait / 1000.0));
      Thread.sleep(Math.max(100, Math.min(wait, MAX_WAIT_MS)));
      response = service.simpleEnroll(response);
    }
    if (!response.isCompleted()) {
      throw new IOException("still waiting");
    }
    writePem(args.get(4), certificates(response.getStore()).toArray());
    byte[] held = has("--given") ? response.getPrivateKeyInfo().getEncoded() : key.getPrivate().getEncoded();
    writePem(args.get(5), new PemObject("PRIVATE KEY", held));
  }

  // A renewal repeats the names of its certificate (RFC 7030 section 4.2.2).
  private PKCS10CertificationRequestBuilder request(PublicKey key, boolean reenroll) throws Exception {
    if (!reenroll) {
      return new JcaPKCS10CertificationRequestBuilder(new X500Name(option("--subject", 1)), key);
    }
    X509CertificateHolder old = new X509CertificateHolder(certificateChain().get(0).getEncoded());
    PKCS10CertificationRequestBuilder request = new JcaPKCS10CertificationRequestBuilder(old.getSubject(), key);
    Extension names = old.getExtension(Extension.subjectAlternativeName);
    if (names != null) {
      request.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, new Extensions(names));
    }
    return request;
  }

  private ESTService service() throws Exception {
    Set<TrustAnchor> anchors = new HashSet<>();
    for (Object o : readPem(args.get(1))) {
      anchors.add(new TrustAnchor(certificate((X509CertificateHolder) o), null));
    }
    BouncyCastleJsseProvider jsse = new BouncyCastleJsseProvider();
    JsseESTServiceBuilder builder =
        new JsseESTServiceBuilder(args.get(0), JcaJceUtils.getCertPathTrustManager(anchors, null))
            .withTLSVersion(args.get(2))
            .withProvider(jsse)
            .withTimeout(20_000);
    if (has("--label")) {
      builder.withLabel(option("--label", 1));
    }
    if (has("--link")) {
      builder.withChannelBindingProvider(new Binding(option("--link", 1)));
    }
    if (has("--client")) {
      KeyStore store = KeyStore.getInstance("PKCS12");
      store.load(null, null);
      store.setKeyEntry("device", privateKey(), new char[0], certificateChain().toArray(new X509Certificate[0]));
      KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX", jsse);
      keys.init(store, new char[0]);
      builder.withKeyManagers(keys.getKeyManagers());
    }
    return builder.build();
  }

  // The channel binding of the connection that the request will travel on.
  private record Binding(String kind) implements ChannelBindingProvider {
    @Override
    public boolean canAccessChannelBinding(Socket socket) {
      return socket instanceof BCSSLSocket;
    }

    @Override
    public byte[] getChannelBinding(Socket socket, String binding) {
      if (kind.equals("wrong")) {
        return new byte[12];
      }
      return ((BCSSLSocket) socket).getConnection().getChannelBinding(kind);
    }
  }

  private static KeyPair newKey() throws Exception {
    KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
    generator.initialize(new ECGenParameterSpec("secp256r1"));
    return generator.generateKeyPair();
  }

  private static KeyPair keyPair(X509Certificate certificate, PrivateKey key) {
    return new KeyPair(certificate.getPublicKey(), key);
  }

  private List<X509Certificate> certificateChain() throws Exception {
    List<X509Certificate> chain = new ArrayList<>();
    for (Object o : readPem(option("--client", 1))) {
      chain.add(certificate((X509CertificateHolder) o));
    }
    return chain;
  }

  private PrivateKey privateKey() throws Exception {
    Object o = readPem(option("--client", 2)).get(0);
    PrivateKeyInfo info = o instanceof PEMKeyPair pair ? pair.getPrivateKeyInfo() : (PrivateKeyInfo) o;
    return new JcaPEMKeyConverter().getPrivateKey(info);
  }

  private static X509Certificate certificate(X509CertificateHolder holder) throws Exception {
    return new JcaX509CertificateConverter().getCertificate(holder);
  }

  private static Collection<X509CertificateHolder> certificates(Store<X509CertificateHolder> store) {
    return store.getMatches(null);
  }

  private static void session(Object session) {
    if (session instanceof SSLSession tls) {
      System.out.println("tls " + tls.getProtocol());
    }
  }

  private static List<Object> readPem(String file) throws IOException {
    List<Object> found = new ArrayList<>();
    try (PEMParser parser = new PEMParser(new FileReader(file))) {
      for (Object o = parser.readObject(); o != null; o = parser.readObject()) {
        found.add(o);
      }
    }
    return found;
  }

  private static void writePem(String file, Object... objects) throws IOException {
    try (JcaPEMWriter writer = new JcaPEMWriter(new FileWriter(file))) {
      for (Object o : objects) {
        writer.writeObject(o);
      }
    }
  }

  private boolean has(String option) {
    return args.contains(option);
  }

  private String option(String option, int offset) {
    return args.get(args.indexOf(option) + offset);
  }
}
