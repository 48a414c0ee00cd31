#!/usr/bin/env python3
"""fullcmc (RFC 7030 section 4.3) against other people's code: pyasn1-alt-modules writes and reads the messages of CMC and
CRMF, the openssl command signs and verifies what is around them. As client of our server: renewal by a signed request, with
PKCS#10 and with CRMF, and what has to be refused in the same form. As server of our client: enrolment and renewal.

The library is brought by peers.sh into .peers/asn1; this script runs with the Python of that folder."""
import base64
import http.server
import os
import socket
import ssl
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".peers" / "asn1" / "bin" / "python3"
sys.path.insert(0, str(ROOT / "tests" / "faults"))
from common import (Answer, Site, check, client_context, finish, imprint, make_csr, make_key, must, openssl, scratch, skip)  # noqa: E402

try:
    from pyasn1.codec.der.decoder import decode
    from pyasn1.codec.der.encoder import encode
    from pyasn1.type import univ
    from pyasn1_alt_modules import rfc2986, rfc4211, rfc6402
except ImportError:
    if PYTHON.exists() and Path(sys.executable) != PYTHON:
        os.execv(PYTHON, [str(PYTHON), __file__])
    why = ROOT / ".peers" / "asn1.missing"
    skip("pyasn1-alt-modules", why.read_text().strip() if why.exists() else "run tests/interop/est/peers.sh asn1")
    sys.exit(finish())

PKI_DATA, PKI_RESPONSE = "1.3.6.1.5.5.7.12.2", "1.3.6.1.5.5.7.12.3"
REVOKE_REQUEST = "1.3.6.1.5.5.7.7.17"
TRANSACTION, NONCE = 0x1234567, b"our nonce"


# ---- messages, by the library ----

def control(number, oid, value):
    out = rfc6402.TaggedAttribute()
    out["bodyPartID"] = number
    out["attrType"] = univ.ObjectIdentifier(oid)
    out["attrValues"].append(univ.Any(encode(value)))
    return out


def pki_data(request, more=()):
    """PKIData around this TaggedRequest (DER); the library reads it before anybody else does."""
    ids = [control(10, str(rfc6402.id_cmc_transactionId), univ.Integer(TRANSACTION)),
           control(11, str(rfc6402.id_cmc_senderNonce), univ.OctetString(NONCE))]
    controls = b"".join(encode(one) for one in ids + list(more))
    out = sequence(sequence(controls) + sequence(request) + sequence(b"") + sequence(b""))
    data, rest = decode(out, asn1Spec=rfc6402.PKIData())
    assert not rest and len(data["reqSequence"]) == 1
    return out


def with_pkcs10(der):
    content = encode(univ.Integer(12)) + der
    return b"\xa0" + length(content) + content


def crmf_message(key, name, work):
    pkcs10, _ = decode(make_csr(key, name), asn1Spec=rfc2986.CertificationRequest())
    info = pkcs10["certificationRequestInfo"]
    subject, spki = encode(info["subject"]), encode(info["subjectPKInfo"])
    fields = b"\xa5" + length(subject) + subject + b"\xa6" + spki[1:]  # [5] explicit Name, [6] implicit key
    request = sequence(encode(univ.Integer(12)) + sequence(fields))
    (work / "request.der").write_bytes(request)
    signature = encode(univ.BitString.fromOctetString(openssl("dgst", "-sha256", "-sign", key, work / "request.der").stdout))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    proof = algorithm + signature
    content = request + b"\xa1" + length(proof) + proof
    message, rest = decode(sequence(content), asn1Spec=rfc4211.CertReqMsg())  # the library takes it for one
    assert not rest and encode(message) == sequence(content)
    return b"\xa1" + length(content) + content


def length(content):
    n = len(content)
    return bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else bytes([0x82, n >> 8, n & 255])


def sequence(content):
    return b"\x30" + length(content) + content


# ---- signatures, by openssl ----

def sign(content, kind, certificate, key, work, *more):
    (work / "content").write_bytes(content)
    return openssl("cms", "-sign", "-in", work / "content", "-binary", "-nodetach", "-nosmimecap", "-econtent_type", kind, "-outform", "DER",
                   "-md", "sha256", "-signer", certificate, "-inkey", key, *more).stdout


def verified(body, anchors, work):
    """The content of a signed message whose signer openssl finds below the anchors."""
    (work / "signed.der").write_bytes(body)
    return openssl("cms", "-verify", "-inform", "DER", "-in", work / "signed.der", "-binary", "-CAfile", anchors, "-purpose", "any").stdout


def response_in(content):
    """Status, failure, transaction, recipient nonce and the body part that it is about."""
    response, rest = decode(content, asn1Spec=rfc6402.PKIResponse())
    assert not rest
    out = {}
    for one in response["controlSequence"]:
        value = bytes(one["attrValues"][0])
        if one["attrType"] == rfc6402.id_cmc_statusInfoV2:
            status, _ = decode(value, asn1Spec=rfc6402.CMCStatusInfoV2())
            out["status"] = int(status["cMCStatus"])
            out["part"] = int(status["bodyList"][0]["bodyPartID"])
            if status["otherInfo"].isValue and status["otherInfo"].getName() == "failInfo":
                out["failure"] = int(status["otherInfo"]["failInfo"])
        elif one["attrType"] == rfc6402.id_cmc_transactionId:
            out["transaction"] = int(decode(value)[0])
        elif one["attrType"] == rfc6402.id_cmc_recipientNonce:
            out["nonce"] = bytes(decode(value)[0])
    return out


# ---- as client of our server ----

def post(site, make, own=None):
    """Posts make(tls-unique of the connection, base64), on a connection with the certificate of this folder or with none."""
    raw = socket.create_connection(("localhost", site.port), timeout=20)
    context = client_context(site.anchors, own and own / "chain.pem", own and own / "key.pem", tls12=True)
    with context.wrap_socket(raw, server_hostname="localhost") as tls:
        body = base64.encodebytes(make(base64.b64encode(tls.get_channel_binding("tls-unique")).decode()))
        head = ["POST /.well-known/est/fullcmc HTTP/1.1", "Host: localhost",
                "Content-Type: application/pkcs7-mime; smime-type=CMC-request", f"Content-Length: {len(body)}"]
        tls.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        return Answer(tls)


def said(answer, site, work):
    return response_in(verified(base64.b64decode(answer.body), site.anchors, work))


def renewals(site, work):
    folder = work / "dev-1"
    must("onboard", "est", "--server", site.est, "--anchors", site.anchors, "--user", "dev-1", "--password-file", work / "token-1",
         "--subject", "CN=dev-1", "--out", folder)
    key = make_key(work / "new.key")
    for what, own, request in (("PKCS#10 on a connection without a certificate, linked to it", None,
                                lambda link: with_pkcs10(make_csr(key, "dev-1", link))),
                               ("CRMF on a connection with the certificate", folder, lambda _: crmf_message(key, "dev-1", work))):
        answer = post(site, lambda link, request=request: sign(pki_data(request(link)), PKI_DATA, folder / "cert.pem", folder / "key.pem",
                                                               work), own)
        if not check(f"{what}: our server answers a renewal that the old key signs", answer.status == 200, answer):
            continue
        got = said(answer, site, work)
        check(f"{what}: the library reads success, our transaction and our nonce",
              got == {"status": 0, "part": got.get("part"), "transaction": TRANSACTION, "nonce": NONCE}, got)
        (work / "answer.der").write_bytes(base64.b64decode(answer.body))
        (work / "along.pem").write_bytes(openssl("pkcs7", "-inform", "DER", "-in", work / "answer.der", "-print_certs").stdout)
        wanted = openssl("pkey", "-in", key, "-pubout").stdout
        held = [c for c in certificates_in(work / "along.pem", work) if openssl("x509", "-in", c, "-noout", "-pubkey").stdout == wanted]
        check(f"{what}: one certificate is for the new key", len(held) == 1, held)
        check(f"{what}: below the owner's CA", held and openssl("verify", "-CAfile", site.anchors, held[0], good=False).returncode == 0)


def certificates_in(path, work):
    out = []
    for n, block in enumerate(path.read_text().split("-----END CERTIFICATE-----")[:-1]):
        one = work / f"along-{n}.pem"
        one.write_text(block[block.index("-----BEGIN"):] + "-----END CERTIFICATE-----\n")
        out.append(one)
    return out


def refusals(site, work):
    folder, key = work / "dev-1", make_key(work / "other.key")
    request = with_pkcs10(make_csr(key, "dev-1"))
    revoke = control(77, REVOKE_REQUEST, univ.Sequence())

    def refused(own, make, status):
        answer = post(site, make, own)
        check(f"it is refused with {status}", answer.status == status, answer)
        return said(answer, site, work) if own else answer.body

    got = refused(folder, lambda _: sign(pki_data(request, [revoke]), PKI_DATA, folder / "cert.pem", folder / "key.pem", work), 400)
    check("a control that it does not know: badRequest, by the control's id",
          (got.get("status"), got.get("failure"), got.get("part")) == (2, 2, 77), got)
    openssl("req", "-x509", "-new", "-key", key, "-subj", "/CN=dev-1", "-days", "2", "-out", work / "self.pem")
    got = refused(folder, lambda _: sign(pki_data(request), PKI_DATA, work / "self.pem", key, work), 403)
    check("signed by a stranger's certificate: badIdentity", (got.get("status"), got.get("failure")) == (2, 7), got)
    whole = sign(pki_data(request), PKI_DATA, folder / "cert.pem", folder / "key.pem", work)
    got = refused(folder, lambda _: whole[:-1] + bytes([whole[-1] ^ 1]), 400)
    check("damaged: badMessageCheck, about the whole", (got.get("failure"), got.get("part")) == (1, 0), got)
    got = refused(folder, lambda _: sign(pki_data(request), PKI_DATA, folder / "cert.pem", folder / "key.pem", work, "-noattr"), 400)
    check("without signed attributes: badAlg", got.get("failure") == 0, got)
    got = refused(None, lambda _: whole, 403)
    check("not linked, on a connection that proves nobody: no word is signed for it", b"EST-CMC-SIGNER" in got, got)
    refused(None, lambda _: sign(pki_data(request), "1.2.840.113549.1.7.1", folder / "cert.pem", folder / "key.pem", work), 400)
    # What somebody sent who may, sent again by somebody else.
    kept = []
    answer = post(site, lambda link: kept.append(sign(pki_data(with_pkcs10(make_csr(key, "dev-1", link))), PKI_DATA, folder / "cert.pem",
                                                      folder / "key.pem", work)) or kept[0])
    check("a request linked to its connection", answer.status == 200, answer)
    refused(None, lambda _: kept[0], 403)


# ---- as server of our client ----

class Est(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    work = ca = None
    kept, spoil = [], False

    def answer(self, status, kind, body):
        body = base64.encodebytes(body)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        name = self.path.rsplit("/", 1)[1]
        if name == "cacerts":
            self.answer(200, "application/pkcs7-mime", openssl("crl2pkcs7", "-nocrl", "-certfile", self.ca / "ca.pem", "-outform", "DER").stdout)
        else:
            self.answer(404, "text/plain", b"")

    def do_POST(self):
        body = base64.b64decode(self.rfile.read(int(self.headers["Content-Length"])))
        kind = self.headers["Content-Type"]
        data, rest = decode(verified(body, self.ca / "known.pem", self.work), asn1Spec=rfc6402.PKIData())
        assert not rest
        ids = {str(c["attrType"]): bytes(c["attrValues"][0]) for c in data["controlSequence"]}
        pkcs10 = encode(data["reqSequence"][0]["tcr"]["certificationRequest"])
        self.kept.append((self.path, kind, openssl("req", "-inform", "DER", "-noout", "-verify", "-subject", data=pkcs10).stdout.decode()))
        (self.work / "csr.der").write_bytes(pkcs10)
        openssl("x509", "-req", "-inform", "DER", "-in", self.work / "csr.der", "-CA", self.ca / "ca.pem", "-CAkey", self.ca / "ca.key", "-days",
                "2", "-out", self.work / "issued.pem")
        response = rfc6402.PKIResponse()
        status = rfc6402.CMCStatusInfoV2()
        status["cMCStatus"] = 0
        part = rfc6402.BodyPartReference()
        part["bodyPartID"] = int(data["reqSequence"][0]["tcr"]["bodyPartID"])
        status["bodyList"].append(part)
        nonce = decode(ids[str(rfc6402.id_cmc_senderNonce)])[0]
        for number, oid, value in ((1, rfc6402.id_cmc_statusInfoV2, status), (2, rfc6402.id_cmc_transactionId, decode(
                ids[str(rfc6402.id_cmc_transactionId)])[0]), (3, rfc6402.id_cmc_recipientNonce, nonce),
                (4, rfc6402.id_cmc_senderNonce, univ.OctetString(b"its nonce"))):
            response["controlSequence"].append(control(number, str(oid), value))
        response["cmsSequence"].clear()
        response["otherMsgSequence"].clear()
        signed = sign(encode(response), PKI_RESPONSE, self.ca / ("tls.pem" if not self.spoil else "other.pem"),
                      self.ca / ("tls.key" if not self.spoil else "other.key"), self.work, "-certfile", self.work / "issued.pem")
        self.answer(200, "application/pkcs7-mime; smime-type=CMC-response", signed)

    def log_message(self, *_):
        pass


def make_ca(work, maker):
    ca = work / "ca"
    ca.mkdir()
    for name in ("ca", "tls", "other"):
        make_key(ca / f"{name}.key")
    for name in ("ca", "other"):
        openssl("req", "-x509", "-new", "-key", ca / f"{name}.key", "-subj", f"/CN=CA {name}", "-days", "3", "-out", ca / f"{name}.pem",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign,digitalSignature")
    csr = openssl("req", "-new", "-key", ca / "tls.key", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1").stdout
    (ca / "tls.pem").write_bytes(openssl("x509", "-req", "-CA", ca / "ca.pem", "-CAkey", ca / "ca.key", "-days", "3", "-copy_extensions",
                                         "copyall", data=csr).stdout)
    (ca / "known.pem").write_bytes((ca / "ca.pem").read_bytes() + maker.read_bytes())
    return ca


def our_client(site, work):
    out = work / "factory"
    must("factory", "make", "--data", site.data, "--model", "CMC", "--count", "1", "--out", out)
    Est.work, Est.ca = work, make_ca(work, out / "maker-root.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Est.ca / "tls.pem", Est.ca / "tls.key")
    context.load_verify_locations(str(Est.ca / "known.pem"))
    context.verify_mode = ssl.CERT_OPTIONAL
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Est)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url, folder = f"https://localhost:{server.server_port}", work / "cmc-1"
    try:
        first = imprint("onboard", "est", "--server", url, "--anchors", Est.ca / "ca.pem", "--device", out / "CMC-0001", "--subject",
                        "CN=CMC-0001", "--fullcmc", "--attempts", "1", "--out", folder)
        check("our client enrols there by fullcmc", first.returncode == 0, first.stderr)
        check("openssl verified its signature, and the library read the request",
              len(Est.kept) == 1 and Est.kept[0][0].endswith("/fullcmc") and "smime-type=CMC-request" in Est.kept[0][1], Est.kept)
        check("its certificate is below that CA", openssl("verify", "-CAfile", Est.ca / "ca.pem", folder / "cert.pem", good=False).returncode == 0)
        before = (folder / "cert.pem").read_bytes()
        again = imprint("onboard", "est", "--server", url, "--renew", "--fullcmc", "--attempts", "1", "--out", folder)
        check("and renews, signed by the certificate that it has", again.returncode == 0 and len(Est.kept) == 2, again.stderr)
        check("with another certificate", (folder / "cert.pem").read_bytes() != before)
        Est.spoil = True
        kept = (folder / "cert.pem").read_bytes()
        spoilt = imprint("onboard", "est", "--server", url, "--renew", "--fullcmc", "--attempts", "1", "--json", "--out", folder)
        check("an answer that another CA signed is refused", spoilt.returncode != 0 and "EST-CMC-ANSWER" in spoilt.stdout + spoilt.stderr,
              spoilt.stdout + spoilt.stderr)
        check("and what it had is kept", (folder / "cert.pem").read_bytes() == kept)
    finally:
        server.shutdown()


def main():
    with scratch("fullcmc") as folder:
        work = Path(folder)
        site = Site(work / "site", None)
        (work / "token-1").write_text(site.token("dev-1") + "\n")
        (work / "token-1").chmod(0o600)
        if not check("our server starts", site.start()):
            return finish()
        try:
            renewals(site, work)
            refusals(site, work)
            our_client(site, work)
        finally:
            site.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
