#!/usr/bin/env python3
"""10,000 mutated requests to the sanitizer build's server: no crash, no leak, no wrong 200.

Good requests of every operation are cut, stretched, flipped, repeated and spliced by a seeded generator. Four of five come
from a stranger: for them a 200 is right only for the questions that need no credentials, and no certificate may come to be. The
rest come from a registered device with its IDevID: whatever is certified for them has to be just what its whole request says.
"""
import base64
import concurrent.futures
import json
import os
import random
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMPRINT = os.environ.get("IMPRINT_ASAN", "build-asan/imprint")
REQUESTS = int(os.environ.get("MUTANTS", "10000"))
CLIENTS = 48  # at a time: most of one exchange is waiting for an answer that a cut request never gets
SEED = int(os.environ.get("SEED", "20261121"))
DEVICE = "mutant-0001"
tests = []


def check(name, good, detail=""):
    tests.append(good)
    print(f"{'ok' if good else 'not ok'} {len(tests)} - {name}", flush=True)
    if not good and detail:
        print("# " + str(detail).replace("\n", "\n# "))


def run(*arguments):
    out = subprocess.run([IMPRINT, *arguments], capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, (arguments, out.stderr)
    return out.stdout


def make_csr(work):
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(work / "k.pem")], check=True)
    subprocess.run(["openssl", "req", "-new", "-key", str(work / "k.pem"), "-subj", f"/CN={DEVICE}", "-outform", "DER",
                    "-out", str(work / "r.der")], check=True, capture_output=True)
    return (work / "r.der").read_bytes()


def http(method, path, headers=(), body=b""):
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n" + "".join(h + "\r\n" for h in headers)
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def mutate(rng, data, pool):
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
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


def exchange(port, context, data):
    """All status lines that come back; None if the connection cannot be made."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw, context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.settimeout(0.25)
            tls.sendall(data)
            got = b""
            try:
                while len(got) < 65536:
                    part = tls.recv(16384)
                    if not part:
                        break
                    got += part
                    if re.search(rb"HTTP/1\.1 \d{3}", got) and b"\r\n\r\n" in got:
                        tls.settimeout(0.01)
            except (TimeoutError, ssl.SSLError, ConnectionError):
                pass
            return [int(s) for s in re.findall(rb"HTTP/1\.1 (\d{3})", got)]
    except (ssl.SSLError, ConnectionError, TimeoutError):
        return None


def asks_a_question(data):
    return b"cacerts" in data or b"csrattrs" in data or b"crl" in data


def issued(data):
    """The certificates on record, but for the server's own."""
    found = json.loads(run("ca", "list", "--data", str(data), "--json"))
    return [one for one in found["certificates"] if one["device"] != "(server)"]


def key_of(data, serial):
    database = sqlite3.connect(f"file:{data}/imprint.db?mode=ro", uri=True, timeout=5)
    der = database.execute("SELECT der FROM certificates WHERE serial = ?", (bytes.fromhex(serial),)).fetchone()[0]
    database.close()
    return subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-pubkey"], input=der, capture_output=True, check=True).stdout


def main():
    rng = random.Random(SEED)
    print(f"# seed {SEED}")
    with tempfile.TemporaryDirectory(prefix="imprint-mutants-") as folder:
        work = Path(folder)
        data = work / "data"
        run("init", "--data", str(data))
        run("factory", "make", "--model", "mutant", "--out", str(work / "made"), "--data", str(data))
        run("device", "import", str(work / "made" / "manifest.jsonl"), "--data", str(data))
        env = dict(os.environ, IMPRINT_EST_LISTEN="127.0.0.1:0", IMPRINT_API_LISTEN="127.0.0.1:0", IMPRINT_LOG_LEVEL="error")
        log = open(work / "log", "wb")
        server = subprocess.Popen([IMPRINT, "serve", "--data", str(data)], env=env, stdout=log, stderr=log)
        for _ in range(600):
            if (data / "endpoints.json").exists():
                break
            time.sleep(0.05)
        port = int(json.loads((data / "endpoints.json").read_text())["est"].rsplit(":", 1)[1])
        context = ssl.create_default_context(cafile=str(data / "ca" / "chain.pem"))
        known = ssl.create_default_context(cafile=str(data / "ca" / "chain.pem"))
        known.load_cert_chain(work / "made" / DEVICE / "idevid-chain.pem", work / "made" / DEVICE / "idevid-key.pem")

        csr = make_csr(work)
        body = base64.encodebytes(csr)
        basic = "Authorization: Basic " + base64.b64encode(f"{DEVICE}:not-the-token".encode()).decode()
        type_ = "Content-Type: application/pkcs10"
        pool = [
            http("GET", "/.well-known/est/cacerts"),
            http("GET", "/.well-known/est/csrattrs"),
            http("POST", "/.well-known/est/simpleenroll", [type_], body),
            http("POST", "/.well-known/est/simpleenroll", [type_, basic], body),
            http("POST", "/.well-known/est/default/simpleenroll", [type_, basic], base64.b64encode(csr)),
            http("POST", "/.well-known/est/simplereenroll", [type_, basic], csr),
            http("POST", "/.well-known/est/simpleenroll", [type_, "Transfer-Encoding: chunked"]) +
            b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n",
        ]
        good = exchange(port, context, pool[0])
        check("a good question is answered", good == [200], good)
        mutants = [mutate(rng, rng.choice(pool), pool) for _ in range(REQUESTS)]
        strangers = REQUESTS * 4 // 5
        with concurrent.futures.ThreadPoolExecutor(max_workers=CLIENTS) as clients:
            results = list(clients.map(lambda mutant: exchange(port, context, mutant), mutants[:strangers]))
        check("no certificate came of a stranger's mutant", issued(data) == [], issued(data))
        answered = sum(bool(statuses) for statuses in results)
        wrong = [(n, mutants[n][:200]) for n, statuses in enumerate(results)
                 if statuses and 200 in statuses and not asks_a_question(mutants[n])]
        check("the server is still there", server.poll() is None, (work / "log").read_text()[-3000:])
        check("no mutant got a 200 that it should not", not wrong, wrong[:3])
        check("most mutants got an answer", answered > strangers // 4, answered)
        with concurrent.futures.ThreadPoolExecutor(max_workers=CLIENTS) as clients:
            granted = list(clients.map(lambda mutant: exchange(port, known, mutant), mutants[strangers:]))
        check("some of a known device's were still whole", any(statuses and 200 in statuses for statuses in granted) and issued(data))
        key = subprocess.run(["openssl", "pkey", "-in", str(work / "k.pem"), "-pubout"], capture_output=True, check=True).stdout
        wrong = [c for c in issued(data) if c["device"] != DEVICE or c["subject"] != f"CN={DEVICE}" or key_of(data, c["serial"]) != key]
        check("and what was certified is what they say", not wrong, wrong)
        good = exchange(port, context, pool[0])
        check("a good question is still answered", good == [200], good)
        server.send_signal(signal.SIGTERM)
        check("it ends cleanly, without a leak", server.wait(timeout=60) == 0, (work / "log").read_text()[-3000:])
    print(f"1..{len(tests)}")
    return 0 if all(tests) else 1


if __name__ == "__main__":
    sys.exit(main())
