#!/usr/bin/env python3
"""Keys that our server makes and wraps (RFC 7030 section 4.4): pyasn1-alt-modules writes the request's attributes, and the
openssl command opens the envelope, verifies the signature in it and reads the key, for a device with a key on P-256 and for
one with an RSA key.

The library is brought by peers.sh into .peers/asn1; this script runs with the Python of that folder."""
import base64
import email
import json
import os
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".peers" / "asn1" / "bin" / "python3"
sys.path.insert(0, str(ROOT / "tests" / "faults"))
from common import (Answer, Site, check, client_context, enrolment, finish, make_csr, must, openssl, scratch, skip)  # noqa: E402

try:
    from pyasn1.codec.der.decoder import decode
    from pyasn1.codec.der.encoder import encode
    from pyasn1.type import univ
    from pyasn1_alt_modules import rfc2986, rfc5652, rfc5751, rfc5958, rfc7030
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
"""
AES128_CBC, AES256_CBC, AES256_WRAP = "2.16.840.1.101.3.4.1.2", "2.16.840.1.101.3.4.1.42", "2.16.840.1.101.3.4.1.45"
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
    key = folder / "key.pem"
    base, _ = decode(make_csr(key, device), asn1Spec=rfc2986.CertificationRequest())
    info = base["certificationRequestInfo"]
    info["attributes"].append(attribute(rfc5751.smimeCapabilities, capabilities(oids)))
    wanted = encode(rfc7030.AsymmetricDecryptKeyIdentifier(key_identifier(folder / "cert.pem")))
    info["attributes"].append(attribute(rfc7030.id_aa_asymmDecryptKeyID, wanted))
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


def opened(envelope, folder, work):
    """What the openssl command finds in the envelope: the AsymmetricKeyPackage that was signed."""
    (work / "envelope.der").write_bytes(envelope)
    inside = openssl("cms", "-decrypt", "-inform", "DER", "-in", work / "envelope.der", "-inkey", folder / "key.pem", "-recip",
                     folder / "cert.pem", "-binary").stdout
    content = rfc5652.ContentInfo()  # inside is a SignedData without it (RFC 5652 section 6)
    content["contentType"] = rfc5652.id_signedData
    content["content"] = univ.Any(inside)
    (work / "signed.der").write_bytes(encode(content))
    return openssl("cms", "-verify", "-inform", "DER", "-in", work / "signed.der", "-CAfile", work / "site" / "ca" / "chain.pem", "-purpose",
                   "any", "-binary").stdout


def wrapped(site, work, device, key_type, label, oids, recipient):
    must("onboard", "est", "--server", site.est, "--anchors", site.anchors, "--user", device, "--password-file", work / device, "--subject",
         f"CN={device}", "--label", label, "--key-type", key_type, "--out", work / f"{device}-out")
    folder = work / f"{device}-out"
    answer = ask(site, folder, label, request_for(folder, work, device, oids))
    if not check(f"{key_type}: our server answers what the library asks for", answer.status == 200, answer):
        return
    parts = parts_of(answer)
    envelope = next((body for kind, body in parts.items() if "server-generated-key" in kind), None)
    certificates = next((body for kind, body in parts.items() if "certs-only" in kind), None)
    if not check(f"{key_type}: with a wrapped key and certificates", envelope and certificates, list(parts)):
        return
    info, _ = decode(envelope, asn1Spec=rfc5652.ContentInfo())
    data, _ = decode(bytes(info["content"]), asn1Spec=rfc5652.EnvelopedData())
    check(f"{key_type}: the recipient is of the kind {recipient}", data["recipientInfos"][0].getName() == recipient, data.prettyPrint())
    algorithm = str(data["encryptedContentInfo"]["contentEncryptionAlgorithm"]["algorithm"])
    check(f"{key_type}: the content's cipher is one that the request lists", algorithm in oids, algorithm)
    package, rest = decode(opened(envelope, folder, work), asn1Spec=rfc5958.AsymmetricKeyPackage())
    check(f"{key_type}: openssl opens it, verifies who signed, and there is one key", not rest and len(package) == 1)
    (work / "given.der").write_bytes(encode(package[0]))
    (work / "certificates.der").write_bytes(certificates)
    (work / "given.pem").write_bytes(openssl("pkcs7", "-inform", "DER", "-in", work / "certificates.der", "-print_certs").stdout)
    held = openssl("pkey", "-inform", "DER", "-in", work / "given.der", "-pubout").stdout
    check(f"{key_type}: which is the certificate's", held == openssl("x509", "-in", work / "given.pem", "-noout", "-pubkey").stdout, held)
    check(f"{key_type}: and not the device's own", held != openssl("pkey", "-in", folder / "key.pem", "-pubout").stdout)


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
        if not check("our server starts", site.start()):
            return finish()
        try:
            wrapped(site, work, "ec-1", "p256", "agree", [AES256_CBC, AES256_WRAP, ECDH_SHA256], "kari")
            wrapped(site, work, "rsa-1", "rsa2048", "encipher", [AES128_CBC, RSA_OAEP], "ktri")
            refused(site, work)
        finally:
            site.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
