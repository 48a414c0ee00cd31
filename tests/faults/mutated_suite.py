#!/usr/bin/env python3
"""10,000 mutated requests to the sanitizer build's server: no crash, no leak, no wrong 200.

Good requests of every operation are cut, stretched, flipped, repeated and spliced by a seeded generator. Four of five come
from a stranger, the rest from registered devices: with an IDevID, with the certificate that is to be renewed, and from one whose
keys the server makes. A 200 is judged by its body: a stranger gets nothing but the owner's CA certificates and its revocation
list, a device besides no certificate but its own that are on record. Whatever is certified has to be just what a whole request says.
"""
import base64
import concurrent.futures
import email
import os
import random
import re
import shutil
import signal
import socket
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ["IMPRINT"] = os.environ.get("IMPRINT_ASAN", "build-asan/imprint")
from common import Site, check, client_context, enrolment, finish, make_csr, make_key, must, openssl, scratch  # noqa: E402

REQUESTS = int(os.environ.get("MUTANTS", "10000"))
CLIENTS = 48  # at a time: most of one exchange is waiting for an answer that a cut request never gets
LINKED = 30   # requests that are linked to their own session: each is made by openssl, on its connection
SEED = int(os.environ.get("SEED", "20261121"))
DEVICE, KEYLESS = "mutant-0001", "keyless-0001"
CONFIG = '[profiles.keys]\nserver_keys = "clear"\n'
PKI_DATA = "1.3.6.1.5.5.7.12.2"


# --- good requests -------------------------------------------------------------------------------------------------------

@dataclass
class Good:
    """A request, the device on whose connection it is good, and the status that it gets there."""
    data: bytes
    by: str
    status: int


def http(method, path, headers=(), body=b""):
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n" + "".join(h + "\r\n" for h in headers)
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def item(tag, *parts):
    content = b"".join(parts)
    n = len(content)
    size = bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else bytes([0x82, n >> 8, n & 255])
    return bytes([tag]) + size + content


def wrapped_request(key, name, identifier):
    """A request that wants its new key wrapped with the shared one of this identifier (RFC 7030 section 4.4.1.1)."""
    aes = [item(0x30, bytes.fromhex(oid)) for oid in ("060960864801650304012a", "060960864801650304012d")]  # AES-256-CBC, its key wrap
    capabilities = item(0x30, bytes.fromhex("06092a864886f70d01090f"), item(0x31, item(0x30, *aes)))
    wanted = item(0x30, bytes.fromhex("060b2a864886f70d0109100225"), item(0x31, item(4, identifier)))
    subject = item(0x30, item(0x31, item(0x30, bytes.fromhex("0603550403"), item(12, name.encode()))))
    spki = openssl("pkey", "-in", key, "-pubout", "-outform", "DER").stdout
    info = item(0x30, item(2, b"\0"), subject, spki, item(0xA0, *sorted([capabilities, wanted])))
    signature = openssl("dgst", "-sha256", "-sign", key, data=info).stdout
    return item(0x30, info, bytes.fromhex("300a06082a8648ce3d040302"), item(3, b"\0", signature))


def full_request(csr, own):
    """A Full PKI Request (RFC 5272 section 3.2) with this one in it, signed with the IDevID in this folder."""
    data = item(0x30, item(0x30), item(0x30, item(0xA0, item(2, b"\x0c"), csr)), item(0x30), item(0x30))
    return openssl("cms", "-sign", "-binary", "-nodetach", "-nosmimecap", "-econtent_type", PKI_DATA, "-outform", "DER", "-md", "sha256",
                   "-signer", own / "idevid-chain.pem", "-inkey", own / "idevid-key.pem", data=data).stdout


def good_requests(work):
    csr = make_csr(make_key(work / "k.pem"), DEVICE)
    stale = make_csr(work / "k.pem", DEVICE, base64.b64encode(bytes(range(12))).decode())
    keyless = make_csr(make_key(work / "j.pem"), KEYLESS)
    identifier = bytes.fromhex((work / KEYLESS / KEYLESS / "wrap-key").read_text().split()[0])
    body = base64.encodebytes(csr)
    basic = "Authorization: Basic " + base64.b64encode(f"{DEVICE}:not-the-token".encode()).decode()
    type_ = "Content-Type: application/pkcs10"
    full = base64.encodebytes(full_request(csr, work / DEVICE / DEVICE))
    return {
        "cacerts": Good(http("GET", "/.well-known/est/cacerts"), DEVICE, 200),
        "csrattrs": Good(http("GET", "/.well-known/est/csrattrs"), DEVICE, 204),
        "simpleenroll": Good(http("POST", "/.well-known/est/simpleenroll", [type_], body), DEVICE, 200),
        "with a wrong token": Good(http("POST", "/.well-known/est/simpleenroll", [type_, basic], body), DEVICE, 200),
        "with a label": Good(http("POST", "/.well-known/est/default/simpleenroll", [type_, basic], base64.b64encode(csr)), DEVICE, 200),
        "in chunks": Good(http("POST", "/.well-known/est/simpleenroll", [type_, "Transfer-Encoding: chunked"]) +
                          b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n", DEVICE, 200),
        "linked to another session": Good(enrolment(stale), DEVICE, 400),
        "simplereenroll": Good(http("POST", "/.well-known/est/simplereenroll", [type_, basic], csr), "renewing", 200),
        "fullcmc": Good(http("POST", "/.well-known/est/fullcmc", ["Content-Type: application/pkcs7-mime; smime-type=CMC-request"], full),
                        DEVICE, 200),
        "serverkeygen": Good(enrolment(keyless, operation="keys/serverkeygen"), KEYLESS, 200),
        "serverkeygen, wrapped": Good(enrolment(wrapped_request(work / "j.pem", KEYLESS, identifier), operation="keys/serverkeygen"),
                                      KEYLESS, 200),
        "revocation list": Good(http("GET", "/.well-known/imprint/crl"), DEVICE, 200),
    }


QUESTIONS = ("cacerts", "csrattrs", "revocation list")


def mutate(rng, data, pool, most=4):
    data = bytearray(data)
    for _ in range(rng.randint(1, most)):
        kind = rng.randrange(7)
        at = rng.randrange(len(data)) if data else 0
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 40))
        elif kind == 3 and data:
            del data[at:at + rng.randint(1, 30)]
        elif kind == 4:
            other = rng.choice(pool)
            data[at:] = other[rng.randrange(len(other)):]
        elif kind == 5:
            data[at:at] = data[at:at + rng.randint(1, 200)]
        else:
            data[at:at] = rng.choice([b"\r\n", b"\0", b"%00", b"../", b" chunked", b"Content-Length: 9\r\n", b"A" * 5000])
    return bytes(data)


# --- what comes back -------------------------------------------------------------------------------------------------------

@dataclass
class Said:
    """One answer. Status 0: bytes that are none; no body: the reading ended before it did."""
    status: int
    kind: str
    body: bytes


def answers_in(got):
    out = []
    while got:
        head, end, rest = got.partition(b"\r\n\r\n")
        status = re.match(rb"HTTP/1\.1 (\d{3})", head)
        if not status:
            return out + [Said(0, "", got)]
        kind = re.search(rb"(?im)^content-type: *(.*?)\r?$", head)
        size = re.search(rb"(?im)^content-length: *(\d+)", head)
        length = int(size[1]) if size else 0
        whole = end and len(rest) >= length
        out.append(Said(int(status[1]), kind[1].decode("latin-1") if kind else "", rest[:length] if whole else None))
        got = rest[length:] if whole else b""
    return out


def exchange(port, context, request, patience=0.25):
    """The answers; none if the connection cannot be made. The request may be made from the connection's channel binding."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw, context.wrap_socket(raw, server_hostname="localhost") as tls:
            data = request(tls.get_channel_binding("tls-unique")) if callable(request) else request
            tls.settimeout(patience)
            tls.sendall(data)
            got = b""
            try:
                while len(got) < 262144:
                    part = tls.recv(16384)
                    if not part:
                        break
                    got += part
                    if answers_in(got)[-1].body is not None:
                        tls.settimeout(0.01)
            except (TimeoutError, ssl.SSLError, ConnectionError):
                pass
            return answers_in(got)
    except (ssl.SSLError, ConnectionError, TimeoutError):
        return []


def send_all(port, requests):
    with concurrent.futures.ThreadPoolExecutor(max_workers=CLIENTS) as clients:
        return list(clients.map(lambda one: exchange(port, *one), requests))


def items(der):
    """The items that are here in a row: of each its tag, its content and all of it."""
    at = 0
    while at < len(der):
        more = der[at + 1] & 127 if der[at + 1] & 128 else 0
        length = int.from_bytes(der[at + 2:at + 2 + more], "big") if more else der[at + 1]
        begin = at + 2 + more
        yield der[at], der[begin:begin + length], der[at:begin + length]
        at = begin + length


def certificates_in(signed):
    """The certificates that come with SignedData."""
    (_, info, _), = items(signed)
    _, (_, tagged, _) = items(info)
    (_, data, _), = items(tagged)
    return [whole for tag, content, _ in items(data) if tag == 0xA0 for _, _, whole in items(content)]


class Judge:
    """Knows what the owner's answers may carry: what is everybody's, and what is on record."""

    def __init__(self, site, work):
        self.site, self.work = site, work
        blocks = re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END", site.anchors.read_text(), re.S)
        self.public = {base64.b64decode(block) for block in blocks}
        self.lists = {}

    def rows(self):
        return self.site.query("SELECT device, subject, der FROM certificates")

    def own(self, device):
        """What this device may see: its certificates, and the server's own, by which it signs."""
        return self.public | {der for owner, _, der in self.rows() if owner in (device, None)}

    def fault(self, said, allowed):
        """Nothing, or what is wrong with this answer to somebody who may see these certificates."""
        if said.status != 200 or said.body is None:
            return None if said.status else f"no answer: {said.body[:100]}"
        if said.kind == "application/pkix-crl":
            return None if self.is_list(said.body) else "not the owner's revocation list"
        try:
            found = self.certificates(said)
        except (ValueError, IndexError, TypeError) as problem:
            return f"cannot be read: {problem}"
        strangers = [one for one in found if one not in allowed]
        return None if found and not strangers else f"{len(found)} certificates, {len(strangers)} of them not on record for the asker"

    def certificates(self, said):
        if said.kind.startswith("application/pkcs7-mime"):
            return certificates_in(base64.b64decode(said.body))
        if not said.kind.startswith("multipart/mixed"):
            raise ValueError(said.kind)
        parts = dict(parts_of(said))
        certificates = next((certificates_in(body) for kind, body in parts.items() if "certs-only" in kind), [])
        key = next((body for kind, body in parts.items() if kind == "application/pkcs8"), None)
        if key and public_of("pkey", key) not in [public_of("x509", one) for one in certificates]:
            raise ValueError("the key is not the certificate's")
        return certificates

    def is_list(self, body):
        if body not in self.lists:
            said = openssl("crl", "-inform", "DER", "-noout", "-CAfile", self.site.anchors, data=body, good=False).stderr
            self.lists[body] = said.strip() == b"verify OK"
        return self.lists[body]


def parts_of(said):
    message = email.message_from_bytes(b"Content-Type: " + said.kind.encode() + b"\r\n\r\n" + said.body)
    return [(part["Content-Type"], base64.b64decode(part.get_payload())) for part in message.get_payload()]


def public_of(kind, der):
    what = ("pkey", "-pubout") if kind == "pkey" else ("x509", "-noout", "-pubkey")
    return openssl(*what, "-inform", "DER", data=der).stdout


# --- the suite -------------------------------------------------------------------------------------------------------------

def make_site(work):
    (work / "imprint.toml").write_text(CONFIG)
    site = Site(work / "site", work / "imprint.toml")
    for device, more in ((DEVICE, ()), (KEYLESS, ("--label", "keys", "--wrap-key"))):
        must("factory", "make", "--model", device.removesuffix("-0001"), "--out", work / device, *more, "--data", site.data)
        must("device", "import", work / device / "manifest.jsonl", "--data", site.data)
    return site


def connections(site, work):
    """Who asks: by what the connection proves."""
    ran = site.onboard(work / "own", "--device", work / DEVICE / DEVICE)
    check("a device has a certificate to renew", ran.returncode == 0, ran.stderr)
    out = {device: client_context(site.anchors, work / device / device / "idevid-chain.pem", work / device / device / "idevid-key.pem")
           for device in (DEVICE, KEYLESS)}
    out["renewing"] = client_context(site.anchors, work / "own" / "chain.pem", work / "own" / "key.pem")
    out["stranger"] = client_context(site.anchors)
    return out


def device_at(connection):
    return KEYLESS if connection == KEYLESS else DEVICE


def whole_requests(judge, contexts, pool):
    """Without mutations, each of them is good where it belongs, and a stranger's gets nothing."""
    for name, good in pool.items():
        said = exchange(judge.site.port, contexts[good.by], good.data, patience=10)
        if not check(f"{name}: whole, it gets {good.status}", [one.status for one in said] == [good.status], said):
            continue
        if good.status == 200:
            fault = judge.fault(said[0], judge.own(device_at(good.by)))
            check(f"{name}: and nothing that is not on record", fault is None, fault)
        if name in QUESTIONS:
            continue
        if good.status == 200:
            check(f"{name}: which is not for everybody", judge.fault(said[0], judge.public))
        said = exchange(judge.site.port, contexts["stranger"], good.data, patience=10)
        check(f"{name}: from a stranger it gets no 200", len(said) == 1 and said[0].status not in (0, 200), said)


def strangers(judge, contexts, mutants):
    before = judge.rows()
    results = send_all(judge.site.port, [(contexts["stranger"], mutant) for mutant in mutants])
    check("no certificate came of a stranger's mutant", judge.rows() == before, judge.rows())
    wrong = [(fault, mutant[:200]) for said, mutant in zip(results, mutants) for one in said if (fault := judge.fault(one, judge.public))]
    check("the server is still there", judge.site.up(), (judge.work / "log").read_text()[-3000:])
    check("no stranger's mutant got more than everybody may see", not wrong, wrong[:3])
    check("and some did get that", any(one.status == 200 and one.body for said in results for one in said))
    answered = sum(bool(said) for said in results)
    check("most mutants got an answer", answered > len(mutants) // 4, answered)


def linked_requests(judge, pool):
    """Linked to their own session, by tls-unique; the first of them is whole."""
    site, own = judge.site, judge.work / DEVICE / DEVICE

    def request(n):
        key = judge.work / f"k-{n}.pem"
        shutil.copy(judge.work / "k.pem", key)

        def made(binding):
            whole = enrolment(make_csr(key, DEVICE, base64.b64encode(binding).decode()))
            return mutate(random.Random(f"{SEED} linked {n}"), whole, pool, 1) if n else whole
        return made
    context = client_context(site.anchors, own / "idevid-chain.pem", own / "idevid-key.pem", tls12=True)
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as clients:
        results = list(clients.map(lambda n: exchange(site.port, context, request(n), 0.25 if n else 10), range(LINKED)))
    check("linked to its own session: whole, it gets 200", [one.status for one in results[0]] == [200], results[0])
    return results


def devices(judge, contexts, pool, mutants):
    """The mutants of devices that are known, each on the connection where the whole one is good."""
    names = [name for name, _ in mutants]
    results = send_all(judge.site.port, [(contexts[pool[name].by], mutant) for name, mutant in mutants])
    linked = linked_requests(judge, [good.data for good in pool.values()])
    asked = [(pool[name].by, said) for name, said in zip(names, results)] + [(DEVICE, said) for said in linked]
    allowed = {by: judge.own(device_at(by)) for by in (DEVICE, KEYLESS, "renewing")}
    wrong = [(by, fault) for by, said in asked for one in said if (fault := judge.fault(one, allowed[by]))]
    check("no device's mutant got a certificate that is not on record for it", not wrong, wrong[:3])
    granted = [by for by, said in asked for one in said if one.status == 200 and judge.fault(one, judge.public)]
    check("some of the mutants were still whole", len(granted) > len(mutants) // 200, granted)


def certified(judge):
    """Everything on record is what a whole request says, whoever asked."""
    work = judge.work
    known = {openssl("pkey", "-in", path, "-pubout").stdout for path in (work / "k.pem", work / "own" / "key.pem")}
    not_made = known | {openssl("pkey", "-in", path, "-pubout").stdout
                        for path in (work / "j.pem", work / KEYLESS / KEYLESS / "idevid-key.pem")}
    rows = [row for row in judge.rows() if row[0] is not None]
    wrong = [row for row in rows if row[0] not in (DEVICE, KEYLESS) or row[1] != f"CN={row[0]}"]
    check("what was certified has the names of the devices", rows and not wrong, wrong)
    wrong = [row for row in rows if row[0] == DEVICE and public_of("x509", row[2]) not in known]
    check("for the key that the requests name", not wrong, wrong)
    wrong = [row for row in rows if row[0] == KEYLESS and public_of("x509", row[2]) in not_made]
    check("or for one that the server has made", not wrong, wrong)


def main():
    rng = random.Random(SEED)
    print(f"# seed {SEED}")
    with scratch("mutants") as folder:
        work = Path(folder)
        site = make_site(work)
        if not check("the server starts", site.start(log=work / "log")):
            return finish()
        try:
            contexts, judge = connections(site, work), Judge(site, work)
            pool = good_requests(work)
            whole_requests(judge, contexts, pool)
            names, data = list(pool), [good.data for good in pool.values()]
            share = REQUESTS * 4 // 5
            strangers(judge, contexts, [mutate(rng, rng.choice(data), data) for _ in range(share)])
            # One mutation each: these are to come close to what is granted.
            devices(judge, contexts, pool, [(name, mutate(rng, pool[name].data, data, 1)) for name in rng.choices(names, k=REQUESTS - share)])
            certified(judge)
            good = exchange(site.port, contexts["stranger"], pool["cacerts"].data, patience=10)
            check("a good question is still answered", [one.status for one in good] == [200], good)
            site.server.send_signal(signal.SIGTERM)
            check("it ends cleanly, without a leak", site.server.wait(timeout=60) == 0, (work / "log").read_text()[-3000:])
        finally:
            site.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
