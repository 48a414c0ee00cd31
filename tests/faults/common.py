"""What the fault suites share: TAP, a site of its own with its server, devices that onboard, and folders looked at with openssl.

Everything is bound to loopback; every server takes port 0 and is asked for its port; every wait has an end.
"""
import base64
import glob
import http.client
import json
import os
import re
import resource
import signal
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are ended and folders removed
IMPRINT = os.path.abspath(os.environ.get("IMPRINT", "build/imprint"))
tests = []


# --- TAP ---------------------------------------------------------------------------------------------------------------

def check(name, good, detail=""):
    tests.append(bool(good))
    # One write with its end: threads of a suite would otherwise tell two results on one line.
    print(f"{'ok' if good else 'not ok'} {len(tests)} - {name}\n", end="", flush=True)
    if not good and detail not in ("", None):
        print("# " + str(detail)[:3000].replace("\n", "\n# "), flush=True)
    return good


def skip(name, reason):
    tests.append(True)
    print(f"ok {len(tests)} - {name} # SKIP {reason}", flush=True)


def finish():
    """Prints the plan; the suite's exit code."""
    print(f"1..{len(tests)}")
    return 0 if all(tests) else 1


def scratch(name, on_disk=False):
    """A folder of the suite's own; in memory where it can be, since these suites end processes, not the machine. On a disk
    a program spends its time between one write and the next: where a kill is to come there."""
    memory = "/dev/shm" if not on_disk and os.access("/dev/shm", os.W_OK | os.X_OK) else None
    return tempfile.TemporaryDirectory(prefix=f"imprint-{name}-", dir=memory)


# --- commands ----------------------------------------------------------------------------------------------------------

def imprint(*arguments, env=None, timeout=30):
    return subprocess.run([IMPRINT, *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))


def must(*arguments, **options):
    out = imprint(*arguments, **options)
    if out.returncode != 0:
        raise SystemExit(f"Bail out! imprint {' '.join(map(str, arguments))}: {out.stderr[-500:]}")
    return out.stdout


def openssl(*arguments, data=None, env=None, good=True):
    out = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, timeout=30,
                         env=dict(os.environ, **(env or {})))
    if good and out.returncode != 0:
        raise SystemExit(f"Bail out! openssl {' '.join(map(str, arguments))}: {out.stderr.decode()[-500:]}")
    return out


def error_of(result):
    """The one error object that --json writes to stderr, {} if there is none."""
    for line in reversed(result.stderr.splitlines()):
        if line.startswith('{"error"'):
            return json.loads(line)
    return {}


def fake_clock(when):
    """The environment in which a program believes that its start is at `when` (UTC); None without Debian's faketime."""
    library = sorted(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))
    if not library:
        return None
    return {"LD_PRELOAD": library[0], "FAKETIME": "@" + when, "TZ": "UTC", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


# --- a site and its server -----------------------------------------------------------------------------------------------

class Site:
    def __init__(self, data, config=None):
        self.data = Path(data)
        self.config = config
        self.server = None
        must(*self.options(), "init")

    def options(self):
        return (["--config", str(self.config)] if self.config else []) + ["--data", str(self.data)]

    @property
    def anchors(self):
        return self.data / "ca" / "chain.pem"

    def devices(self, model, count, out):
        """A maker's devices with IDevIDs, known to the site; before start(), which reads the makers."""
        must("factory", "make", "--data", self.data, "--model", model, "--count", count, "--out", out)
        must("device", "import", "--data", self.data, Path(out) / "manifest.jsonl")
        return [f"{model}-{n + 1:04}" for n in range(count)]

    def token(self, device):
        return json.loads(must("device", "add", device, "--one-time", "--json", "--data", self.data))["token"]

    def start(self, env=None, limit_kib=None, log=None):
        """Starts the server; limit_kib is its RLIMIT_FSIZE, log the file that gets its stderr."""
        self.endpoints().unlink(missing_ok=True)
        env = {**os.environ, "IMPRINT_EST_LISTEN": "127.0.0.1:0", "IMPRINT_API_LISTEN": "127.0.0.1:0",
               "IMPRINT_LOG_LEVEL": "error", **(env or {})}

        def limit():
            if limit_kib:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_kib * 1024, limit_kib * 1024))
        with open(log or os.devnull, "ab") as said:
            self.server = subprocess.Popen([IMPRINT, *self.options(), "serve"], env=env, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=said, preexec_fn=limit)
        for _ in range(200):
            if self.endpoints().exists() and self.endpoints().stat().st_size:
                break
            if self.server.poll() is not None:
                return False
            time.sleep(0.05)
        said = json.loads(self.endpoints().read_text())
        self.est = said["est"]
        self.port = int(said["est"].rsplit(":", 1)[1])
        self.coaps_port = int(said.get("coaps", ":0").rsplit(":", 1)[1])
        self.api_port = int(said["api"].rsplit(":", 1)[1])
        return True

    def endpoints(self):
        return self.data / "endpoints.json"

    def up(self):
        return self.server is not None and self.server.poll() is None

    def stop(self):
        """SIGTERM; the server's exit code."""
        if not self.server:
            return None
        if self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            try:
                self.server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        code, self.server = self.server.returncode, None
        return code

    def health(self):
        try:
            api = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=5)
            api.request("GET", "/healthz")
            return api.getresponse().status
        except OSError:
            return None

    def query(self, sql):
        database = sqlite3.connect(f"file:{self.data}/imprint.db?mode=ro", uri=True, timeout=5)
        try:
            return database.execute(sql).fetchall()
        finally:
            database.close()

    def certificates(self, device=None):
        """Serial numbers on record, of one device or of all; the server's own have no device."""
        rows = self.query("SELECT device, serial FROM certificates WHERE device IS NOT NULL ORDER BY sequence")
        return [bytes(serial).hex() for owner, serial in rows if device in (None, owner)]

    def audit_holds(self):
        out = imprint("audit", "verify", "--data", self.data)
        issued = self.query("SELECT count(*) FROM audit WHERE action = 'certificate.issued'")[0][0]
        return out.returncode == 0 and issued == self.query("SELECT count(*) FROM certificates")[0][0]

    def onboard(self, out, *arguments, env=None, timeout=30):
        return imprint(*self.onboarding(out, *arguments), env=env, timeout=timeout)

    def onboarding(self, out, *arguments):
        chosen = list(map(str, arguments))
        own = [] if "--renew" in chosen or "--anchors" in chosen else ["--anchors", str(self.anchors)]
        own += [] if "--attempts" in chosen else ["--attempts", "1"]
        own += [] if "--timeout" in chosen else ["--timeout", "15"]
        return ["onboard", "est", "--json", "--server", self.est, "--out", str(out), *own, *chosen]


# --- a device's folder -------------------------------------------------------------------------------------------------

FILES = ("key.pem", "cert.pem", "chain.pem", "anchors.pem")


def serial_of(certificate):
    return openssl("x509", "-in", certificate, "-noout", "-serial").stdout.decode().strip().removeprefix("serial=").lower()


def installed(folder):
    return (Path(folder) / "cert.pem").exists()


def contents(folder):
    return {name: (Path(folder) / name).read_bytes() for name in FILES if (Path(folder) / name).exists()}


def fault_of(folder):
    """Nothing, or what is wrong with an installed folder: its four files have to belong together."""
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).exists()]
    if missing:
        return f"{folder}: no {', '.join(missing)}"
    of_key = openssl("pkey", "-in", folder / "key.pem", "-pubout").stdout
    if openssl("x509", "-in", folder / "cert.pem", "-noout", "-pubkey").stdout != of_key:
        return f"{folder}: key.pem is not the key of cert.pem"
    if not (folder / "chain.pem").read_bytes().startswith((folder / "cert.pem").read_bytes()):
        return f"{folder}: chain.pem does not begin with cert.pem"
    path = openssl("verify", "-CAfile", folder / "anchors.pem", "-untrusted", folder / "chain.pem", folder / "cert.pem", good=False)
    if path.returncode != 0:
        return f"{folder}: {path.stdout.decode()}{path.stderr.decode()}"
    if (folder / "key.pem").stat().st_mode & 0o077:
        return f"{folder}: others may read key.pem"
    return None


def leftovers(folder):
    """What a finished folder should not hold: half-written files, keys of before, generations that nothing points to."""
    folder = Path(folder)
    generations = [p.name for p in (folder / "generations").iterdir()] if (folder / "generations").is_dir() else []
    current = os.path.basename(os.readlink(folder / "current")) if (folder / "current").is_symlink() else None
    out = [f"generations/{name}" for name in generations if name != current]
    out += [str(p.relative_to(folder)) for p in folder.rglob("*.new")]
    return out + (["pending"] if (folder / "pending").exists() else [])


# --- requests by hand ----------------------------------------------------------------------------------------------------

def make_key(path):
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
    return path


def make_csr(key, name, challenge=None):
    """The DER of a request for CN=name, with a challengePassword if one is given."""
    config = Path(str(key) + ".cnf")
    attributes = ("attributes=a\n", f"[a]\nchallengePassword={challenge}\n") if challenge else ("", "")
    config.write_text(f"[req]\nprompt=no\nutf8=yes\nstring_mask=utf8only\ndistinguished_name=d\n{attributes[0]}"
                      f"[d]\nCN={name}\n{attributes[1]}")
    return openssl("req", "-new", "-batch", "-key", key, "-config", config, "-outform", "DER").stdout


def enrolment(der, login=None, operation="simpleenroll"):
    """The bytes of an EST enrolment as they go over the wire."""
    body = base64.encodebytes(der)
    head = [f"POST /.well-known/est/{operation} HTTP/1.1", "Host: localhost", "Content-Type: application/pkcs10",
            "Content-Transfer-Encoding: base64", f"Content-Length: {len(body)}"]
    if login:
        head.append("Authorization: Basic " + base64.b64encode(":".join(login).encode()).decode())
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def client_context(anchors=None, certificate=None, key=None, tls12=False):
    context = ssl.create_default_context(cafile=str(anchors)) if anchors else ssl._create_unverified_context()
    if tls12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if certificate:
        context.load_cert_chain(str(certificate), str(key))
    return context


class Answer:
    """One HTTP answer, read to its end."""

    def __init__(self, stream):
        raw = b""
        while b"\r\n\r\n" not in raw:
            part = stream.recv(16384)
            if not part:
                break
            raw += part
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        match = re.match(r"HTTP/1\.1 (\d{3})", lines[0])
        self.status = int(match.group(1)) if match else None
        self.headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        length = int(self.headers.get("content-length", 0))
        while len(self.body) < length:
            part = stream.recv(16384)
            if not part:
                break
            self.body += part
        self.text = self.body.decode("latin-1")

    def certificate(self, work):
        """The serial number of the one certificate in a certs-only body."""
        pem = openssl("pkcs7", "-inform", "DER", "-print_certs", data=base64.b64decode(self.body)).stdout
        path = Path(work) / "answer.pem"
        path.write_bytes(pem)
        return serial_of(path)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.text[:300]}"
