#!/usr/bin/env python3
"""pyasn1-alt-modules, an independent library of ASN.1 modules, reads what we write and writes what we read: csrattrs with
RFC 9908's template, and RFC 6402's ChangeSubjectName. On the wire, in both directions.

The library is brought by peers.sh into .peers/asn1; this script runs with the Python of that folder."""
import base64
import http.client
import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".peers" / "asn1" / "bin" / "python3"
sys.path.insert(0, str(ROOT / "tests" / "faults"))
from common import (Answer, Site, check, client_context, enrolment, finish, imprint, make_csr, make_key, must, openssl,  # noqa: E402
                    scratch, serial_of, skip)

try:
    from pyasn1.codec.der.decoder import decode
    from pyasn1.codec.der.encoder import encode
    from pyasn1.type import univ
    from pyasn1_alt_modules import rfc2986, rfc5280, rfc6402, rfc7030, rfc9908
except ImportError:
    if PYTHON.exists() and Path(sys.executable) != PYTHON:
        os.execv(PYTHON, [str(PYTHON), __file__])
    why = ROOT / ".peers" / "asn1.missing"
    skip("pyasn1-alt-modules", why.read_text().strip() if why.exists() else "run tests/interop/est/peers.sh asn1")
    sys.exit(finish())

EC, P384, P256 = "1.2.840.10045.2.1", "1.3.132.0.34", "1.2.840.10045.3.1.7"
EXTENSION_REQUEST, EKU, CHANGE_NAMES = "1.2.840.113549.1.9.14", "2.5.29.37", "1.3.6.1.5.5.7.7.36"
CLIENT_AUTH = bytes.fromhex("300a06082b06010505070302")
CONFIG = f"""
[profiles.default]
use_template = true
wanted_key = 'p384'
wanted_extensions = ['{EKU}={CLIENT_AUTH.hex()}']
change_names = true
common_names = ['{{id}}', '{{id}}-new']
alt_names = ['dns:{{id}}.example']
[profiles.fixed]
"""


def whole(data, spec):
    """What the library reads; nothing may be left over, and it writes the same bytes again."""
    value, rest = decode(data, asn1Spec=spec)
    assert not rest and encode(value) == data, "not DER, or something is left over"
    return value


# ---- our server's csrattrs ----

def template_in(csrattrs):
    for one in whole(csrattrs, rfc7030.CsrAttrs()):
        if one.getName() == "attribute" and one["attribute"]["attrType"] == rfc9908.id_aa_certificationRequestInfoTemplate:
            return whole(bytes(one["attribute"]["attrValues"][0]), rfc9908.CertificationRequestInfoTemplate())
    return None


def server_template(site):
    api = http.client.HTTPSConnection("localhost", site.port, context=client_context(site.anchors), timeout=10)
    api.request("GET", "/.well-known/est/csrattrs")
    template = template_in(base64.b64decode(api.getresponse().read()))
    if not check("the library finds a template in our csrattrs", template is not None):
        return
    algorithm = template["subjectPKInfo"]["algorithm"]
    check("it asks for the key of the profile", str(algorithm["algorithm"]) == EC and
          str(decode(bytes(algorithm["parameters"]))[0]) == P384, template.prettyPrint())
    check("and for its extensions", any(CLIENT_AUTH in encode(a) for a in template["attributes"]), template.prettyPrint())


# ---- a template of the library's, and our client ----

def library_template():
    out = rfc9908.CertificationRequestInfoTemplate()
    out["version"] = 0
    out["subjectPKInfo"]["algorithm"]["algorithm"] = univ.ObjectIdentifier(EC)
    out["subjectPKInfo"]["algorithm"]["parameters"] = univ.Any(encode(univ.ObjectIdentifier(P384)))
    out["attributes"].clear()
    extension = rfc5280.Extension()
    extension["extnID"] = univ.ObjectIdentifier(EKU)
    extension["extnValue"] = univ.OctetString(CLIENT_AUTH)
    extensions = rfc5280.Extensions()
    extensions.append(extension)
    attribute = out["attributes"].componentType.clone()
    attribute[0] = univ.ObjectIdentifier(EXTENSION_REQUEST)
    attribute[1].append(univ.Any(encode(extensions)))
    out["attributes"].append(attribute)
    wish = rfc7030.AttrOrOID()
    wish["attribute"]["attrType"] = rfc9908.id_aa_certificationRequestInfoTemplate
    wish["attribute"]["attrValues"].append(univ.Any(encode(out)))
    wishes = rfc7030.CsrAttrs()
    wishes.append(wish)
    return encode(wishes)


class Est(http.server.BaseHTTPRequestHandler):
    """Serves two documents, keeps the requests for certificates that it gets, and grants none."""
    protocol_version = "HTTP/1.1"
    documents, kept = {}, []

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        body = self.documents.get(self.path.rsplit("/", 1)[1])
        self.answer(200 if body else 404, "application/pkcs7-mime", base64.b64encode(body or b""))

    def do_POST(self):
        self.kept.append((self.path, base64.b64decode(self.rfile.read(int(self.headers["Content-Length"])))))
        self.answer(400, "text/plain", b"kept, not granted\n")

    def log_message(self, *_):
        pass


def serve(site):
    """A server under the same CA as the site's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site.data / "tls" / "chain.pem", site.data / "tls" / "key.pem")
    context.load_verify_locations(str(site.anchors))
    context.verify_mode = ssl.CERT_OPTIONAL
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Est)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def client_template(site, work, server):
    (work / "token").write_text("any-token-that-nobody-looks-at-0123456789\n")
    imprint("onboard", "est", "--server", f"https://localhost:{server.server_port}", "--anchors", site.anchors, "--user", "dev-1",
            "--password-file", work / "token", "--subject", "CN=dev-1", "--attempts", "1", "--out", work / "captured")
    if not check("our client asks the server with the library's template", Est.kept and Est.kept[-1][0].endswith("simpleenroll"), Est.kept):
        return
    csr = Est.kept[-1][1]
    request = whole(csr, rfc2986.CertificationRequest())
    algorithm = request["certificationRequestInfo"]["subjectPKInfo"]["algorithm"]
    check("with a key as the template wants it", str(decode(bytes(algorithm["parameters"]))[0]) == P384, request.prettyPrint())
    check("and with its extension", CLIENT_AUTH in csr)


# ---- ChangeSubjectName ----

def change_from_client(site, work, server):
    must("onboard", "est", "--server", site.est, "--anchors", site.anchors, "--user", "dev-2", "--password-file", work / "token-2",
         "--subject", "CN=dev-2", "--out", work / "dev-2")
    Est.kept.clear()
    imprint("onboard", "est", "--server", f"https://localhost:{server.server_port}", "--renew", "--subject", "CN=dev-2-new",
            "--attempts", "1", "--out", work / "dev-2")
    if not check("our client asks for a renewal", Est.kept and Est.kept[-1][0].endswith("simplereenroll"), Est.kept):
        return
    info = whole(Est.kept[-1][1], rfc2986.CertificationRequest())["certificationRequestInfo"]
    change = [a for a in info["attributes"] if str(a["type"]) == CHANGE_NAMES]
    wanted = whole(bytes(change[0]["values"][0]), rfc6402.ChangeSubjectName()) if change else None
    check("the library reads its ChangeSubjectName", wanted is not None and b"dev-2-new" in encode(wanted["subject"]), info.prettyPrint())
    check("the request itself keeps the old name", b"dev-2" in encode(info["subject"]) and b"new" not in encode(info["subject"]))
    out = imprint("onboard", "est", "--json", "--server", site.est, "--renew", "--subject", "CN=dev-2-new", "--out", work / "dev-2")
    subject = openssl("x509", "-in", work / "dev-2" / "cert.pem", "-noout", "-subject").stdout.decode()
    check("our server grants it", out.returncode == 0 and "dev-2-new" in subject, out.stderr + subject)


def name(text):
    return decode(subprocess.run(["openssl", "req", "-new", "-batch", "-newkey", "ed25519", "-nodes", "-keyout", "/dev/null", "-subj", text,
                                  "-outform", "DER"], capture_output=True, check=True).stdout,
                  asn1Spec=rfc2986.CertificationRequest())[0]["certificationRequestInfo"]["subject"]


def library_request(key, work, old, new, dns):
    """A request for the old name that asks for new ones, written by the library, signed by openssl."""
    base = whole(make_csr(key, old), rfc2986.CertificationRequest())
    change = rfc6402.ChangeSubjectName()
    change["subject"] = name("/CN=" + new)
    change["subjectAlt"].append(rfc5280.GeneralName().setComponentByName("dNSName", dns))
    attribute = rfc2986.Attribute()
    attribute["type"] = univ.ObjectIdentifier(CHANGE_NAMES)
    attribute["values"].append(univ.Any(encode(change)))
    base["certificationRequestInfo"]["attributes"].append(attribute)
    info = work / "info.der"
    info.write_bytes(encode(base["certificationRequestInfo"]))
    signature = openssl("dgst", "-sha256", "-sign", key, info).stdout
    base["signature"] = univ.BitString.fromOctetString(signature)
    return encode(base)


def change_from_library(site, work):
    for device, label, wanted in (("dev-3", "", 200), ("dev-4", "/fixed", 403)):
        folder = work / device
        must("onboard", "est", "--server", site.est, "--anchors", site.anchors, "--user", device, "--password-file", work / f"token-{device[-1]}",
             "--subject", f"CN={device}", "--label", label[1:], "--out", folder)
        key = folder / "key.pem"
        der = library_request(key, work, device, f"{device}-new", f"{device}.example")
        raw = socket.create_connection(("localhost", site.port), timeout=10)
        context = client_context(site.anchors, folder / "chain.pem", key)
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(enrolment(der, operation="simplereenroll").replace(b"/est/", f"/est{label}/".encode(), 1))
            answer = Answer(tls)
        if wanted == 200 and check("our server grants what the library asks for", answer.status == 200, answer):
            serial = answer.certificate(work)
            text = openssl("x509", "-in", work / "answer.pem", "-noout", "-subject", "-ext", "subjectAltName").stdout.decode()
            check("with the new names", "dev-3-new" in text and "DNS:dev-3.example" in text, text + serial)
        elif wanted != 200:
            check("a profile that allows no change refuses it", answer.status == wanted and "SITE-NAMES" in answer.text, answer)


def main():
    with scratch("asn1") as folder:
        work = Path(folder)
        (work / "imprint.toml").write_text(CONFIG)
        site = Site(work / "site", work / "imprint.toml")
        for n in (2, 3):
            (work / f"token-{n}").write_text(site.token(f"dev-{n}") + "\n")
        added = must("device", "add", "dev-4", "--label", "fixed", "--one-time", "--json", "--data", site.data)
        (work / "token-4").write_text(json.loads(added)["token"] + "\n")
        if not check("our server starts", site.start()):
            return finish()
        server = serve(site)
        try:
            server_template(site)
            pkcs7 = openssl("crl2pkcs7", "-nocrl", "-certfile", site.anchors, "-outform", "DER").stdout
            Est.documents = {"cacerts": pkcs7, "csrattrs": library_template()}
            client_template(site, work, server)
            Est.documents.pop("csrattrs")
            change_from_client(site, work, server)
            change_from_library(site, work)
        finally:
            server.shutdown()
            site.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
