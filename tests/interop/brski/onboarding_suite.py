#!/usr/bin/env python3
"""Whole onboardings by BRSKI: our pledge, registrar and MASA together, and each of the three with the openssl command and curl in the place of
its peers.

The peer by hand signs and checks with `openssl cms` and speaks HTTPS with curl; what it takes and gives is written down here, from RFC 8995."""
import base64
import json
import select
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from players import MEDIA, Maker, Owner  # noqa: E402
from common import check, error_of, fault_of, finish, imprint, must, openssl, scratch  # noqa: E402

VOUCHER_TYPE = "1.2.840.113549.1.9.16.1.40"
ROOT = "/.well-known/brski"


def curl(url, *arguments, body=None, work=None):
    """Status, headers and body."""
    head, out = work / "head", work / "body"
    out.unlink(missing_ok=True)
    data = ["--data-binary", "@-"] if body is not None else []
    done = subprocess.run(["curl", "-s", "-S", "--max-time", "20", "-D", str(head), "-o", str(out), "-w", "%{http_code}", *data, *map(str, arguments), url],
                          input=body, capture_output=True, timeout=30)
    return int(done.stdout or b"0"), head.read_text() if head.exists() else "", out.read_bytes() if out.exists() else b""


def cms_sign(content, certificate, key, along=None, kind=VOUCHER_TYPE):
    more = ["-certfile", along] if along else []
    return openssl("cms", "-sign", "-binary", "-nodetach", "-nosmimecap", "-md", "sha256", "-econtent_type", kind, "-outform", "DER", "-signer",
                   certificate, "-inkey", key, *more, data=json.dumps(content).encode()).stdout


def cms_open(message, anchors):
    """What it says, as far as openssl finds it well signed below these; None if it does not."""
    out = openssl("cms", "-verify", "-inform", "DER", "-CAfile", anchors, "-purpose", "any", data=message, good=False)
    return json.loads(out.stdout) if out.returncode == 0 else None


def der(certificate):
    return openssl("x509", "-in", certificate, "-outform", "DER").stdout


def b64(octets):
    return base64.b64encode(octets).decode()


def serial(device):
    subject = openssl("x509", "-in", device / "idevid.pem", "-noout", "-subject", "-nameopt", "RFC2253,sep_multiline").stdout.decode()
    return next(line.split("=", 1)[1].strip() for line in subject.splitlines() if line.strip().startswith("serialNumber="))


# ---- our three ----

def ours(work, maker, owner, devices):
    for form, device in zip(MEDIA, devices):
        out = work / f"ours-{form}"
        done = owner.take(device, out, "--form", form)
        check(f"{form}: a device onboards itself", done.returncode == 0, done.stderr)
        check(f"{form}: what it holds belongs together", fault_of(out) is None, fault_of(out))
        run = json.loads(done.stdout) if done.returncode == 0 else {}
        names = [b["belief"] for b in run.get("beliefs", [])] if run.get("beliefs") else []
        check(f"{form}: it is on record as operational", run.get("result") == "operational", done.stdout[:500] + str(names))
        log = maker.log(serial(device))
        check(f"{form}: the MASA has it in its log", len(log["vouchers"]) >= 1, json.dumps(log)[:500])
    again = owner.take(devices[0], work / "ours-cms")
    check("a device that is configured does not start again", error_of(again).get("rule") == "BRSKI-CONFIGURED", again.stderr)
    second = owner.take(devices[0], work / "ours-reset")
    check("after a reset the same owner gets it once more", second.returncode == 0, second.stderr)


class Impatient:
    """Passes everything on to a port, and once ends a connection that was idle: at the moment when the device sends on it again."""
    IDLE = 1.5

    def __init__(self, port):
        self.port, self.cut, self.connections = port, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.at = f"localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.relay, args=(near,), daemon=True).start()

    def relay(self, near):
        with near, socket.create_connection(("127.0.0.1", self.port)) as far:
            heard = time.monotonic()
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    try:
                        data = ready.recv(65536)
                    except OSError:
                        return
                    if not data:
                        return
                    if ready is near and not self.cut and time.monotonic() - heard > self.IDLE:
                        self.cut += 1
                        return
                    heard = time.monotonic()
                    (far if ready is near else near).sendall(data)


def impatient(work, owner, device):
    """The wait is longer than the server's patience: no failure, and no round of its few (RFC 8995 section 5.6)."""
    between = Impatient(owner.port)
    out, err = unknown(work, owner, device, "impatient", between.at)
    check("an idle connection was ended as the device sent", between.cut == 1 and between.connections >= 2, (between.cut, between.connections))
    check("and no round failed of it", "of 1 failed" not in out + err and "BRSKI-NO-REGISTRAR" not in out + err, out[-800:] + err)
    between.listener.close()


def unknown(work, owner, device, folder="unknown", registrar=None):
    """In no inventory: it waits until a person says yes."""
    waiting = subprocess.Popen([str(x) for x in (imprint.__globals__["IMPRINT"], "onboard", "brski", "--json", "--device", device, "--out",
                                                work / folder, "--registrar", registrar or owner.registrar, "--attempts", "1", "--timeout", "60")],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    name = None
    for _ in range(100):
        listed = json.loads(must("device", "list", "--json", "--data", owner.data))
        rows = listed["devices"] if isinstance(listed, dict) else listed
        name = next((row["id"] for row in rows if row.get("admission") == "waiting"), None)
        if name:
            break
        threading.Event().wait(0.1)
    check(f"{folder}: an unknown device waits for a person", name is not None)
    if name:
        must("device", "approve", name, "--data", owner.data)
    out, err = waiting.communicate(timeout=90)
    check(f"{folder}: and goes on once it is approved", waiting.returncode == 0, err)
    return out, err


# ---- openssl and curl as the pledge ----

def pledge_by_hand(work, maker, owner, device):
    shown = openssl("s_client", "-connect", owner.registrar, "-showcerts", data=b"", good=False).stdout.decode()
    registrar = work / "registrar.pem"
    registrar.write_text(shown[shown.index("-----BEGIN"):shown.index("-----END") + 25] + "\n")
    request = {"ietf-voucher-request:voucher": {"assertion": "proximity", "created-on": "2026-11-23T00:00:00Z", "serial-number": serial(device),
                                                "nonce": b64(b"sixteen octets.!"), "proximity-registrar-cert": b64(der(registrar))}}
    who = ["--cert", device / "idevid-chain.pem", "--key", device / "idevid-key.pem", "-k"]
    url = f"https://{owner.registrar}"

    def ask(content, *more, sign=None, kind=MEDIA["cms"]):
        body = sign or cms_sign(content, device / "idevid.pem", device / "idevid-key.pem")
        return curl(f"{url}{ROOT}/requestvoucher", "-H", f"Content-Type: {kind}", "-H", f"Accept: {kind}", *who, *more, body=body, work=work)

    def changed(**leaves):
        inner = {**request["ietf-voucher-request:voucher"], **leaves}
        return {"ietf-voucher-request:voucher": {k: v for k, v in inner.items() if v is not None}}

    early = curl(f"{url}/.well-known/est/simpleenroll", *who, "-H", "Content-Type: application/pkcs10", body=base64.encodebytes(
        openssl("req", "-new", "-batch", "-key", device / "idevid-key.pem", "-subj", "/CN=x", "-outform", "DER").stdout), work=work)
    check("no certificate without a voucher", early[0] == 403 and b"BRSKI-EST-EARLY" in early[2], early)
    for name, content, wanted in (
            ("another serial number", changed(**{"serial-number": "LAMP-X"}), (400, 403)),
            ("another registrar's certificate", changed(**{"proximity-registrar-cert": b64(der(device / "idevid.pem"))}), (401,)),
            ("no proximity", changed(assertion="logged"), (401,)),
            ("no nonce", changed(nonce=None), (400, 401, 403))):
        got = ask(content)
        check(f"{name} is refused", got[0] in wanted, got)
    strange = ask(None, sign=cms_sign(request, owner.data / "tls" / "chain.pem", owner.data / "tls" / "key.pem"))
    check("a request signed by somebody else is refused", strange[0] in (400, 401, 403), strange)
    check("an unknown form is 415", ask(request, kind="application/json")[0] == 415)
    check("a cut request is refused", ask(None, sign=cms_sign(request, device / "idevid.pem", device / "idevid-key.pem")[:-40])[0] == 400)

    status, _, voucher = ask(request)
    said = cms_open(voucher, maker.root)
    check("openssl gets a voucher and finds it good", status == 200 and said is not None, (status, voucher[:200]))
    inner = (said or {}).get("ietf-voucher:voucher", {})
    check("it is for this device and this nonce", inner.get("serial-number") == serial(device) and inner.get("nonce") == b64(b"sixteen octets.!"), inner)
    pinned = work / "pinned.pem"
    pinned.write_bytes(openssl("x509", "-inform", "DER", data=base64.b64decode(inner.get("pinned-domain-cert", ""))).stdout)
    path = openssl("verify", "-partial_chain", "-purpose", "any", "-CAfile", pinned, registrar, good=False)
    check("the registrar leads to what it pins", path.returncode == 0, path.stderr.decode())

    status, _, _ = curl(f"{url}{ROOT}/voucher_status", *who, "-H", "Content-Type: application/json",
                        body=b'{"version":1,"status":true,"reason":"ok"}', work=work)
    check("the report is taken", status == 200)
    key = work / "own.key"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    csr = openssl("req", "-new", "-batch", "-key", key, "-subj", f"/CN={device.name}", "-outform", "DER").stdout
    status, _, answer = curl(f"{url}/.well-known/est/simpleenroll", *who, "-H", "Content-Type: application/pkcs10",
                             body=base64.encodebytes(csr), work=work)
    check("then there is a certificate", status == 200, (status, answer[:300]))
    if status == 200:
        own = work / "own.pem"
        own.write_bytes(openssl("pkcs7", "-inform", "DER", "-print_certs", data=base64.b64decode(answer)).stdout)
        status, _, _ = curl(f"{url}{ROOT}/enrollstatus", "-k", "--cert", own, "--key", key, "-H", "Content-Type: application/json",
                            body=b'{"version":1,"status":true}', work=work)
        check("and the last report comes with it", status == 200)


# ---- openssl and curl as the registrar ----

def registrar_by_hand(work, maker, device):
    (work / "ra.cnf").write_text("[req]\nprompt=no\ndistinguished_name=d\n[d]\nCN=Registrar by hand\n[ca]\nbasicConstraints=critical,CA:TRUE\n"
                                 "keyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n[ra]\nextendedKeyUsage=1.3.6.1.5.5.7.3.28\n")
    for name in ("dom", "ra"):
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", work / f"{name}.key")
    openssl("req", "-x509", "-new", "-key", work / "dom.key", "-config", work / "ra.cnf", "-extensions", "ca", "-subj", "/CN=Domain by hand", "-days", "9",
            "-out", work / "dom.pem")
    openssl("req", "-new", "-key", work / "ra.key", "-config", work / "ra.cnf", "-out", work / "ra.csr")
    openssl("x509", "-req", "-in", work / "ra.csr", "-CA", work / "dom.pem", "-CAkey", work / "dom.key", "-CAcreateserial", "-extfile", work / "ra.cnf",
            "-extensions", "ra", "-days", "9", "-out", work / "ra.pem")
    pvr = cms_sign({"ietf-voucher-request:voucher": {"assertion": "proximity", "serial-number": serial(device), "nonce": b64(b"another sixteen!"),
                                                     "proximity-registrar-cert": b64(der(work / "ra.pem"))}},
                   device / "idevid.pem", device / "idevid-key.pem")
    rvr = {"ietf-voucher-request:voucher": {"assertion": "proximity", "created-on": "2026-11-23T00:00:00Z", "serial-number": serial(device),
                                            "nonce": b64(b"another sixteen!"), "prior-signed-voucher-request": b64(pvr)}}

    def ask(content, path="requestvoucher", signer="ra", body=None):
        message = body or cms_sign(content, work / f"{signer}.pem", work / f"{signer}.key", along=work / "dom.pem" if signer == "ra" else None)
        return curl(f"https://localhost:{maker.port}{ROOT}/{path}", "--cacert", maker.root, "-H", f"Content-Type: {MEDIA['cms']}", "-H",
                    f"Accept: {MEDIA['cms']}", body=message, work=work), message

    (status, _, _), _ = ask(rvr, "requestauditlog")
    check("who never owned it gets no log", status == 404, status)
    (status, _, voucher), sent = ask(rvr)
    said = cms_open(voucher, maker.root)
    check("a registrar by hand gets a voucher", status == 200 and said is not None, (status, voucher[:300]))
    inner = (said or {}).get("ietf-voucher:voucher", {})
    check("proximity is found in it", inner.get("assertion") == "proximity", inner)
    check("it pins the domain's CA", base64.b64decode(inner.get("pinned-domain-cert", "")) == der(work / "dom.pem"), inner)
    (status, _, again), _ = ask(rvr, body=sent)
    check("the same request gives the same voucher", status == 200 and again == voucher)
    (status, _, log), _ = ask(rvr, "requestauditlog", body=sent)
    events = json.loads(log).get("events", []) if status == 200 else []
    check("its log has one entry, with its domain", len(events) == 1 and events[0]["nonce"] == b64(b"another sixteen!"), (status, log[:300]))
    other = {"ietf-voucher-request:voucher": {**rvr["ietf-voucher-request:voucher"], "serial-number": "LAMP-X"}}
    (status, _, said), _ = ask(other)
    check("two serial numbers in one request are refused", status in (400, 403), (status, said[:200]))
    (status, _, said), _ = ask(rvr, signer="dom")
    check("who is no registrar is refused, with words", status == 403 and said, (status, said[:200]))
    (status, _, said), _ = ask(None, body=sent[:-30])
    check("a cut request is refused", status in (400, 403), (status, said[:200]))


# ---- openssl and Python's HTTP server as the MASA ----

class MasaByHand(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    twist, seen = None, []
    work = maker = None

    def log_message(self, *_):
        pass

    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, dict(self.headers), body))
        if self.path.endswith("requestauditlog"):
            return self.answer(404, b"no log\n", "text/plain")
        asked = json.loads(openssl("cms", "-verify", "-noverify", "-inform", "DER", data=body).stdout)["ietf-voucher-request:voucher"]
        chain = openssl("pkcs7", "-inform", "DER", "-print_certs", data=body).stdout.decode()
        pins = ["-----BEGIN" + part.split("-----END")[0] + "-----END CERTIFICATE-----\n" for part in chain.split("-----BEGIN")[1:]]
        roots = [p for p in pins if openssl("verify", "-CAfile", "/dev/stdin", "/dev/stdin", data=p.encode(), good=False).returncode == 0]
        pinned = openssl("x509", "-outform", "DER", data=(roots or pins)[-1].encode()).stdout
        voucher = {"created-on": "2026-11-23T00:00:00Z", "assertion": "verified", "serial-number": asked["serial-number"], "nonce": asked["nonce"],
                   "pinned-domain-cert": b64(pinned)}
        if self.twist:
            voucher = self.twist(voucher)
        self.answer(200, cms_sign({"ietf-voucher:voucher": voucher}, self.work / "masa.pem", self.work / "masa.key"), MEDIA["cms"])

    def answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def masa_by_hand(work, maker, owner, devices):
    """Its keys are below the maker's CA, as the factory's are."""
    factory = maker.data / "factory"
    for name, extension in (("masa", "keyUsage=digitalSignature"), ("tls", "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth")):
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", work / f"{name}.key")
        openssl("req", "-new", "-batch", "-key", work / f"{name}.key", "-subj", f"/CN={name} by hand", "-out", work / f"{name}.csr")
        (work / "x.cnf").write_text(extension + "\n")
        openssl("x509", "-req", "-in", work / f"{name}.csr", "-CA", factory / "root.pem", "-CAkey", factory / "key.pem", "-CAcreateserial", "-CAserial",
                work / "serial", "-extfile", work / "x.cnf", "-days", "9", "-out", work / f"{name}.pem")
    MasaByHand.work, MasaByHand.maker = work, maker
    server = HTTPServer(("127.0.0.1", 0), MasaByHand)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(work / "tls.pem", work / "tls.key")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(owner.anchors)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    owner.knows(maker, port=server.server_address[1], rule="no_audit_log = true\n")
    owner.stop()
    owner.start()
    done = owner.take(devices[0], work / "by-hand")
    check("a MASA by hand: the device onboards itself", done.returncode == 0, done.stderr)
    path, head, rvr = MasaByHand.seen[0]
    check("our registrar asks at the right place", path == f"{ROOT}/requestvoucher" and head["Content-Type"] == MEDIA["cms"], (path, head))
    said = cms_open(rvr, owner.anchors)
    inner = (said or {}).get("ietf-voucher-request:voucher", {})
    check("openssl finds its request good", said is not None, rvr[:60])
    check("it names no registrar, and holds the device's request", "proximity-registrar-cert" not in inner and "prior-signed-voucher-request" in inner, inner)
    pvr = cms_open(base64.b64decode(inner.get("prior-signed-voucher-request", "")), maker.root)
    check("openssl finds the device's own request good", pvr is not None)
    twists = {"another nonce": lambda v: {**v, "nonce": b64(b"x" * 16)}, "another serial number": lambda v: {**v, "serial-number": "LAMP-X"},
              "no pin": lambda v: {k: x for k, x in v.items() if k != "pinned-domain-cert"},
              "another domain pinned": lambda v: {**v, "pinned-domain-cert": b64(der(work / "tls.pem"))}}
    for name, twist in twists.items():
        MasaByHand.twist = staticmethod(twist)
        out = work / ("twist-" + name.replace(" ", "-"))
        refused = owner.take(devices[1], out)
        check(f"a MASA with {name}: refused, and nothing is left", refused.returncode != 0 and not (out / "owner").exists() and fault_of(out),
              refused.stderr)
    MasaByHand.twist = None
    done = owner.take(devices[1], work / "after-twists")
    check("an honest answer after them is taken", done.returncode == 0, done.stderr)
    server.shutdown()


def main():
    with scratch("brski") as folder:
        work = Path(folder)
        owner = Owner(work / "site")
        maker = Maker(work, "lamps", owner_data=owner.data)
        devices = maker.make(10)
        maker.start()
        owner.knows(maker)
        known = work / "known"
        known.mkdir()
        lines = (devices[0].parent / "manifest.jsonl").read_text().splitlines()
        (known / "manifest.jsonl").write_text("\n".join(lines[:8]) + "\n")
        owner.wants(known)
        owner.start(log=work / "site.log", env={"IMPRINT_POLICY_RETRY_AFTER_S": "3"})
        try:
            ours(work, maker, owner, devices[:3])
            unknown(work, owner, devices[8])
            impatient(work, owner, devices[9])
            pledge_by_hand(work, maker, owner, devices[3])
            registrar_by_hand(work, maker, devices[4])
            masa_by_hand(work, maker, owner, devices[5:7])
        finally:
            if not all(__import__("common").tests):
                print("# " + (work / "site.log").read_text()[-2000:].replace("\n", "\n# "))
            owner.stop()
            maker.stop()
            shutil.rmtree(work / "x", ignore_errors=True)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
