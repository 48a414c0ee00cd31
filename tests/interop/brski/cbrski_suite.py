#!/usr/bin/env python3
"""Whole onboardings by BRSKI for constrained devices: our pledge, registrar and MASA over CoAPS with vouchers in COSE, directly and through both
kinds of our join proxies; then libcoap's client with pycose and cbor2 in the place of the pledge, and pycose with curl in that of the registrar.

What the peer by hand takes and gives is written down here, from draft-ietf-anima-constrained-voucher and RFC 9148. The packages are brought by
tests/interop/est/peers.sh into .peers/vouchers; this script runs with the Python of that folder."""
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from players import Maker, Owner  # noqa: E402
from common import IMPRINT, check, error_of, fault_of, finish, imprint, must, openssl, scratch, skip  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".peers" / "vouchers" / "bin" / "python3"
CLIENT = "coap-client-openssl"
try:
    import cbor2
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
    from pycose.headers import Algorithm
    from pycose.keys import EC2Key
    from pycose.messages import Sign1Message
except ImportError:
    if PYTHON.exists() and Path(sys.executable) != PYTHON:
        os.execv(PYTHON, [str(PYTHON), __file__])
    cbor2 = None

# draft-ietf-anima-rfc8366bis section 9, written down here once more.
VOUCHER, REQUEST = 2451, 2501
OF_VOUCHER = {1: "assertion", 2: "created-on", 4: "expires-on", 5: "idevid-issuer", 7: "nonce", 8: "pinned-domain-cert", 11: "serial-number"}
OF_REQUEST = {"assertion": 1, "created-on": 2, "nonce": 7, "prior-signed-voucher-request": 9, "proximity-registrar-pubk": 12, "serial-number": 13}
PROXIMITY = 2
GOOD, BAD = {"version": 1, "status": True}, {"version": 1, "status": False, "reason": "no"}
SERVER = {"IMPRINT_EST_COAPS": "127.0.0.1:0", "IMPRINT_EST_COAPS_JOIN": "127.0.0.1:0"}


def pems(path):
    return x509.load_pem_x509_certificates(Path(path).read_bytes())


def firmware(work, maker):
    """What a constrained device may know its maker's MASA by: the certificate of whoever signs vouchers."""
    out = work / "firmware.pem"
    text = (maker.masa_folder / "signer.pem").read_text()
    out.write_text(text[text.index("-----BEGIN CERTIFICATE"):])
    return out


def der(certificate):
    return certificate.public_bytes(Encoding.DER)


def serial(device):
    return next(a.value for a in x509.load_pem_x509_certificate((device / "idevid.pem").read_bytes()).subject if a.oid.dotted_string == "2.5.4.5")


# ---- our three ----

class Proxy:
    """`imprint proxy --coaps`, for as long as it is needed."""

    def __init__(self, work, port, *more):
        self.out = work / f"proxy-{port}-{len(more)}.json"
        with open(self.out, "wb") as said:
            self.process = subprocess.Popen([IMPRINT, "proxy", "--json", "--coaps", f"127.0.0.1:{port}", "--coaps-listen", "127.0.0.1:0", *more],
                                            stdout=said, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        for _ in range(100):
            if self.out.stat().st_size or self.process.poll() is not None:
                break
            threading.Event().wait(0.05)
        self.said = json.loads(self.out.read_text().splitlines()[0]) if self.out.stat().st_size else {}
        self.port = self.said.get("port", 0)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        return json.loads(self.out.read_text().splitlines()[-1])


def ours(work, maker, owner, devices):
    join = json.loads(owner.endpoints().read_text()).get("coaps_join", "")
    check("the port for stateless join proxies is told", join.startswith("jpy://127.0.0.1:"), join)
    stateful = Proxy(work, owner.coaps_port)
    stateless = Proxy(work, int(join.rsplit(":", 1)[1] or 0), "--stateless", "--coaps-answers", "127.0.0.1:0")
    ways = (("directly", owner.coaps_port), ("through a stateful join proxy", stateful.port), ("through a stateless join proxy", stateless.port))
    for (how, port), device in zip(ways, devices):
        out = work / f"ours-{port}"
        done = owner.take(device, out, "--maker-anchors", firmware(work, maker), registrar=f"coaps://127.0.0.1:{port}")
        check(f"{how}: a constrained device onboards itself", done.returncode == 0, done.stderr)
        check(f"{how}: what it holds belongs together", fault_of(out) is None, fault_of(out))
        run = json.loads(done.stdout) if done.returncode == 0 else {}
        check(f"{how}: its run is on record as operational over coaps", (run.get("result"), run.get("mode")) == ("operational", "coaps"), done.stdout[:500])
        if done.returncode == 0:
            subject = openssl("x509", "-in", out / "cert.pem", "-noout", "-subject", "-nameopt", "RFC2253").stdout.decode().strip()
            check(f"{how}: it asked for the name that it has, and got the owner's for it", subject == f"subject=CN={device.name}", subject)
    for proxy in (stateful, stateless):
        end = proxy.stop()
        check(f"the proxy has carried it, and tells so ({proxy.said})", end.get("event") == "stopped" and end.get("datagrams_up", 0) > 10 and
              end.get("datagrams_down", 0) > 10, end)
    again = owner.take(devices[0], work / f"ours-{owner.coaps_port}", registrar=f"coaps://127.0.0.1:{owner.coaps_port}")
    check("a device that is configured does not start again", error_of(again).get("rule") == "BRSKI-CONFIGURED", again.stderr)


def found(work):
    """libcoap looks for a join proxy: at an address that it was told, and in CoAP's group on the link."""
    if shutil.which(CLIENT) is None:
        skip("libcoap looks for join proxies", f"no {CLIENT}: apt install libcoap3-bin")
        return

    def ask(where, query, *options):
        return subprocess.run([CLIENT, "-B", "3", *options, f"coap://{where}/.well-known/core?{query}"], capture_output=True, timeout=30).stdout.decode().strip()

    told = Proxy(work, 1, "--coaps-answers", "127.0.0.1:0")
    at = f"127.0.0.1:{told.said.get('answers', 0)}"
    check("a join proxy says where devices go", ask(at, "brski-jp=*") == f"<>;brski-jp={told.port}", told.said)
    check("and in the words of the other draft", ask(at, "rt=brski.jp") == f'<coaps://127.0.0.1:{told.port}>;rt="brski.jp"')
    told.stop()
    grouped = Proxy(work, 2, "--stateless", "--announce", "lo")
    answer = ask("224.0.1.187", "brski-jp=*", "-N", "-a", "127.0.0.1")
    check("the same is found in CoAP's group", f"<>;brski-jp={grouped.port}" in answer, answer)
    grouped.stop()


def wishes_of_proxy(work):
    for arguments, name in ((["--coaps", "127.0.0.1:1"], "without a place to listen"), (["--coaps", "127.0.0.1"], "without a port"), ([], "without a registrar"),
                            (["--coaps", "127.0.0.1:1", "--coaps-listen", "nonsense"], "with a place that is none")):
        out = imprint("proxy", "--json", *arguments)
        check(f"a proxy {name} is told what is wrong", out.returncode != 0 and error_of(out).get("rule") == "CLI-OPTION", out.stderr)


def root_alone(work, maker, owner, devices):
    """The registrar takes out what is not signed; who signed stands under the signature, so the root is enough, and a rollover is nothing to a device."""
    before, after, stale = devices
    at = f"coaps://127.0.0.1:{owner.coaps_port}"
    known = work / "signer-of-before.pem"
    known.write_text(firmware(work, maker).read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")
    done = owner.take(before, work / "root-alone", registrar=at)
    check("a device that knows the maker's root alone onboards itself", done.returncode == 0, done.stderr)
    must("masa", "rollover", "--folder", maker.masa_folder, "--maker", maker.data / "factory")
    maker.server.send_signal(signal.SIGHUP)
    for _ in range(100):  # until the new signer is in force
        if "keys and settings taken" in (work / f"{maker.name}-masa.log").read_text():
            break
        threading.Event().wait(0.1)
    done = owner.take(after, work / "root-after", registrar=at)
    check("and so does one after the signer's key was rolled over", done.returncode == 0, done.stderr)
    done = owner.take(stale, work / "stale", "--maker-anchors", known, registrar=at)
    check("one that knows but the signer of before is told so, and nothing is left", error_of(done).get("rule") == "BRSKI-VOUCHER-SIGNER" and
          not (work / "stale" / "owner").exists(), done.stderr)


def built_in(work, maker, owner):
    """The factory writes who signs into the device, beside the root."""
    out = work / "built-in"
    must("factory", "make", "--data", maker.data, "--model", maker.name, "--count", 1, "--first", 900, "--masa", "localhost:9443", "--voucher-signer",
         maker.masa_folder / "signer.pem", "--out", out)
    signer, root = pems(out / f"{maker.name}-0900" / "masa-anchors.pem")
    check("the factory writes the voucher's signer and the root into a device", signer == pems(firmware(work, maker))[0] and
          root == pems(maker.root)[0], (signer.subject, root.subject))
    wrong = imprint("factory", "make", "--json", "--data", maker.data, "--model", maker.name, "--count", 1, "--first", 901, "--masa", "localhost:9443",
                    "--voucher-signer", out / f"{maker.name}-0900" / "idevid.pem", "--out", work / "wrong")
    check("a device's certificate is none for that", wrong.returncode != 0 and error_of(wrong).get("rule") == "CLI-OPTION" and not (work / "wrong").exists(),
          wrong.stderr)


def unknown(work, maker, owner, device):
    """In no inventory: 5.03 with Max-Age until a person says yes."""
    waiting = subprocess.Popen([str(x) for x in (IMPRINT, "onboard", "brski", "--json", "--device", device, "--out", work / "unknown", "--registrar",
                                                f"coaps://127.0.0.1:{owner.coaps_port}", "--maker-anchors", firmware(work, maker), "--timeout", "90")],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    name = None
    for _ in range(100):
        rows = json.loads(must("device", "list", "--json", "--data", owner.data))
        rows = rows["devices"] if isinstance(rows, dict) else rows
        name = next((row["id"] for row in rows if row.get("admission") == "waiting"), None)
        if name:
            break
        threading.Event().wait(0.1)
    check("an unknown constrained device waits for a person", name is not None)
    if name:
        must("device", "approve", name, "--data", owner.data)
    out, err = waiting.communicate(timeout=120)
    check("and goes on once it is approved", waiting.returncode == 0, err)


# ---- libcoap, pycose and cbor2 as the pledge ----

def cose_key(key, private=True):
    numbers = key.public_key().public_numbers()
    d = key.private_numbers().private_value.to_bytes(32, "big") if private else b""
    return EC2Key(crv="P_256", x=numbers.x.to_bytes(32, "big"), y=numbers.y.to_bytes(32, "big"), d=d)


def sign(content, key, bag=()):
    message = Sign1Message(phdr={Algorithm: "ES256"}, uhdr={}, payload=content)
    message.key = cose_key(key)
    parts = cbor2.loads(message.encode(tag=False))
    parts[1] = {32: list(bag)} if bag else {}
    return cbor2.dumps(cbor2.CBORTag(18, parts))


def opened(message, certificate):
    """(what it says, its unprotected header), as far as pycose finds it well signed by this certificate's key; else (None, …)."""
    tagged = cbor2.loads(message)
    parts = tagged.value if isinstance(tagged, cbor2.CBORTag) and tagged.tag == 18 else None
    if parts is None:
        return None, {}
    found = Sign1Message.from_cose_obj([parts[0], {}, parts[2], parts[3]], True)
    numbers = certificate.public_key().public_numbers()
    found.key = EC2Key(crv="P_256", x=numbers.x.to_bytes(32, "big"), y=numbers.y.to_bytes(32, "big"))
    if not found.verify_signature():
        return None, parts[1]
    inner = cbor2.loads(parts[2])[VOUCHER]
    return {OF_VOUCHER.get(key, key): value for key, value in inner.items()}, parts[1]


class Hand:
    """A pledge by hand: one device, one port."""

    def __init__(self, work, owner, device, port):
        self.work, self.owner, self.device, self.port = work, owner, device, port
        self.key = load_pem_private_key((device / "idevid-key.pem").read_bytes(), None)

    def ask(self, path, *options, body=None, method=None):
        """(codes and options as libcoap prints them, the answer's body)"""
        out = self.work / "answer"
        out.unlink(missing_ok=True)
        if body is not None:
            (self.work / "body").write_bytes(body)
            options = ("-m", method or "post", *options, "-f", self.work / "body")
        got = subprocess.run([str(a) for a in (CLIENT, "-B", 15, "-v", 7, "-c", self.device / "idevid-chain.pem", "-j", self.device / "idevid-key.pem", "-C",
                                               self.owner.anchors, "-o", out, *options, f"coaps://127.0.0.1:{self.port}{path}")],
                             capture_output=True, timeout=60)
        log = (got.stdout + got.stderr).decode(errors="replace")
        lines = [line for line in log.splitlines() if line.startswith("v:1 t:") and any(f" c:{n}." in line for n in "245")]
        return (lines[-1] if lines else log[-800:]), (out.read_bytes() if out.exists() else b"")

    def request(self, signer=None, **leaves):
        registrar = pems(self.owner.data / "tls" / "chain.pem")[0]
        inner = {"assertion": PROXIMITY, "created-on": "2026-11-23T00:00:00Z", "nonce": b"sixteen octets.!", "serial-number": serial(self.device),
                 "proximity-registrar-pubk": registrar.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)}
        inner.update({name.replace("_", "-"): value for name, value in leaves.items()})
        return sign(cbor2.dumps({REQUEST: {OF_REQUEST[name]: value for name, value in inner.items() if value is not None}}), signer or self.key)

    def voucher(self, message, *more):
        return self.ask("/b/rv", "-t", "836", "-A", "836", *more, body=message)


def csr_of(work, device):
    """For the name that it has: that of its IDevID."""
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", work / "own.key")
    return openssl("req", "-new", "-batch", "-key", work / "own.key", "-subj", f"/serialNumber={serial(device)}/CN={device.name}", "-outform", "DER").stdout


def pledge_by_hand(work, maker, owner, device):
    hand = Hand(work, owner, device, owner.coaps_port)
    line, body = hand.ask("/.well-known/core")
    check("libcoap finds EST and BRSKI on one port", b'rt="brski.rv"' in body and b'rt="ace.est.sen"' in body, (line, body))
    line, body = hand.ask("/.well-known/core?rt=brski*")
    check("and BRSKI alone, if that is asked", body.startswith(b'</b>;rt="brski"') and b"ace.est" not in body, (line, body))
    line, _ = hand.ask("/.well-known/est/sen", "-t", "286", body=csr_of(work, device))
    check("no certificate without a voucher", "c:4.03" in line, line)
    stranger = load_pem_private_key(openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout").stdout, None)
    for name, message, wanted in (("another serial number", hand.request(serial_number="LAMP-X"), ("4.00", "4.03")),
                                  ("another registrar's key", hand.request(proximity_registrar_pubk=stranger.public_key().public_bytes(
                                      Encoding.DER, PublicFormat.SubjectPublicKeyInfo)), ("4.01",)),
                                  ("no proximity", hand.request(assertion=1), ("4.01",)),
                                  ("no nonce", hand.request(nonce=None), ("4.00", "4.01", "4.03")),
                                  ("another's signature", hand.request(signer=stranger), ("4.00", "4.01", "4.03")),
                                  ("a cut request", hand.request()[:-20], ("4.00",)),
                                  ("no COSE at all", b"voucher, please", ("4.00",))):
        line, _ = hand.voucher(message)
        check(f"{name} is refused", any(f"c:{code}" in line for code in wanted), line)
    good = hand.request()
    for name, options, path, code in (("JSON for a voucher request", ("-t", "50"), "/b/rv", "4.15"), ("CBOR for a voucher request", ("-t", "60"), "/b/rv", "4.15"),
                                      ("an answer in JSON", ("-t", "836", "-A", "50"), "/b/rv", "4.06"), ("another path", ("-t", "836"), "/b/rx", "4.04"),
                                      ("HTTP's own path", ("-t", "836"), "/.well-known/brski/requestvoucher", "4.04")):
        line, _ = hand.ask(path, *options, body=good)
        check(f"{name} is {code}", f"c:{code}" in line, line)
    line, _ = hand.ask("/b/rv", "-m", "get")
    check("GET is 4.05", "c:4.05" in line, line)

    line, voucher = hand.voucher(good)
    check("libcoap gets a voucher: 2.04, in 836", "c:2.04" in line and "836" in line, line)
    masa = pems(firmware(work, maker))[0]
    said, loose = opened(voucher, masa) if voucher else (None, {})
    check("pycose finds it signed by the maker", said is not None, voucher.hex()[:400])
    check("what nobody has signed was taken out", loose == {}, loose)
    said = said or {}
    check("it is for this device and this nonce", said.get("serial-number") == serial(device) and said.get("nonce") == b"sixteen octets.!", said)
    pinned, registrar = work / "pinned.pem", work / "registrar.pem"
    pinned.write_bytes(openssl("x509", "-inform", "DER", data=said.get("pinned-domain-cert", b"")).stdout)
    registrar.write_bytes(pems(owner.data / "tls" / "chain.pem")[0].public_bytes(Encoding.PEM))
    path = openssl("verify", "-partial_chain", "-purpose", "any", "-CAfile", pinned, registrar, good=False)
    check("the registrar leads to what it pins", path.returncode == 0, path.stderr.decode())
    line, _ = hand.ask("/b/vs", "-t", "60", body=cbor2.dumps(GOOD))
    check("the status of the voucher is thanked for: 2.04, empty", "c:2.04" in line, line)
    line, crts = hand.ask("/.well-known/est/crts", "-A", "281")
    openssl("pkcs7", "-inform", "DER", "-print_certs", "-out", work / "crts.pem", data=crts, good=False)
    check("libcoap reads the owner's certificates", "c:2.05" in line and (work / "crts.pem").exists(), line)
    line, got = hand.ask("/.well-known/est/sen", "-t", "286", "-A", "287", body=csr_of(work, device))
    check("and is enrolled on the strength of the voucher", "c:2.04" in line and got, line)
    if got:
        (work / "own.pem").write_bytes(openssl("x509", "-inform", "DER", data=got).stdout)
        check("openssl finds that certificate below the owner's CA", openssl("verify", "-CAfile", work / "crts.pem", work / "own.pem", good=False).returncode == 0)
    line, _ = hand.ask("/.well-known/brski/es", "-t", "60", body=cbor2.dumps(GOOD))
    check("the status of the enrolment, at the long path, is 2.04", "c:2.04" in line, line)
    line, _ = hand.ask("/b/es", "-t", "50", body=json.dumps(GOOD).encode())
    check("and in JSON as well", "c:2.04" in line, line)


def reports_by_hand(work, owner, device):
    hand = Hand(work, owner, device, owner.coaps_port)
    line, _ = hand.voucher(hand.request())
    check("another device by hand gets a voucher, too", "c:2.04" in line, line)
    line, _ = hand.ask("/b/vs", "-t", "60", body=cbor2.dumps(BAD))
    check("a voucher that it does not like is on record", "c:2.04" in line, line)
    line, _ = hand.ask("/.well-known/est/sen", "-t", "286", body=csr_of(work, device))
    check("and it is not enrolled", "c:4.03" in line, line)
    line, _ = hand.ask("/b/vs", "-t", "60", body=b"\xff\xff")
    check("a status that cannot be read is 4.00", "c:4.00" in line, line)


# ---- pycose and curl as the registrar ----

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
    registrar, domain = pems(work / "ra.pem")[0], pems(work / "dom.pem")[0]
    key = load_pem_private_key((work / "ra.key").read_bytes(), None)
    idevid = [der(c) for c in pems(device / "idevid-chain.pem")]
    own = load_pem_private_key((device / "idevid-key.pem").read_bytes(), None)
    leaves = {"assertion": PROXIMITY, "created-on": "2026-11-23T00:00:00Z", "nonce": b"another sixteen!", "serial-number": serial(device)}
    spki = registrar.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pvr = sign(cbor2.dumps({REQUEST: {OF_REQUEST[n]: v for n, v in {**leaves, "proximity-registrar-pubk": spki}.items()}}), own)
    rvr = sign(cbor2.dumps({REQUEST: {OF_REQUEST[n]: v for n, v in {**leaves, "prior-signed-voucher-request": pvr}.items()}}), key,
               bag=[der(registrar), der(domain), *idevid])

    def ask(message):
        out = work / "from-masa"
        out.unlink(missing_ok=True)
        done = subprocess.run(["curl", "-s", "-S", "--max-time", "20", "-o", str(out), "-w", "%{http_code} %{content_type}", "--data-binary", "@-", "--cacert",
                               str(maker.root), "-H", "Content-Type: application/voucher+cose", "-H", "Accept: application/voucher+cose",
                               f"https://localhost:{maker.port}/.well-known/brski/requestvoucher"], input=message, capture_output=True, timeout=30)
        return done.stdout.decode(), (out.read_bytes() if out.exists() else b"")

    status, voucher = ask(rvr)
    check("a registrar by hand gets a voucher in COSE", status == "200 application/voucher+cose", (status, voucher[:300]))
    bag = cbor2.loads(voucher).value[1].get(32, []) if status.startswith("200") else []
    bag = [bag] if isinstance(bag, bytes) else bag
    signer = next((c for c in map(x509.load_der_x509_certificate, bag) if opened(voucher, c)[0]), None)
    check("with the MASA's certificates beside it, one of which has signed it", signer is not None, len(bag))
    said = opened(voucher, signer)[0] if signer else {}
    check("proximity is found in it, and it pins the domain's CA", said.get("assertion") == PROXIMITY and said.get("pinned-domain-cert") == der(domain), said)
    status, again = ask(rvr)
    check("the same request gives the same voucher", again == voucher, status)
    status, why = ask(rvr[:-30])
    check("a cut request is refused", status[:3] in ("400", "403"), (status, why[:200]))
    status, why = ask(sign(cbor2.dumps({REQUEST: {OF_REQUEST[n]: v for n, v in {**leaves, "prior-signed-voucher-request": pvr}.items()}}), own,
                           bag=[der(registrar), der(domain), *idevid]))
    check("one that the registrar has not signed, too", status[:3] in ("400", "403"), (status, why[:200]))


def by_hand(work, maker, owner, devices):
    if cbor2 is None:
        why = ROOT / ".peers" / "vouchers.missing"
        skip("pycose and cbor2", why.read_text().strip() if why.exists() else "run tests/interop/est/peers.sh vouchers")
        return
    registrar_by_hand(work, maker, devices[0])
    if shutil.which(CLIENT) is None:
        skip("libcoap", f"no {CLIENT}: apt install libcoap3-bin")
        return
    pledge_by_hand(work, maker, owner, devices[1])
    reports_by_hand(work, owner, devices[2])


def main():
    with scratch("cbrski") as folder:
        work = Path(folder)
        owner = Owner(work / "site")
        maker = Maker(work, "lamps", owner_data=owner.data)
        devices = maker.make(10)
        maker.start()
        owner.knows(maker)
        known = work / "known"
        known.mkdir()
        lines = (devices[0].parent / "manifest.jsonl").read_text().splitlines()
        (known / "manifest.jsonl").write_text("\n".join(lines[:9]) + "\n")
        owner.wants(known)
        owner.start(log=work / "site.log", env=SERVER)
        try:
            ours(work, maker, owner, devices[:3])
            found(work)
            wishes_of_proxy(work)
            root_alone(work, maker, owner, devices[6:9])
            built_in(work, maker, owner)
            unknown(work, maker, owner, devices[9])
            by_hand(work, maker, owner, devices[3:6])
        finally:
            if not all(__import__("common").tests):
                print("# " + (work / "site.log").read_text()[-2000:].replace("\n", "\n# "))
            owner.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
