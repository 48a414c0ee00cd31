import java.io.ByteArrayInputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.BlockOption;
import org.eclipse.californium.core.coap.CoAP.Code;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.network.interceptors.MessageInterceptorAdapter;
import org.eclipse.californium.core.server.resources.CoapExchange;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConfig.DtlsRole;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.CertificateType;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.californium.scandium.dtls.x509.SingleCertificateProvider;
import org.eclipse.californium.scandium.dtls.x509.StaticNewAdvancedCertificateVerifier;

/**
 * Californium with Scandium as EST peer over CoAPS.
 *
 * <pre>
 * ask URI METHOD ANCHORS CHAIN KEY [--block N] [--accept N] [--etag HEX] [--content N --body FILE] [--out FILE]
 *     one request, in blocks of N; prints "code C.DD", "format N", "etag HEX" and "blocks N", as many as the answer came in;
 *     exit code 0 for 2.xx, 3 for others, 4 without an answer
 * serve ANCHORS CHAIN KEY FOLDER [--slow MILLISECONDS] [--busy TIMES] [--block N] [--root NAME]
 *     EST with the CA ca.pem, ca.key in the folder, crts.der, and att.der if it is there; at /NAME in place of /.well-known/est;
 *     prints "port N"; one line for each request
 * </pre>
 */
public final class CaliforniumPeer {
  static List<String> options;

  static String option(String name, String otherwise) {
    int at = options.indexOf(name);
    return at < 0 ? otherwise : options.get(at + 1);
  }

  static X509Certificate[] certificates(String path) throws Exception {
    var out = new ArrayList<X509Certificate>();
    for (var one : CertificateFactory.getInstance("X.509").generateCertificates(Files.newInputStream(Path.of(path)))) {
      out.add((X509Certificate) one);
    }
    return out.toArray(new X509Certificate[0]);
  }

  static PrivateKey key(String path) throws Exception {
    String text = Files.readString(Path.of(path)).replaceAll("-----[A-Z ]+-----", "").replaceAll("\\s", "");
    return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text)));
  }

  static CoapEndpoint endpoint(DtlsRole role, InetSocketAddress at, String anchors, String chain, String key) throws Exception {
    CoapConfig.register();
    DtlsConfig.register();
    Configuration config = Configuration.createStandardWithoutFile();
    int block = Integer.parseInt(option("--block", "512"));
    config.set(CoapConfig.PREFERRED_BLOCK_SIZE, block);
    config.set(CoapConfig.MAX_MESSAGE_SIZE, block);
    config.set(DtlsConfig.DTLS_ROLE, role);
    config.setAsList(DtlsConfig.DTLS_CIPHER_SUITES, CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8);
    var dtls = DtlsConnectorConfig.builder(config)
        .setAddress(at)
        .setCertificateIdentityProvider(new SingleCertificateProvider(key(key), certificates(chain), CertificateType.X_509))
        .setAdvancedCertificateVerifier(
            StaticNewAdvancedCertificateVerifier.builder().setTrustedCertificates(certificates(anchors)).build())
        .build();
    return CoapEndpoint.builder().setConfiguration(config).setConnector(new DTLSConnector(dtls)).build();
  }

  static int ask(String uri, String method, String anchors, String chain, String key) throws Exception {
    var endpoint = endpoint(DtlsRole.CLIENT_ONLY, new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), anchors, chain, key);
    var blocks = new AtomicInteger();
    endpoint.addInterceptor(new MessageInterceptorAdapter() {
      @Override
      public void receiveResponse(Response one) {
        blocks.addAndGet(one.getOptions().hasBlock2() ? 1 : 0);
      }
    });
    endpoint.start();
    Request request = new Request(Code.valueOf(method));
    request.setURI(uri);
    if (options.contains("--accept")) {
      request.getOptions().setAccept(Integer.parseInt(option("--accept", "")));
    }
    if (options.contains("--block")) {
      request.getOptions().setBlock2(BlockOption.size2Szx(Integer.parseInt(option("--block", ""))), false, 0);
    }
    if (options.contains("--etag")) {
      request.getOptions().addETag(HexFormat.of().parseHex(option("--etag", "")));
    }
    if (options.contains("--body")) {
      request.getOptions().setContentFormat(Integer.parseInt(option("--content", "286")));
      request.setPayload(Files.readAllBytes(Path.of(option("--body", ""))));
    }
    request.send(endpoint);
    Response response = request.waitForResponse(TimeUnit.SECONDS.toMillis(20));
    endpoint.destroy();
    if (response == null) {
      System.out.println("no answer: " + request.getSendError());
      return 4;
    }
    System.out.println("code " + response.getCode());
    System.out.println("format " + response.getOptions().getContentFormat());
    for (byte[] etag : response.getOptions().getETags()) {
      System.out.println("etag " + HexFormat.of().formatHex(etag));
    }
    System.out.println("blocks " + blocks);
    if (response.getOptions().getMaxAge() != null && !response.getCode().isSuccess()) {
      System.out.println("max-age " + response.getOptions().getMaxAge() + " " + response.getPayloadString());
    }
    if (options.contains("--out")) {
      Files.write(Path.of(option("--out", "")), response.getPayload());
    }
    return response.getCode().isSuccess() ? 0 : 3;
  }

  /** Runs a command in the folder; its standard output. */
  static byte[] run(Path folder, String... command) throws Exception {
    Process process = new ProcessBuilder(command).directory(folder.toFile()).redirectError(folder.resolve("openssl.log").toFile()).start();
    byte[] out = process.getInputStream().readAllBytes();
    if (process.waitFor() != 0) {
      throw new IllegalStateException(String.join(" ", command));
    }
    return out;
  }

  /** A Content-Format above 255 and a byte string of 24 to 65,535 bytes, as CBOR has them. */
  static void cbor(java.io.ByteArrayOutputStream out, int format, byte[] content) {
    out.writeBytes(new byte[] {0x19, (byte) (format >> 8), (byte) format});
    if (content.length > 255) {
      out.writeBytes(new byte[] {0x59, (byte) (content.length >> 8)});
    } else {
      out.write(0x58);
    }
    out.write(content.length);
    out.writeBytes(content);
  }

  /** A key of ours and a certificate for it, with the names of the request (RFC 9148 section 4.8). */
  static final class MakeKey extends CoapResource {
    private final Path folder;
    private final AtomicInteger count = new AtomicInteger();

    MakeKey(Path folder) {
      super("skg");
      this.folder = folder;
      getAttributes().addResourceType("ace.est.skg");
    }

    @Override
    public void handlePOST(CoapExchange exchange) {
      System.out.println("skg " + exchange.getRequestPayload().length + " " + exchange.getRequestOptions().getContentFormat());
      try {
        String name = "skg" + count.incrementAndGet();
        Files.write(folder.resolve(name + ".der"), exchange.getRequestPayload());
        run(folder, "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", name + ".key");
        run(folder, "openssl", "pkey", "-in", name + ".key", "-pubout", "-out", name + ".pub");
        Files.write(folder.resolve(name + ".pem"), run(folder, "openssl", "x509", "-req", "-inform", "DER", "-in", name + ".der", "-CA",
            "ca.pem", "-CAkey", "ca.key", "-days", "2", "-copy_extensions", "copyall", "-force_pubkey", name + ".pub"));
        var out = new java.io.ByteArrayOutputStream();
        out.write(0x84);
        cbor(out, 281, run(folder, "openssl", "crl2pkcs7", "-nocrl", "-certfile", name + ".pem", "-outform", "DER"));
        cbor(out, 284, run(folder, "openssl", "pkcs8", "-topk8", "-nocrypt", "-in", name + ".key", "-outform", "DER"));
        exchange.respond(ResponseCode.CHANGED, out.toByteArray(), 62);
      } catch (Exception e) {
        exchange.respond(ResponseCode.INTERNAL_SERVER_ERROR, e.toString());
      }
    }
  }

  static final class Enrol extends CoapResource {
    private final Path folder;
    private final AtomicInteger busy, count = new AtomicInteger();

    Enrol(String name, Path folder, AtomicInteger busy) {
      super(name);
      getAttributes().addResourceType("ace.est." + name);
      this.folder = folder;
      this.busy = busy;
    }

    @Override
    public void handlePOST(CoapExchange exchange) {
      byte[] csr = exchange.getRequestPayload();
      System.out.println(getName() + " " + csr.length + " " + exchange.getRequestOptions().getContentFormat());
      try {
        if (busy.getAndDecrement() > 0) {
          Response later = new Response(ResponseCode.SERVICE_UNAVAILABLE);
          later.getOptions().setMaxAge(1);
          exchange.respond(later);
          return;
        }
        int slow = Integer.parseInt(option("--slow", "0"));
        if (slow > 0) {
          exchange.accept();
          Thread.sleep(slow);
        }
        String name = getName() + count.incrementAndGet();
        Files.write(folder.resolve(name + ".der"), csr);
        Files.write(folder.resolve(name + ".pem"), run(folder, "openssl", "x509", "-req", "-inform", "DER", "-in", name + ".der", "-CA",
            "ca.pem", "-CAkey", "ca.key", "-days", "2", "-copy_extensions", "copyall"));
        exchange.respond(ResponseCode.CHANGED,
            run(folder, "openssl", "crl2pkcs7", "-nocrl", "-certfile", name + ".pem", "-outform", "DER"), 281);
      } catch (Exception e) {
        exchange.respond(ResponseCode.INTERNAL_SERVER_ERROR, e.toString());
      }
    }
  }

  static void serve(String anchors, String chain, String key, Path folder) throws Exception {
    var endpoint = endpoint(DtlsRole.SERVER_ONLY, new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), anchors, chain, key);
    CoapServer server = new CoapServer();
    server.addEndpoint(endpoint);
    String root = option("--root", "");
    var est = new CoapResource(root.isEmpty() ? "est" : root);
    byte[] crts = Files.readAllBytes(folder.resolve("crts.der"));
    var anchorsThere = new CoapResource("crts") {
      @Override
      public void handleGET(CoapExchange exchange) {
        System.out.println("crts " + exchange.getRequestOptions().getAccept());
        exchange.respond(ResponseCode.CONTENT, crts, 281);
      }
    };
    anchorsThere.getAttributes().addResourceType("ace.est.crts");
    est.add(anchorsThere);
    Path attributes = folder.resolve("att.der");
    est.add(new CoapResource("att") {
      @Override
      public void handleGET(CoapExchange exchange) {
        System.out.println("att " + exchange.getRequestOptions().getAccept());
        try {
          exchange.respond(ResponseCode.CONTENT, Files.readAllBytes(attributes), 285);
        } catch (java.io.IOException none) {
          exchange.respond(ResponseCode.NOT_FOUND);
        }
      }
    });
    var busy = new AtomicInteger(Integer.parseInt(option("--busy", "0")));
    est.add(new Enrol("sen", folder, busy), new Enrol("sren", folder, busy), new MakeKey(folder));
    if (root.isEmpty()) {
      server.getRoot().getChild(".well-known").add(est);
    } else {
      server.add(est);
    }
    server.start();
    System.out.println("port " + endpoint.getAddress().getPort());
  }

  public static void main(String[] arguments) throws Exception {
    options = List.of(arguments);
    if (arguments[0].equals("serve")) {
      serve(arguments[1], arguments[2], arguments[3], Path.of(arguments[4]));
    } else {
      System.exit(ask(arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]));
    }
  }
}
