#!/usr/bin/env python3
"""Strangers and worse at the ports of registrar and MASA: each is refused with a clear status, or cut off; both stay up, their memory bounded,
and an honest device gets through right after.

The peers are Python's ssl module and bytes written by hand; what they send is written down here, from RFC 8995 and RFC 9112."""
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop" / "brski"))
from players import MEDIA, Maker, Owner  # noqa: E402
from common import Answer, check, client_context, fault_of, finish, openssl, scratch  # noqa: E402

PATH = "/.well-known/brski/requestvoucher"
FLOOD = int(os.environ.get("FLOOD", "2000"))
MOST_GROWTH_KIB = 96 * 1024


def memory_of(process):
    """Resident KiB."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def head(method="POST", path=PATH, length=None, kind=MEDIA["cms"], more=(), version="1.1"):
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *([f"Content-Type: {kind}", f"Accept: {kind}"] if kind else []), *more]
    lines += [f"Content-Length: {length}"] if length is not None else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def post(body, **options):
    return head(length=len(body), **options) + body


class Port:
    """One server's port, and how somebody goes there."""

    def __init__(self, name, port, process, certificate=None, key=None):
        self.name, self.port, self.process = name, port, process
        self.context = client_context(None, certificate, key)

    def open(self):
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=15)
        return self.context.wrap_socket(raw, server_hostname="localhost")

    def say(self, octets):
        """What is answered to these octets; None if it is nothing."""
        try:
            with self.open() as tls:
                tls.sendall(octets)
                answer = Answer(tls)
                return answer if answer.status else None
        except (OSError, ssl.SSLError):
            return None


def status(answer):
    return answer.status if answer else None


def bad_messages(port):
    """The same for both: what is no request for a voucher."""
    for name, octets, wanted in (
            ("another method", head("GET"), (405,)),
            ("a method that nobody knows", head("BREW", length=0), (400, 405, 501)),
            ("another path", post(b"x", path="/.well-known/brski/nothing"), (404,)),
            ("a path out of the tree", post(b"x", path="/.well-known/brski/../../etc/passwd"), (400, 404)),
            ("another type", post(b"x", kind="application/json"), (415,)),
            ("no type", post(b"x", kind=None), (415,)),
            ("garbage", post(os.urandom(900)), (400, 403)),
            ("nothing", post(b""), (400, 403, 413)),
            ("CMS that promises more than there is", post(b"\x30\x84\x7f\xff\xff\xff\x00"), (400, 403)),
            ("deep DER", post(b"\x30\x80" * 4000), (400, 403)),
            ("deep JSON", post(b"[" * 9000, kind=MEDIA["jws"]), (400, 403, 413)),
            ("deep CBOR", post(b"\x81" * 9000, kind=MEDIA["cose"]), (400, 403, 413)),
            ("two lengths", head(length=1, more=("Content-Length: 2",)) + b"x", (400,)),
            ("a length that is none", head(more=("Content-Length: many",)), (400,)),
            ("a length and chunks", head(length=4, more=("Transfer-Encoding: chunked",)) + b"0\r\n\r\n", (400, 411, 501)),
            ("a huge length", head(length=1 << 40), (400, 413)),
            ("a header without end", head(more=("X: " + "a" * 70000,)), (400, 431)),
            ("no HTTP at all", b"\x00\x01\x02 hello\r\n\r\n", (400, None))):
        got = port.say(octets)
        check(f"{port.name}: {name} is refused", status(got) in wanted, got)


def old_http(port):
    got = port.say(head("GET", "/.well-known/brski", kind=None, version="1.0").replace(b"HTTP/1.0", b"HTTP/1.0"))
    check(f"{port.name}: HTTP/1.0 is served or refused in words", status(got) in (200, 400, 404, 405, 505), got)


def oversized(port):
    before = memory_of(port.process)
    results = set()
    for _ in range(20):
        try:
            with port.open() as tls:
                tls.sendall(head(length=64 << 20))
                tls.settimeout(5)
                for _ in range(512):
                    tls.sendall(b"x" * 65536)
                results.add("taken")
        except (OSError, ssl.SSLError):
            results.add("cut")
    check(f"{port.name}: bodies of 64 MiB are cut off", results == {"cut"}, results)
    grown = memory_of(port.process) - before
    check(f"{port.name}: and are not kept", grown < MOST_GROWTH_KIB, f"{grown} KiB")


def slow(port):
    """Many that begin and never go on hold neither memory nor the others."""
    before, held = memory_of(port.process), []
    for n in range(150):
        try:
            tls = port.open()
            tls.sendall(head(length=12000) + b"x" * (n * 50))
            held.append(tls)
        except (OSError, ssl.SSLError):
            break
    begin = time.monotonic()
    got = port.say(post(b"x"))
    check(f"{port.name}: others are answered while {len(held)} bodies are on their way", status(got) in (400, 403) and time.monotonic() - begin < 5, got)
    check(f"{port.name}: at little memory", memory_of(port.process) - before < MOST_GROWTH_KIB, memory_of(port.process) - before)
    for tls in held:
        tls.close()
    raw = [socket.create_connection(("127.0.0.1", port.port), timeout=5) for _ in range(300)]  # no handshake at all
    got = port.say(post(b"x"))
    check(f"{port.name}: nor do 300 that say nothing keep others out", status(got) in (400, 403), got)
    for one in raw:
        one.close()


def cut(port):
    for n in range(60):
        try:
            with port.open() as tls:
                tls.sendall(post(os.urandom(1500))[:60 + n * 25])
        except (OSError, ssl.SSLError):
            pass
    check(f"{port.name}: cut bodies leave it as it was", port.process.poll() is None and status(port.say(post(b"x"))) in (400, 403))


def pipelined(port):
    """A request, then another, then what is none, in one go: answered in order, then cut."""
    got, answers = b"", 0
    try:
        with port.open() as tls:
            tls.settimeout(10)
            tls.sendall(post(b"x") + post(b"y") + b"GARBAGE\r\n\r\n\x00\x01" * 50)
            while True:
                part = tls.recv(16384)
                if not part:
                    break
                got += part
    except (OSError, ssl.SSLError):
        pass
    answers = got.count(b"HTTP/1.1 ")
    check(f"{port.name}: of what is pipelined the requests are answered in order, the garbage ends it", 1 <= answers <= 4 and b" 200 " not in got, got[:600])


def flood(port):
    """Thousands of requests, as one device may send: all answered, none kept."""
    before, begin, seen, lost = memory_of(port.process), time.monotonic(), {}, 0
    message = post(b"\x30\x03\x02\x01\x01")

    def one_of(count):
        nonlocal lost
        done = 0
        while done < count:
            try:
                with port.open() as tls:
                    for _ in range(min(50, count - done)):
                        tls.sendall(message)
                        answer = Answer(tls)
                        if not answer.status:
                            break
                        done += 1
                        seen[answer.status] = seen.get(answer.status, 0) + 1
                        if answer.headers.get("connection") == "close":
                            break
            except (OSError, ssl.SSLError):
                lost += 1
                if lost > 50:
                    return
    threads = [threading.Thread(target=one_of, args=(FLOOD // 8,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    put_off = {202} if port.name == "registrar" else set()  # a device that asks again and again (BRSKI-TOO-OFTEN)
    check(f"{port.name}: {FLOOD} bad requests are all refused or put off",
          set(seen) <= {400, 403, 429, 503} | put_off and sum(seen.values()) >= FLOOD * 0.9, (seen, lost))
    check(f"{port.name}: the one device is put off soon" if put_off else f"{port.name}: each is answered", put_off <= set(seen), seen)
    grown = memory_of(port.process) - before
    check(f"{port.name}: and do not pile up", grown < MOST_GROWTH_KIB, f"{grown} KiB in {time.monotonic() - begin:.1f} s")


def tls_strangers(owner, port, work):
    """Who comes with no certificate, with one of another maker's, or with one that is over, is nobody here."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", work / "self.key", "-out", work / "self.pem",
            "-subj", "/serialNumber=X-1/CN=stranger", "-days", "9")
    for name, certificate, key in (("no certificate", None, None), ("a certificate of its own", work / "self.pem", work / "self.key"),
                                   ("a certificate of another maker", work / "other" / "idevid-chain.pem", work / "other" / "idevid-key.pem")):
        if certificate and not Path(certificate).exists():
            continue
        got = Port("registrar", port, owner.server, certificate, key).say(post(b"\x30\x03\x02\x01\x01"))
        refused = got is None or (got.status in (401, 403) and "BRSKI-IDEVID" in got.text)
        check(f"registrar: {name} is nobody", refused, got)
        got = Port("registrar", port, owner.server, certificate, key).say(
            post(b'{"version":1,"status":true}', path="/.well-known/brski/voucher_status", kind="application/json"))
        check(f"registrar: {name} reports nothing", got is None or got.status in (401, 403, 404), got)
        got = Port("registrar", port, owner.server, certificate, key).say(post(b"", path="/.well-known/est/simpleenroll", kind="application/pkcs10"))
        check(f"registrar: {name} gets no certificate", got is None or got.status in (400, 401, 403), got)
    old = subprocess.run(["openssl", "s_client", "-connect", f"localhost:{port}", "-tls1_1"], input=b"", capture_output=True, timeout=20)
    check("registrar: TLS 1.1 is refused", b"Cipher is (NONE)" in old.stdout or old.returncode != 0, old.stdout[-200:])


def main():
    with scratch("brski-bad") as folder:
        work = Path(folder)
        owner = Owner(work / "site")
        maker = Maker(work, "lamps", owner_data=owner.data)
        devices = maker.make(3)
        stranger = Maker(work, "strangers")
        (work / "strangers-maker").mkdir(exist_ok=True)
        os.environ.setdefault("IMPRINT_LOG_LEVEL", "error")
        if subprocess.run([__import__("common").IMPRINT, "init", "--data", str(stranger.data)], capture_output=True, timeout=30).returncode == 0:
            os.symlink(stranger.make(1)[0], work / "other")
        maker.start()
        owner.knows(maker)
        owner.wants(devices[0].parent)
        owner.start(log=work / "site.log")
        try:
            known = (devices[0] / "idevid-chain.pem", devices[0] / "idevid-key.pem")
            tls_strangers(owner, owner.port, work)
            for port in (Port("registrar", owner.port, owner.server, *known), Port("MASA", maker.port, maker.server)):
                bad_messages(port)
                old_http(port)
                oversized(port)
                cut(port)
                slow(port)
                pipelined(port)
                flood(port)
                check(f"{port.name}: it is up", port.process.poll() is None)
            check("no certificate came of it", owner.certificates() == [], owner.certificates())
            done = owner.take(devices[1], work / "honest")
            check("an honest device gets through right after", done.returncode == 0, done.stderr)
            check("and what it holds belongs together", fault_of(work / "honest") is None, fault_of(work / "honest"))
            check("the audit log holds", owner.audit_holds())
        finally:
            if not all(__import__("common").tests):
                print("# " + (work / "site.log").read_text()[-1500:].replace("\n", "\n# "))
            owner.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
