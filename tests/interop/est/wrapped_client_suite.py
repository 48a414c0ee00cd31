#!/usr/bin/env python3
"""Wrapped keys (RFC 7030 section 4.4) as our client takes them: a small EST server in Python makes the key, the openssl command
signs it and puts it into the envelope, for a device with a key on P-256, for one with an RSA key, and for one that shares an AES
key with its owner. Whatever our client has to refuse is made in the same way, with one thing wrong at a time."""
import base64
import http.server
import secrets
import ssl
import sys
import threading
from dataclasses import dataclass
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.policy import SMTP
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "faults"))
from common import check, contents, error_of, fault_of, finish, imprint, installed, openssl, scratch  # noqa: E402

KEY_PACKAGE, PLAIN = "2.16.840.1.101.2.1.2.78.5", "1.2.840.113549.1.7.1"
DATA, SIGNED_DATA = bytes.fromhex("06092a864886f70d010701"), bytes.fromhex("06092a864886f70d010702")
PAIR_ID, SHARED_ID = bytes.fromhex("060b2a864886f70d0109100236"), bytes.fromhex("060b2a864886f70d0109100225")  # RFC 7030 section 4.4.1
CAPABILITIES, AES256_CBC = bytes.fromhex("06092a864886f70d01090f"), bytes.fromhex("060960864801650304012a")
EC, RSA = ("EC", "ec_paramgen_curve:P-256"), ("RSA", "rsa_keygen_bits:2048")


# --- DER, as much of it as the openssl command leaves over -------------------------------------------------------------

def sequence(content):
    n = len(content)
    size = bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else bytes([0x82, n >> 8, n & 255])
    return b"\x30" + size + content


def inside(der):
    """The content of the item at the beginning."""
    more = der[1] & 127 if der[1] & 128 else 0
    length = int.from_bytes(der[2:2 + more], "big") if more else der[1]
    return der[2 + more:2 + more + length]


def bare(signed):
    """SignedData without the ContentInfo around it: what belongs into an envelope (RFC 5652 section 6)."""
    info = inside(signed)
    assert info.startswith(SIGNED_DATA)
    return inside(info[len(SIGNED_DATA):])


def named_in(request):
    """The identifier of the key that this request wants its new one wrapped for, and whether it is a shared one."""
    for oid in (PAIR_ID, SHARED_ID):
        at = request.find(oid)
        if at >= 0:
            return inside(inside(request[at + len(oid):])), oid == SHARED_ID
    return None, False


# --- keys and certificates, by openssl ---------------------------------------------------------------------------------

def new_key(path, kind, option):
    openssl("genpkey", "-algorithm", kind, "-pkeyopt", option, "-out", path)
    return path


def public(path):
    return openssl("pkey", "-in", path, "-pubout").stdout


def make_root(work, name):
    new_key(work / f"{name}.key", *EC)
    openssl("req", "-x509", "-new", "-key", work / f"{name}.key", "-subj", f"/CN=Root {name}", "-days", "3", "-out", work / f"{name}.pem",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign,digitalSignature")


def certify(work, name, root, *extensions, kind=EC):
    """A key and a certificate for CN=name below this root."""
    new_key(work / f"{name}.key", *kind)
    (work / f"{name}.ext").write_text("\n".join(["subjectKeyIdentifier=hash", *extensions]) + "\n")
    csr = openssl("req", "-new", "-key", work / f"{name}.key", "-subj", f"/CN={name}").stdout
    openssl("x509", "-req", "-CA", work / f"{root}.pem", "-CAkey", work / f"{root}.key", "-days", "3", "-extfile", work / f"{name}.ext",
            "-out", work / f"{name}.pem", data=csr)


def key_identifier(certificate):
    text = openssl("x509", "-in", certificate, "-noout", "-ext", "subjectKeyIdentifier").stdout.decode()
    return bytes.fromhex(text.strip().splitlines()[-1].strip().replace(":", ""))


def make_keys(work):
    authority = ("extendedKeyUsage=1.3.6.1.5.5.7.3.28", "keyUsage=digitalSignature")  # id-kp-cmcRA
    for root in ("owner", "maker"):
        make_root(work, root)
    certify(work, "tls", "owner", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    certify(work, "authority", "owner", *authority)
    certify(work, "stranger", "maker", *authority)
    certify(work, "neighbour", "owner", "keyUsage=digitalSignature,keyAgreement")
    for name, kind in (("ec-1", EC), ("ec-2", EC), ("rsa-1", RSA), ("rsa-2", RSA)):
        certify(work, name, "maker", kind=kind)
    (work / "known.pem").write_bytes((work / "owner.pem").read_bytes() + (work / "maker.pem").read_bytes())


# --- the server --------------------------------------------------------------------------------------------------------

@dataclass
class Recipe:
    """How an answer is made; whatever a test leaves out is as it should be."""
    algorithm: tuple = EC                 # of the key
    keys: int = 1                         # in the package
    packed: bool = True                   # else PrivateKeyInfo as such
    for_another: bool = False             # the certificate is for another key than the one that is sent
    kind: str = KEY_PACKAGE               # of the signed content
    signers: tuple = ("tls",)
    signing: tuple = ("-md", "sha256")    # further options of `openssl cms -sign`
    signed: callable = bare               # what goes into the envelope: made from the signed message
    wraps: bool = True
    to: tuple = ()                        # the recipient in place of the one that the request names
    cipher: str = "-aes-256-cbc"
    sent: callable = lambda envelope: envelope
    key_first: bool = True


def envelope_of(recipe, package, to, work):
    (work / "package").write_bytes(package)
    by = [word for name in recipe.signers for word in ("-signer", work / f"{name}.pem", "-inkey", work / f"{name}.key")]
    message = package
    if by:
        message = openssl("cms", "-sign", "-in", work / "package", "-binary", "-nodetach", "-nosmimecap", "-econtent_type", recipe.kind,
                          "-outform", "DER", *recipe.signing, *by).stdout
        message = recipe.signed(message)
    (work / "inside").write_bytes(message)
    envelope = openssl("cms", "-encrypt", "-in", work / "inside", "-binary", "-outform", "DER", recipe.cipher, *to).stdout
    if recipe.signed is bare:
        # The command says Data of whatever it encrypts; this word is neither encrypted nor authenticated.
        assert envelope.count(DATA) == 1
        envelope = envelope.replace(DATA, SIGNED_DATA)
    return recipe.sent(envelope)


class Est(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    work, recipe = None, Recipe()
    recipients = {}  # identifier of a key: options of `openssl cms -encrypt`
    heard = []       # of each request: path, type, DER, and the public key that was made for it

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.endswith("/cacerts"):
            bag = openssl("crl2pkcs7", "-nocrl", "-certfile", self.work / "owner.pem", "-outform", "DER").stdout
            self.answer(200, "application/pkcs7-mime", base64.encodebytes(bag))
        else:
            self.answer(404, "text/plain", b"")

    def do_POST(self):
        request = base64.b64decode(self.rfile.read(int(self.headers["Content-Length"])))
        made = new_key(self.work / "made.key", *self.recipe.algorithm)
        self.heard.append((self.path, self.headers["Content-Type"], request, public(made)))
        one = openssl("pkcs8", "-topk8", "-nocrypt", "-in", made, "-outform", "DER").stdout
        package = sequence(one * self.recipe.keys) if self.recipe.packed else one
        identifier, _ = named_in(request)
        certificate = self.certify(request, made)
        key = MIMEApplication(one, "pkcs8")
        if self.recipe.wraps:
            envelope = envelope_of(self.recipe, package, self.recipe.to or self.recipients[identifier], self.work)
            key = MIMEApplication(envelope, "pkcs7-mime", smime_type="server-generated-key")
        bag = openssl("crl2pkcs7", "-nocrl", "-certfile", certificate, "-outform", "DER").stdout
        parts = [key, MIMEApplication(bag, "pkcs7-mime", smime_type="certs-only")]
        whole = MIMEMultipart("mixed", _subparts=parts if self.recipe.key_first else parts[::-1])
        body = whole.as_bytes(policy=SMTP).partition(b"\r\n\r\n")[2]
        self.answer(200, whole["Content-Type"], body)

    def certify(self, request, made):
        """A certificate for the names of the request and the key that was made; the device may name that key from now on."""
        key = made if not self.recipe.for_another else new_key(self.work / "another.key", *self.recipe.algorithm)
        out = self.work / f"given-{len(self.heard)}.pem"
        (self.work / "request.der").write_bytes(request)
        (self.work / "made.pub").write_bytes(public(key))
        (self.work / "given.ext").write_text("subjectKeyIdentifier=hash\n")
        openssl("x509", "-req", "-inform", "DER", "-in", self.work / "request.der", "-force_pubkey", self.work / "made.pub", "-CA",
                self.work / "owner.pem", "-CAkey", self.work / "owner.key", "-days", "2", "-extfile", self.work / "given.ext", "-out", out)
        self.recipients[key_identifier(out)] = for_pair(out)
        return out

    def log_message(self, *_):
        pass


def for_pair(certificate, *more):
    """The recipient that is named by its subject key identifier: ECDH with SHA-256, or RSA as `more` says."""
    text = openssl("x509", "-in", certificate, "-noout", "-text").stdout
    how = ("-keyopt", "ecdh_kdf_md:sha256") if b"id-ecPublicKey" in text else ("-keyopt", "rsa_padding_mode:oaep")
    return "-recip", certificate, "-keyid", *(more or how)


def for_shared(key, identifier):
    return "-secretkey", key.hex(), "-secretkeyid", identifier.hex()


def serve(work):
    Est.work = work
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(work / "tls.pem", work / "tls.key")
    context.load_verify_locations(str(work / "known.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Est)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


# --- our client --------------------------------------------------------------------------------------------------------

@dataclass
class Device:
    """A device, by what unwraps its key, and what is somebody else's in place of that."""
    name: str
    unwraps: str
    options: tuple
    others: dict
    identifier: bytes
    shared: bool = False
    algorithm: tuple = EC  # of the keys that it gets

    def onboards(self, url, out, recipe, *more):
        Est.recipe = recipe
        own = more or ("--anchors", Est.work / "owner.pem", "--subject", f"CN={self.name}", "--cert", Est.work / f"{self.name}.pem",
                       "--key", Est.work / f"{self.name}.key")
        return imprint("onboard", "est", "--json", "--server", url, "--out", out, "--attempts", "1", "--timeout", "20", "--server-key",
                       "wrapped", *own, *self.options)


def with_pair(work, name, unwraps, algorithm, *options):
    identifier = key_identifier(work / f"{name}-1.pem")
    Est.recipients[identifier] = for_pair(work / f"{name}-1.pem")
    return Device(f"{name}-1", unwraps, options, {"another key": for_pair(work / f"{name}-2.pem")}, identifier, algorithm=algorithm)


def with_shared(work, octets):
    key, identifier = secrets.token_bytes(octets), bytes([0x0A, octets])
    file = work / f"shared-{octets}.key"
    file.write_text(key.hex() + "\n")
    file.chmod(0o600)
    Est.recipients[identifier] = for_shared(key, identifier)
    others = {"another secret key": for_shared(secrets.token_bytes(octets), identifier), "another identifier": for_shared(key, b"\x0b")}
    return Device("ec-2", f"a shared key of {8 * octets} bits (kekri)", ("--wrap-key", file, "--wrap-key-id", identifier.hex()), others,
                  identifier, shared=True)


def make_devices(work):
    return [with_pair(work, "ec", "a key on P-256 (kari)", EC), with_pair(work, "rsa", "an RSA key (ktri)", RSA, "--key-type", "rsa2048"),
            with_shared(work, 32)]


def judge(what, out, ran):
    """An installed folder whose key is the one that the server has made, and the certificate's."""
    if not check(f"{what}: our client takes it", ran.returncode == 0, ran.stderr):
        return
    check(f"{what}: key, certificate, chain and anchors belong together, says openssl", fault_of(out) is None, fault_of(out))
    made = Est.heard[-1][3]
    check(f"{what}: the key is the one that was made for it", public(out / "key.pem") == made and made in keys_in(out), made)


def asked(device):
    path, kind, request, made = Est.heard[-1]
    text = openssl("req", "-inform", "DER", "-noout", "-verify", "-pubkey", data=request, good=False)
    check(f"{device.unwraps}: it asked serverkeygen, and its request verifies",
          path.endswith("/serverkeygen") and kind == "application/pkcs10" and text.returncode == 0, (path, kind, text.stderr))
    check(f"{device.unwraps}: the request names the key that it has, and AES-256-CBC among what it can",
          named_in(request) == (device.identifier, device.shared) and CAPABILITIES in request and AES256_CBC in request, request.hex())
    check(f"{device.unwraps}: the key that signed the request is not the one that was made", made not in text.stdout, text.stdout)


def enrols_and_renews(url, work, device):
    out = work / f"{device.name}-out"
    ran = device.onboards(url, out, Recipe(algorithm=device.algorithm))
    judge(device.unwraps, out, ran)
    asked(device)
    if not installed(out):
        return
    before = contents(out)
    ran = device.onboards(url, out, Recipe(algorithm=device.algorithm), "--renew")
    judge(f"{device.unwraps}, renewed", out, ran)
    check(f"{device.unwraps}: renewed with another key", contents(out).get("key.pem") != before["key.pem"])
    before = contents(out)
    ran = device.onboards(url, out, Recipe(signers=("stranger",)), "--renew")
    check(f"{device.unwraps}: a renewal that a stranger signed is refused, and what was there stays",
          error_of(ran).get("rule") == "EST-KEY-SIGNER" and contents(out) == before and fault_of(out) is None, ran.stderr)


def taken(url, work, ec, rsa):
    pkcs1 = for_pair(work / "rsa-1.pem", "-keyopt", "rsa_padding_mode:pkcs1")
    by_number = tuple(word for word in for_pair(work / "ec-1.pem") if word != "-keyid")
    recipes = [
        ("signed by the CA", ec, Recipe(signers=("owner",))),
        ("signed by a registration authority of the owner's", ec, Recipe(signers=("authority",))),
        ("signed with SHA-384", ec, Recipe(signing=("-md", "sha384"))),
        ("a ContentInfo inside, as the openssl command makes it", ec, Recipe(signed=lambda message: message)),
        ("a bare PrivateKeyInfo signed, in place of a package", ec, Recipe(packed=False)),
        ("certificate before key", ec, Recipe(key_first=False)),
        ("recipient by issuer and serial number", ec, Recipe(to=by_number)),
        ("AES-128-CBC", ec, Recipe(cipher="-aes-128-cbc")),
        ("PKCS#1 v1.5", rsa, Recipe(to=pkcs1)),
    ] + [(device.unwraps, device, Recipe()) for device in (with_shared(work, 16), with_shared(work, 24))]
    for n, (what, device, recipe) in enumerate(recipes):
        out = work / f"taken-{n}"
        judge(what, out, device.onboards(url, out, recipe))


def keys_in(folder):
    """The public keys of all private ones in this folder."""
    return [public(file) for file in Path(folder).rglob("*") if file.is_file() and b"PRIVATE KEY" in file.read_bytes()]


def refused(url, work, devices):
    ec = devices[0]
    recipes = [
        ("signed by another owner's registration authority", ec, Recipe(signers=("stranger",)), "EST-KEY-SIGNER"),
        ("signed by a device of the owner's", ec, Recipe(signers=("neighbour",)), "EST-KEY-SIGNER"),
        ("signed twice", ec, Recipe(signers=("tls", "authority")), "EST-KEY-SIGNER"),
        ("a damaged signature", ec, Recipe(signed=lambda message: bare(message)[:-1] + bytes([bare(message)[-1] ^ 1])), "EST-KEY-SIGNER"),
        ("signed with SHA-1", ec, Recipe(signing=("-md", "sha1")), "EST-KEY-SIGNER"),
        ("without signed attributes", ec, Recipe(signing=("-md", "sha256", "-noattr")), "EST-KEY-SIGNER"),
        ("not signed: the package alone", ec, Recipe(signers=()), "EST-KEY-ENVELOPE"),
        ("signed as something else than a key package", ec, Recipe(kind=PLAIN), "EST-KEY-ENVELOPE"),
        ("two keys in the package", ec, Recipe(keys=2), "EST-KEY-ENVELOPE"),
        ("content in triple DES", ec, Recipe(cipher="-des3"), "EST-KEY-ENVELOPE"),
        ("AuthEnvelopedData", ec, Recipe(cipher="-aes-256-gcm"), "EST-KEY-ENVELOPE"),
        ("truncated", ec, Recipe(sent=lambda envelope: envelope[:-40]), "EST-KEY-ENVELOPE"),
        ("nothing but its head", ec, Recipe(sent=lambda envelope: envelope[:24]), "EST-KEY-ENVELOPE"),
        ("in clear", ec, Recipe(wraps=False), "EST-KEY-IN-CLEAR"),
        ("the certificate is for another key", ec, Recipe(for_another=True), "EST-ANSWER-KEY"),
        ("a weaker key than was asked for", ec, Recipe(algorithm=RSA), "EST-KEY-WEAK"),
    ]
    for device in devices:
        for which, to in device.others.items():
            recipes.append((f"{device.unwraps}: enveloped for {which}", device, Recipe(to=to), "EST-KEY-ENVELOPE"))
    for n, (what, device, recipe, rule) in enumerate(recipes):
        out, before = work / f"refused-{n}", len(Est.heard)
        ran = device.onboards(url, out, recipe)
        error = error_of(ran)
        check(f"{what}: refused with {rule}", ran.returncode != 0 and error.get("rule") == rule and error.get("next"), ran.stderr)
        check(f"{what}: nothing is installed, and the key is nowhere on the device",
              len(Est.heard) == before + 1 and not installed(out) and not contents(out) and Est.heard[-1][3] not in keys_in(out),
              [str(file) for file in out.rglob("*")])


def main():
    with scratch("wrapped-client") as folder:
        work = Path(folder)
        make_keys(work)
        devices = make_devices(work)
        server = serve(work)
        url = f"https://localhost:{server.server_port}"
        try:
            for device in devices:
                enrols_and_renews(url, work, device)
            taken(url, work, devices[0], devices[1])
            refused(url, work, devices)
        finally:
            server.shutdown()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
