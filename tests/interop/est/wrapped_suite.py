#!/usr/bin/env python3
"""Keys that our server makes and wraps (RFC 7030 section 4.4): pyasn1-alt-modules writes the request's attributes, and the
openssl command opens the envelope, verifies the signature in it and reads the key, for a device with a key on P-256, for
one with an RSA key, and for devices that share an AES key with the owner; those ask with curl. Our client asks as well.

The library is brought by peers.sh into .peers/asn1; this script runs with the Python of that folder."""
import base64
import email
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".peers" / "asn1" / "bin" / "python3"
sys.path.insert(0, str(ROOT / "tests" / "faults"))
from common import (Answer, Site, check, client_context, enrolment, finish, imprint, make_csr, must, openssl, scratch, skip)  # noqa: E402

try:
    from pyasn1.codec.der.decoder import decode
    from pyasn1.codec.der.encoder import encode
    from pyasn1.type import univ
    from pyasn1_alt_modules import rfc2986, rfc4108, rfc5652, rfc5751, rfc5958, rfc7030
except ImportError:
    if PYTHON.exists() and Path(sys.executable) != PYTHON:
        os.execv(PYTHON, [str(PYTHON), __file__])
    why = ROOT / ".peers" / "asn1.missing"
    skip("pyasn1-alt-modules", why.read_text().strip() if why.exists() else "run tests/interop/est/peers.sh asn1")
    sys.exit(finish())

CONFIG = """
[profiles.agree]
server_keys = "wrapped"
key_usage = ["digitalSignature", "keyAgreement"]
[profiles.encipher]
server_keys = "wrapped"
key_usage = ["digitalSignature", "keyEncipherment"]
[profiles.closed]
server_keys = "wrapped"
"""
AES128_CBC, AES256_CBC, AES256_WRAP = "2.16.840.1.101.3.4.1.2", "2.16.840.1.101.3.4.1.42", "2.16.840.1.101.3.4.1.45"
CIPHERS = {16: ("2.16.840.1.101.3.4.1.2", "2.16.840.1.101.3.4.1.5"), 24: ("2.16.840.1.101.3.4.1.22", "2.16.840.1.101.3.4.1.25"),
           32: ("2.16.840.1.101.3.4.1.42", "2.16.840.1.101.3.4.1.45")}  # by the key's length: AES-CBC and AES key wrap
TRIPLE_DES = "1.2.840.113549.3.7"
ECDH_SHA256, RSA_OAEP = "1.3.132.1.11.1", "1.2.840.113549.1.1.7"


def attribute(oid, value):
    out = rfc2986.Attribute()
    out["type"] = oid
    out["values"].append(univ.Any(value))
    return out


def capabilities(oids):
    out = rfc5751.SMIMECapabilities()
    for oid in oids:
        one = rfc5751.SMIMECapability()
        one["capabilityID"] = univ.ObjectIdentifier(oid)
        out.append(one)
    return encode(out)


def key_identifier(certificate):
    text = openssl("x509", "-in", certificate, "-noout", "-ext", "subjectKeyIdentifier").stdout.decode()
    return bytes.fromhex(text.strip().splitlines()[-1].strip().replace(":", ""))


def request_for(folder, work, device, oids):
    """A request of this device that wants its new key wrapped for the one that it has."""
    wanted = encode(rfc7030.AsymmetricDecryptKeyIdentifier(key_identifier(folder / "cert.pem")))
    return signed_request(work, folder / "key.pem", device, oids, attribute(rfc7030.id_aa_asymmDecryptKeyID, wanted))


def signed_request(work, key, device, oids, which):
    base, _ = decode(make_csr(key, device), asn1Spec=rfc2986.CertificationRequest())
    info = base["certificationRequestInfo"]
    info["attributes"].append(attribute(rfc5751.smimeCapabilities, capabilities(oids)))
    info["attributes"].append(which)
    (work / "info.der").write_bytes(encode(info))
    base["signature"] = univ.BitString.fromOctetString(openssl("dgst", "-sha256", "-sign", key, work / "info.der").stdout)
    return encode(base)


def ask(site, folder, label, der):
    raw = socket.create_connection(("localhost", site.port), timeout=20)
    context = client_context(site.anchors, folder / "chain.pem", folder / "key.pem")
    with context.wrap_socket(raw, server_hostname="localhost") as tls:
        tls.sendall(enrolment(der, operation="serverkeygen").replace(b"/est/", f"/est/{label}/".encode(), 1))
        return Answer(tls)


def parts_of(answer):
    """Content type and body of each part, by Python's own reader of MIME."""
    message = email.message_from_bytes(b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n" + answer.body)
    return {part["Content-Type"]: base64.b64decode(part.get_payload()) for part in message.get_payload()}


def opened(envelope, work, *key):
    """What the openssl command finds in the envelope: the AsymmetricKeyPackage that was signed."""
    (work / "envelope.der").write_bytes(envelope)
    inside = openssl("cms", "-decrypt", "-inform", "DER", "-in", work / "envelope.der", "-binary", *key).stdout
    content = rfc5652.ContentInfo()  # inside is a SignedData without it (RFC 5652 section 6)
    content["contentType"] = rfc5652.id_signedData
    content["content"] = univ.Any(inside)
    (work / "signed.der").write_bytes(encode(content))
    return openssl("cms", "-verify", "-inform", "DER", "-in", work / "signed.der", "-CAfile", work / "site" / "ca" / "chain.pem", "-purpose",
                   "any", "-binary").stdout


def judge(what, work, parts, recipient, oids, *key):
    """The parts of an answer: an envelope for this kind of recipient, which openssl opens, and the certificate of the key in it."""
    envelope = next((body for kind, body in parts.items() if "server-generated-key" in kind), None)
    certificates = next((body for kind, body in parts.items() if "certs-only" in kind), None)
    if not check(f"{what}: with a wrapped key and certificates", envelope and certificates, list(parts)):
        return None
    info, _ = decode(envelope, asn1Spec=rfc5652.ContentInfo())
    data, _ = decode(bytes(info["content"]), asn1Spec=rfc5652.EnvelopedData())
    check(f"{what}: the recipient is of the kind {recipient}", data["recipientInfos"][0].getName() == recipient, data.prettyPrint())
    algorithm = str(data["encryptedContentInfo"]["contentEncryptionAlgorithm"]["algorithm"])
    check(f"{what}: the content's cipher is one that the request lists", algorithm in oids, algorithm)
    package, rest = decode(opened(envelope, work, *key), asn1Spec=rfc5958.AsymmetricKeyPackage())
    check(f"{what}: openssl opens it, verifies who signed, and there is one key", not rest and len(package) == 1)
    (work / "given.der").write_bytes(encode(package[0]))
    (work / "certificates.der").write_bytes(certificates)
    (work / "given.pem").write_bytes(openssl("pkcs7", "-inform", "DER", "-in", work / "certificates.der", "-print_certs").stdout)
    held = openssl("pkey", "-inform", "DER", "-in", work / "given.der", "-pubout").stdout
    check(f"{what}: which is the certificate's", held == openssl("x509", "-in", work / "given.pem", "-noout", "-pubkey").stdout, held)
    return data, held


def wrapped(site, work, device, key_type, label, oids, recipient):
    must("onboard", "est", "--server", site.est, "--anchors", site.anchors, "--user", device, "--password-file", work / device, "--subject",
         f"CN={device}", "--label", label, "--key-type", key_type, "--out", work / f"{device}-out")
    folder = work / f"{device}-out"
    answer = ask(site, folder, label, request_for(folder, work, device, oids))
    if not check(f"{key_type}: our server answers what the library asks for", answer.status == 200, answer):
        return
    found = judge(key_type, work, parts_of(answer), recipient, oids, "-inkey", folder / "key.pem", "-recip", folder / "cert.pem")
    if found:
        check(f"{key_type}: and not the device's own", found[1] != openssl("pkey", "-in", folder / "key.pem", "-pubout").stdout)


# --- keys that device and owner share ----------------------------------------------------------------------------------------

class Sharer:
    """A device with a one-time token that shares an AES key with its owner."""

    def __init__(self, site, work, name, octets, identifier):
        self.site, self.work, self.name, self.identifier = site, work, name, identifier
        self.key = secrets.token_bytes(octets)
        self.file = work / f"{name}.key"
        self.file.write_text(base64.b64encode(self.key).decode() + "\n" if octets == 24 else self.key.hex() + "\n")
        self.file.chmod(0o600)
        self.said = must("device", "add", name, "--label", "closed", "--one-time", "--json", "--wrap-key", self.file, "--wrap-key-id",
                         identifier.hex(), "--data", site.data)
        self.token = work / f"{name}.token"
        self.token.write_text(json.loads(self.said)["token"] + "\n")
        self.token.chmod(0o600)

    def request(self, oids, identifier=None):
        wanted = encode(rfc4108.DecryptKeyIdentifier(identifier or self.identifier))
        return signed_request(self.work, self.work / "proof.pem", self.name, oids, attribute(rfc4108.id_aa_decryptKeyID, wanted))

    def asks(self, oids, identifier=None):
        """With curl: the status, and the body as a message of MIME."""
        (self.work / "request.b64").write_bytes(base64.encodebytes(self.request(oids, identifier)))
        out = subprocess.run(["curl", "-sS", "-m", "20", "--cacert", str(self.site.anchors), "-u", f"{self.name}:{self.token.read_text().strip()}",
                              "-H", "Content-Type: application/pkcs10", "--data-binary", f"@{self.work / 'request.b64'}", "-D", "-",
                              f"{self.site.est}/.well-known/est/closed/serverkeygen"], capture_output=True, timeout=30)
        head, _, body = out.stdout.partition(b"\r\n\r\n")
        kind = next((line for line in head.split(b"\r\n") if line.lower().startswith(b"content-type:")), b"")
        message = email.message_from_bytes(kind + b"\r\n\r\n" + body)
        status = int(head.split(b" ")[1]) if b" " in head else None
        if not message.is_multipart():
            return status, body.decode("latin-1")
        return status, {part["Content-Type"]: base64.b64decode(part.get_payload()) for part in message.get_payload()}

    def secret(self, key=None, identifier=None):
        return "-secretkey", (key or self.key).hex(), "-secretkeyid", (identifier or self.identifier).hex()


def shared(site, work, one):
    what = f"a shared key of {8 * len(one.key)} bits"
    oids = list(CIPHERS[len(one.key)])
    status, parts = one.asks(oids)
    if not check(f"{what}: our server answers curl", status == 200 and isinstance(parts, dict), parts):
        return
    found = judge(what, work, parts, "kekri", oids, *one.secret())
    if not found:
        return
    kek = found[0]["recipientInfos"][0]["kekri"]
    check(f"{what}: named by its identifier", bytes(kek["kekid"]["keyIdentifier"]) == one.identifier, kek.prettyPrint())
    check(f"{what}: by the key wrap that the request lists", str(kek["keyEncryptionAlgorithm"]["algorithm"]) == oids[1], kek.prettyPrint())
    envelope = (work / "envelope.der").read_bytes()
    for name, data, key in (("another key", envelope, one.secret(key=secrets.token_bytes(len(one.key)))),
                            ("another identifier", envelope, one.secret(identifier=b"\xee")),
                            ("a part of it", envelope[:-40], one.secret())):
        (work / "bad.der").write_bytes(data)
        tried = openssl("cms", "-decrypt", "-inform", "DER", "-in", work / "bad.der", "-binary", *key, good=False)
        check(f"{what}: {name} opens nothing", tried.returncode != 0, tried.stdout[:64])


def shared_refused(site, one, other):
    oids = list(CIPHERS[len(one.key)])
    for name, answer, rule in (("another device's identifier", one.asks(oids, other.identifier), "SITE-SERVER-KEYS-UNKNOWN"),
                               ("an identifier that nobody has", one.asks(oids, b"\x77"), "SITE-SERVER-KEYS-UNKNOWN"),
                               ("an algorithm that we do not have", one.asks([TRIPLE_DES]), "SITE-SERVER-KEYS-CIPHER")):
        check(f"{name}: 403", answer[0] == 403 and rule in answer[1], answer)
    must("device", "wrap-key", one.name, "--forget", one.identifier.hex(), "--data", site.data)
    answer = one.asks(oids)
    check("a key that was forgotten: 403", answer[0] == 403 and "SITE-SERVER-KEYS-UNKNOWN" in answer[1], answer)
    must("device", "wrap-key", one.name, "--wrap-key", one.file, "--wrap-key-id", "99", "--data", site.data)
    answer = one.asks(oids, b"\x99")
    check("which is back under another identifier: 200", answer[0] == 200, answer)
    twice = imprint("device", "wrap-key", other.name, "--wrap-key", one.file, "--wrap-key-id", "55", "--data", site.data)
    check("a key of another device is not taken", twice.returncode != 0 and "DEVICE-WRAP-KEY-TAKEN" in twice.stderr, twice.stderr)
    must("device", "retire", other.name, "--data", site.data)
    answer = other.asks(oids)
    check("a retired device gets nothing: its token ended with it", answer[0] == 401 and "SITE-TOKEN-SPENT" in answer[1], answer)
    rows = site.query(f"SELECT count(*) FROM wrap_keys WHERE device = '{other.name}'")
    check("and its key is forgotten", rows == [(0,)], rows)


def our_client(site, work, one):
    out = work / f"{one.name}-out"
    key = ["--server-key", "wrapped", "--wrap-key", one.file, "--wrap-key-id", one.identifier.hex()]
    ran = site.onboard(out, "--label", "closed", "--user", one.name, "--password-file", one.token, *key)
    check("our client gets its key under the shared one", ran.returncode == 0, ran.stderr)
    first = openssl("pkey", "-in", out / "key.pem", "-pubout").stdout
    check("which is its certificate's", first == openssl("x509", "-in", out / "cert.pem", "-noout", "-pubkey").stdout)
    ran = site.onboard(out, "--label", "closed", "--renew", *key)
    second = openssl("pkey", "-in", out / "key.pem", "-pubout").stdout
    check("and another one when it renews", ran.returncode == 0 and first != second, ran.stderr)
    check("which is that certificate's", second == openssl("x509", "-in", out / "cert.pem", "-noout", "-pubkey").stdout)


def from_the_factory(site, work):
    out = work / "lamps"
    must("factory", "make", "--model", "lamp", "--wrap-key", "--label", "closed", "--out", out, "--data", site.data)
    must("device", "import", out / "manifest.jsonl", "--data", site.data)
    again = json.loads(must("device", "import", out / "manifest.jsonl", "--json", "--data", site.data))
    check("the same manifest again changes nothing", again["added"] == 0, again)
    return out / "lamp-0001"


def nowhere(site, work, keys):
    """No shared key is in the owner's folder, in whatever form."""
    forms = [form for key in keys for form in (key, key.hex().encode(), base64.b64encode(key))]
    found = [str(file) for file in site.data.rglob("*") if file.is_file() and any(form in file.read_bytes() for form in forms)]
    check("no shared key is on the owner's disk in clear", not found, found)


def refused(site, work):
    folder = work / "ec-1-out"
    answer = ask(site, folder, "agree", request_for(folder, work, "ec-1", ["1.2.840.113549.3.7"]))
    check("only an algorithm that we do not have: 403", answer.status == 403 and "SITE-SERVER-KEYS-CIPHER" in answer.text, answer.text)
    answer = ask(site, folder, "agree", make_csr(folder / "key.pem", "ec-1"))
    check("in clear, where the profile wants it wrapped: 403", answer.status == 403, answer)


def main():
    with scratch("wrapped") as folder:
        work = Path(folder)
        (work / "imprint.toml").write_text(CONFIG)
        site = Site(work / "site", work / "imprint.toml")
        for device, label in (("ec-1", "agree"), ("rsa-1", "encipher")):
            added = must("device", "add", device, "--label", label, "--one-time", "--json", "--data", site.data)
            (work / device).write_text(json.loads(added)["token"] + "\n")
            (work / device).chmod(0o600)
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", work / "proof.pem")
        sharers = [Sharer(site, work, f"shared-{octets}", octets, bytes([octets, 1])) for octets in (16, 24, 32)]
        ours = Sharer(site, work, "ours", 32, b"\x01")
        lamp = from_the_factory(site, work)
        said = [one.said for one in (*sharers, ours)]
        check("the owner's command shows no key", not any(one.key.hex() in "".join(said) for one in (*sharers, ours)))
        if not check("our server starts", site.start(log=work / "server.log")):
            return finish()
        try:
            wrapped(site, work, "ec-1", "p256", "agree", [AES256_CBC, AES256_WRAP, ECDH_SHA256], "kari")
            wrapped(site, work, "rsa-1", "rsa2048", "encipher", [AES128_CBC, RSA_OAEP], "ktri")
            refused(site, work)
            if shutil.which("curl"):
                for one in sharers:
                    shared(site, work, one)
                shared_refused(site, sharers[0], sharers[2])
            else:
                skip("a device that shares a key asks with curl", "curl is missing")
            our_client(site, work, ours)
            ran = site.onboard(work / "lamp-out", "--device", lamp, "--server-key", "wrapped")
            check("a device of the factory's gets its key under the one that it was born with", ran.returncode == 0, ran.stderr)
            nowhere(site, work, [one.key for one in (*sharers, ours)])
        finally:
            site.stop()
        log = (work / "server.log").read_bytes()
        check("nor in the server's log", not any(one.key.hex().encode() in log for one in (*sharers, ours)))
    return finish()


if __name__ == "__main__":
    sys.exit(main())
