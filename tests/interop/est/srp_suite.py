#!/usr/bin/env python3
"""EST over TLS-SRP (RFC 7030 section 3.3.3, RFC 5054): a secret on both sides in place of certificates.

Clients of our server: curl (OpenSSL), gnutls-cli (GnuTLS) and tlslite-ng (Python alone), which has no code in common with the
others. Server for our client: tlslite-ng, with the openssl command as its CA. (`openssl s_server` of 3.0 loses the user's name before
it looks it up, for its own client as well.)

tlslite-ng is brought by peers.sh into .peers/tlslite; this script runs with the Python of that folder."""
import base64
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".peers" / "tlslite" / "bin" / "python3"
sys.path.insert(0, str(ROOT / "tests" / "faults"))
from common import (Site, check, enrolment, fault_of, finish, imprint, make_csr, make_key, openssl, scratch, skip)  # noqa: E402

try:
    from tlslite.api import HandshakeSettings, TLSConnection, VerifierDB
    from tlslite.errors import TLSError
except ImportError:
    if PYTHON.exists() and Path(sys.executable) != PYTHON:
        os.execv(PYTHON, [str(PYTHON), __file__])
    why = ROOT / ".peers" / "tlslite.missing"
    skip("tlslite-ng", why.read_text().strip() if why.exists() else "run tests/interop/est/peers.sh tlslite")
    sys.exit(finish())

ON = "[est]\nsrp = true\n"
USER, PASSWORD = "lamp", "a password of lamp, long enough"


def settings():
    out = HandshakeSettings()
    out.minVersion = out.maxVersion = (3, 3)
    return out


class Device:
    """A device that is registered with a token, and its request."""

    def __init__(self, site, work, name):
        self.name = name
        self.token = site.token(name)
        self.token_file = work / f"{name}.token"
        self.token_file.write_text(self.token)
        self.key = make_key(work / f"{name}.key")
        self.csr = make_csr(self.key, name)
        self.work = work

    def holds(self, pkcs7):
        """Whether these are certificates, and the first is for our key."""
        try:
            (self.work / "answer.der").write_bytes(base64.b64decode(pkcs7))
        except ValueError:
            return False
        made = openssl("pkcs7", "-inform", "DER", "-in", self.work / "answer.der", "-print_certs", good=False).stdout
        (self.work / "answer.pem").write_bytes(made)
        found = openssl("x509", "-in", self.work / "answer.pem", "-noout", "-pubkey", good=False).stdout
        return bool(found) and found == openssl("pkey", "-in", self.key, "-pubout").stdout


# ---- clients of our server ----

def curl(site, device, user, token, *more):
    request = device.work / "request.b64"
    request.write_bytes(base64.encodebytes(device.csr))
    return subprocess.run(["curl", "-sS", "-m", "20", "--tls-max", "1.2", "--tlsauthtype", "SRP", "--tlsuser", user, "--tlspassword", token,
                           "-k", "-H", "Content-Type: application/pkcs10", "--data-binary", f"@{request}", "-w", "%{http_code}", "-o",
                           device.work / "body", *more, f"{site.est}/.well-known/est/simpleenroll"], capture_output=True, text=True)


def by_curl(site, work):
    device = Device(site, work, "curl-1")
    wrong = curl(site, device, device.name, "not the token")
    check("curl: another secret opens nothing", wrong.returncode != 0 and wrong.stdout == "000", wrong)
    stranger = curl(site, device, "nobody", device.token)
    check("curl: nor does a name of nobody, in the same words", stranger.returncode == wrong.returncode and
          re.sub("curl: ", "", stranger.stderr) == re.sub("curl: ", "", wrong.stderr), f"{stranger.stderr} {wrong.stderr}")
    good = curl(site, device, device.name, device.token, "--cacert", os.devnull)
    body = (work / "body").read_bytes()
    check("curl: the token enrols, without any certificate of the server's", good.stdout == "200" and device.holds(body), good)
    other = make_csr(make_key(work / "curl-2.key"), device.name)
    device.csr = other
    again = curl(site, device, device.name, device.token)
    check("curl: once; another key gets nothing for it", again.stdout in ("401", "403"), again)


def by_gnutls(site, work):
    if not shutil.which("gnutls-cli"):
        skip("gnutls-cli", "not installed")
        return
    device = Device(site, work, "gnutls-1")

    def ask(token):
        return subprocess.run(["gnutls-cli", "--priority", "NONE:+VERS-TLS1.2:+SRP:+AES-256-CBC:+AES-128-CBC:+SHA1:+COMP-NULL:+SIGN-ALL",
                               "--srpusername", device.name, "--srppasswd", token, "-p", str(site.port), "localhost", "--logfile",
                               work / "gnutls.log"], input=enrolment(device.csr).replace(b"keep-alive", b"close"), capture_output=True,
                              timeout=30)
    check("GnuTLS: another secret opens nothing", b"HTTP/1.1" not in ask("not the token").stdout)
    said = ask(device.token).stdout
    head, _, body = said.partition(b"\r\n\r\n")
    check("GnuTLS: the token enrols", b"HTTP/1.1 200" in head and device.holds(body), said[:500])


def by_tlslite(site, work):
    device = Device(site, work, "tlslite-1")

    def ask(user, token):
        raw = socket.create_connection(("localhost", site.port), timeout=20)
        with raw:
            tls = TLSConnection(raw)
            tls.handshakeClientSRP(bytearray(user, "ascii"), bytearray(token, "ascii"), settings=settings())
            tls.sendall(enrolment(device.csr))
            said = b""
            while b"\r\n\r\n" not in said or len(said.partition(b"\r\n\r\n")[2]) < int(re.search(rb"(?i)content-length: (\d+)", said)[1]):
                said += tls.recv(4096) or b"\r\n\r\nContent-Length: 0"
            return said
    for user, token in ((device.name, "not the token"), ("nobody", device.token)):
        try:
            said = ask(user, token)
        except (TLSError, OSError) as error:
            said = repr(error).encode()
        check(f"tlslite-ng: {user} with {'another' if token != device.token else 'a'} secret opens nothing", b"HTTP/1.1" not in said, said[:300])
    said = ask(device.name, device.token)
    head, _, body = said.partition(b"\r\n\r\n")
    check("tlslite-ng: the token enrols", b"HTTP/1.1 200" in head and device.holds(body), said[:500])
    check("each is on record once", len(site.certificates(device.name)) == 1)


def by_our_client(site, work):
    device = Device(site, work, "own-1")

    def onboard(out, *more, user=device.name, token=device.token_file):
        return imprint("onboard", "est", "--json", "--server", site.est, "--out", work / out, "--srp", "--user", user, "--password-file",
                       token, "--attempts", "1", "--timeout", "15", *more)
    wrong = work / "wrong.token"
    wrong.write_text("not the token")
    no = onboard("own-no", token=wrong)
    check("our client: another secret opens nothing, and it says so", no.returncode != 0 and "EST-SRP" in no.stderr, no.stderr)
    good = onboard("own-1")
    check("our client: a token is all that it needs", good.returncode == 0 and fault_of(work / "own-1") is None, good.stderr)
    renewed = imprint("onboard", "est", "--json", "--server", site.est, "--out", work / "own-1", "--renew", "--timeout", "15")
    check("and renews by its certificate", renewed.returncode == 0, renewed.stderr)
    anchors = openssl("x509", "-in", work / "own-1" / "anchors.pem", "-noout", "-fingerprint").stdout
    check("its anchors are the owner's", anchors == openssl("x509", "-in", site.anchors, "-noout", "-fingerprint").stdout)


# ---- servers for our client ----

class Peer(threading.Thread):
    """tlslite-ng with one user, answering as an EST server whose CA is the openssl command's."""

    def __init__(self, work, password):
        super().__init__(daemon=True)
        self.work = work
        self.users = VerifierDB()
        self.users.create()
        self.users[USER.encode()] = VerifierDB.makeVerifier(USER, password, 2048)
        self.asked = []
        self.errors = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            raw.settimeout(20)
            try:
                self.serve(TLSConnection(raw))
            except (TLSError, OSError) as error:
                self.errors.append(repr(error))
            raw.close()

    def serve(self, tls):
        tls.handshakeServer(verifierDB=self.users, settings=settings())
        said = b""
        while True:
            while b"\r\n\r\n" not in said:
                more = tls.recv(4096)
                if not more:
                    return
                said += more
            head, _, said = said.partition(b"\r\n\r\n")
            size = re.search(rb"(?i)content-length: (\d+)", head)
            while size and len(said) < int(size[1]):
                said += tls.recv(4096)
            body, said = (said[:int(size[1])], said[int(size[1]):]) if size else (b"", said)
            line = head.split(b"\r\n")[0].decode()
            self.asked.append(line + (" with a login" if b"authorization" in head.lower() else ""))
            tls.sendall(self.answer(line, body))

    def answer(self, line, body):
        ca = self.work / "peer-ca.pem"
        if line.startswith("GET /.well-known/est/cacerts "):
            return self.certs_only(ca)
        if line.startswith("POST /.well-known/est/simpleenroll "):
            (self.work / "asked.der").write_bytes(base64.b64decode(body))
            openssl("req", "-inform", "DER", "-in", self.work / "asked.der", "-out", self.work / "asked.pem", "-verify")
            openssl("x509", "-req", "-in", self.work / "asked.pem", "-CA", ca, "-CAkey", self.work / "peer-ca.key", "-set_serial", "7", "-days",
                    "1", "-out", self.work / "made.pem")
            return self.certs_only(self.work / "made.pem")
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    @staticmethod
    def certs_only(pem):
        der = openssl("crl2pkcs7", "-nocrl", "-certfile", pem, "-outform", "DER").stdout
        body = base64.encodebytes(der)
        return (b"HTTP/1.1 200 OK\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\nContent-Length: %d\r\n\r\n"
                % len(body)) + body

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def onboard_there(work, port, out):
    secret = work / "lamp.token"
    secret.write_text(PASSWORD)
    return imprint("onboard", "est", "--json", "--server", f"https://127.0.0.1:{port}", "--out", work / out, "--srp", "--user", USER,
                   "--password-file", secret, "--attempts", "1", "--timeout", "15")


def at_tlslite(work):
    make_key(work / "peer-ca.key")
    openssl("req", "-x509", "-new", "-key", work / "peer-ca.key", "-subj", "/CN=A CA of another", "-days", "2", "-addext",
            "keyUsage=critical,keyCertSign", "-out", work / "peer-ca.pem")
    peer = Peer(work, PASSWORD)
    peer.start()
    good = onboard_there(work, peer.port, "there-1")
    check("tlslite-ng as server: our client enrols", good.returncode == 0 and fault_of(work / "there-1") is None, f"{good.stderr} {peer.errors}")
    check("nothing of the secret is in its requests", peer.asked and not any("login" in line for line in peer.asked), peer.asked)
    peer.stop()
    impostor = Peer(work, "a guess at the password")
    impostor.start()
    no = onboard_there(work, impostor.port, "there-2")
    check("a server that does not know the secret is refused", no.returncode != 0 and "EST-SRP" in no.stderr, no.stderr)
    check("and is asked for nothing", not impostor.asked, impostor.asked)
    impostor.stop()


def main():
    with scratch("srp") as folder:
        work = Path(folder)
        (work / "imprint.toml").write_text(ON)
        site = Site(work / "site", work / "imprint.toml")
        if not check("our server starts", site.start()):
            return finish()
        try:
            by_curl(site, work)
            by_gnutls(site, work)
            by_tlslite(site, work)
            by_our_client(site, work)
        finally:
            site.stop()
        (work / "imprint.toml").write_text("")
        if check("our server starts without est.srp", site.start()):
            try:
                device = Device(site, work, "off-1")
                check("and takes nobody by TLS-SRP", curl(site, device, device.name, device.token).stdout == "000")
            finally:
                site.stop()
        at_tlslite(work)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
