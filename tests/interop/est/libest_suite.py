#!/usr/bin/env python3
"""libest's recorded bytes, replayed: what its client sent goes to our server, what its server sent goes to our client.

tests/data/est/libest.md says what each exchange is and docs/interop/est.md how libest was run. Nobody here knows libest's user, so the
right answer to most of its requests is a refusal, which shows that the request was read to its end and understood.
"""
import base64
import re
import socket
import ssl
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "faults"))
from common import (Site, check, client_context, contents, error_of, fault_of, finish, imprint, installed, make_csr,  # noqa: E402
                    make_key, openssl, scratch)

DATA = ROOT / "tests" / "data" / "est"
LINE = 64


def recorded(name):
    return (DATA / f"libest-{name}.http").read_bytes()


def body_of(message):
    return message.partition(b"\r\n\r\n")[2]


def wrapped(body):
    return all(len(line) <= LINE for line in body.splitlines())


# --- libest's client, our server ---------------------------------------------------------------------------------------

def ask(site, data, tls12=True):
    """All that comes back until the server closes; the empty line too many travels on its own, as libest sends it."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as raw:
        with client_context(site.anchors, tls12=tls12).wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(data[:-2])
            try:
                tls.sendall(data[-2:])
            except OSError:
                pass  # answered and closed by now
            got = b""
            try:
                while part := tls.recv(16384):
                    got += part
            except ConnectionError:
                pass
            return got


def status_of(answer):
    """The status, if this is exactly one answer."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") and answer.count(b"HTTP/1.1 ") == 1 else None


# Exchange, status, and what has to be in the answer.
REQUESTS = [
    ("enrol-challenged", 401, b"asic realm="),
    ("enrol-digest-challenged", 401, b"asic realm="),
    ("enrol-digest", 401, b"asic realm="),       # without an algorithm it is MD5, which we leave out: challenged anew
    ("enrol", 401, b"asic realm="),              # a user and a password that are nobody's
    ("enrol-wrong-password", 401, b"asic realm="),
    ("enrol-not-linked", 401, b"asic realm="),   # no link is demanded here; see requiring_links()
    ("enrol-pending", 401, b"asic realm="),
    ("enrol-linked", 400, b"EST-LINKING,"),       # linked to the session of its recording
    ("reenrol", 403, b"EST-REENROLL-CERTIFICATE"),
]


def questions(site):
    answer = ask(site, recorded("cacerts-request"))
    body = body_of(answer)
    check("cacerts: 200 in lines of 64 columns, which is what libest can read",
          status_of(answer) == 200 and len(body.splitlines()) > 1 and wrapped(body), answer)
    pem = openssl("pkcs7", "-inform", "DER", "-print_certs", data=base64.b64decode(body), good=False).stdout
    own = openssl("x509", "-in", site.anchors).stdout
    check("and the CA certificate is in it", own.strip() in pem, pem.decode())
    answer = ask(site, recorded("csrattrs-request"))
    check("csrattrs: 204, this site has no wishes", status_of(answer) == 204 and body_of(answer) == b"", answer)


def requests(site):
    for name, status, text in REQUESTS:
        answers = [ask(site, recorded(f"{name}-request"), tls12) for tls12 in (True, False)]
        check(f"{name}: {status} with {text.decode()}, once, over TLS 1.2 and 1.3",
              all(status_of(a) == status and text in a for a in answers), answers)
    check("nothing was issued", site.certificates() == [], site.certificates())


def requiring_links(work):
    config = work / "linked.toml"
    config.write_text("[profiles.'default']\nrequire_linking = true\n")
    site = Site(work / "linked-site", config)
    try:
        if check("a site that demands linked requests starts", site.start()):
            answer = ask(site, recorded("enrol-not-linked-request"))
            check("enrol-not-linked: 400, EST-LINKING-MISSING", status_of(answer) == 400 and b"EST-LINKING-MISSING" in answer, answer)
    finally:
        site.stop()


def known_user(site):
    """The one request with another user's line: libest's own request for a certificate is good."""
    login = base64.b64encode(f"dev-1:{site.token('dev-1')}".encode())
    answer = ask(site, re.sub(rb"Basic \S+", b"Basic " + login, recorded("enrol-request")))
    check("enrol, with a user that we know: 200 in lines of 64 columns",
          status_of(answer) == 200 and len(body_of(answer).splitlines()) > 1 and wrapped(body_of(answer)), answer)
    check("and one certificate is on record", len(site.certificates("dev-1")) == 1, site.certificates())


# --- libest's server, our client ---------------------------------------------------------------------------------------

class Player:
    """Serves recorded answers by the last part of the path, on one connection after the other."""

    def __init__(self, work, answers, hang_up=False):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(str(work / "server.pem"), str(work / "server-key.pem"))
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2  # as libest
        self.answers, self.hang_up = answers, hang_up
        self.heard = {}
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                raw, _ = self.socket.accept()
                raw.settimeout(10)
                with self.context.wrap_socket(raw, server_side=True) as tls:
                    while self.answer(tls):
                        pass
            except OSError:
                if self.socket.fileno() < 0:
                    return

    def answer(self, tls):
        request = b""
        while b"\r\n\r\n" not in request:
            part = tls.recv(16384)
            if not part:
                return False
            request += part
        length = re.search(rb"(?i)content-length: *(\d+)", request)
        while length and len(body_of(request)) < int(length.group(1)):
            request += tls.recv(16384)
        operation = request.split(b" ")[1].rsplit(b"/", 1)[1].decode()
        self.heard[operation] = request
        tls.sendall(self.answers[operation])
        if not (self.hang_up and operation.startswith("simple")):
            return True
        tls.unwrap()  # close_notify: without it the end would be a cut, not an end
        return False

    def close(self):
        self.socket.close()


def make_server_certificate(work):
    make_key(work / "ca-key.pem")
    openssl("req", "-new", "-x509", "-key", work / "ca-key.pem", "-subj", "/CN=Third party", "-days", "2", "-out", work / "ca.pem")
    (work / "server.der").write_bytes(make_csr(make_key(work / "server-key.pem"), "localhost"))
    (work / "server.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-inform", "DER", "-in", work / "server.der", "-CA", work / "ca.pem", "-CAkey", work / "ca-key.pem",
            "-set_serial", "2", "-days", "1", "-extfile", work / "server.ext", "-out", work / "server.pem")
    (work / "password").write_text("estpwd")


def play(work, name, enrolment, *arguments, renew=False, hang_up=False, timeout=10):
    """Our client against libest's cacerts and csrattrs and this answer to its enrolment, or to the renewal of what it has."""
    player = Player(work, {"cacerts": recorded("cacerts-response"), "csrattrs": recorded("csrattrs-response"),
                           "simplereenroll" if renew else "simpleenroll": enrolment}, hang_up)
    trust = list(arguments) or ["--implicit-anchors", work / "ca.pem"]
    own = ["--renew"] if renew else ["--user", "estuser", "--password-file", work / "password", "--subject", "CN=dev-1"]
    out = work / f"out-{name}"
    result = imprint("onboard", "est", "--json", "--server", player.url, "--out", out, "--attempts", "1", "--timeout", timeout, *own,
                     *trust)
    player.close()
    return result, error_of(result), player.heard, out


# Exchange, exit code, rule: a 401 is a refusal; a certificate for libest's key is none of ours.
RESPONSES = [
    ("enrol-challenged", 3, "EST-UNAUTHORIZED"),
    ("enrol-digest-challenged", 3, "EST-UNAUTHORIZED"),
    ("enrol-wrong-password", 3, "EST-UNAUTHORIZED"),
    ("enrol-not-linked", 3, "EST-UNAUTHORIZED"),
    ("enrol", 4, "EST-ANSWER-KEY"),
    ("enrol-linked", 4, "EST-ANSWER-KEY"),
    ("enrol-digest", 4, "EST-ANSWER-KEY"),
]


def responses(work):
    for name, code, rule in RESPONSES:
        result, error, heard, out = play(work, name, recorded(f"{name}-response"))
        check(f"{name}: our client ends with {code}, {rule}, and installs nothing",
              result.returncode == code and error.get("rule") == rule and not installed(out), (result.returncode, result.stderr))
    body = body_of(heard.get("simpleenroll", b""))
    text = openssl("req", "-inform", "DER", "-noout", "-text", data=base64.b64decode(body), good=False).stdout.decode()
    check("its cacerts and csrattrs are understood: the request is for a key on secp384r1", "secp384r1" in text, text)
    check("linked to the session, and in lines of 64 columns, which is what libest can read",
          "challengePassword" in text and len(body.splitlines()) > 1 and wrapped(body), text)


def renewal(site, work):
    """The recorded renewal is for a key that libest's client has made, so it cannot end well for ours: it is read, and refused
    for the key. What our client renews is a certificate of its own, from another server."""
    out = work / "out-reenrol"
    (work / "token").write_text(site.token("dev-2") + "\n")
    (work / "token").chmod(0o600)
    first = site.onboard(out, "--user", "dev-2", "--password-file", work / "token")
    if not check("there is something to renew", first.returncode == 0, first.stderr):
        return
    before = contents(out)
    result, error, heard, _ = play(work, "reenrol", recorded("reenrol-response"), renew=True)
    check("reenrol: our client's renewal is answered, and ends with 4, EST-ANSWER-KEY: that certificate's key is not ours",
          "simplereenroll" in heard and result.returncode == 4 and error.get("rule") == "EST-ANSWER-KEY", (result.returncode, result.stderr))
    check("and what it had stays", contents(out) == before and fault_of(out) is None, fault_of(out))


def pending(work):
    answer = recorded("enrol-pending-response")
    result, _, heard, out = play(work, "pending", answer, hang_up=True, timeout=3)
    check("enrol-pending: a 202 without a length, ended by the connection's end: the client waits as told, until its --timeout: 5",
          result.returncode == 5 and "Waiting" in result.stderr and "simpleenroll" in heard and not installed(out),
          (result.returncode, result.stderr))
    result, _, _, _ = play(work, "pending-open", answer, timeout=3)
    check("and it does not hang when the connection stays open: 5", result.returncode == 5, (result.returncode, result.stderr))


def bootstrap(work):
    """The recorded CA certificate is what a person would compare."""
    shown = openssl("x509", "-in", DATA / "libest-ca.pem", "-noout", "-fingerprint", "-sha256").stdout.decode().strip()
    right = shown.partition("=")[2]
    flipped = ("0" if right[0] != "0" else "1") + right[1:]
    _, error, heard, _ = play(work, "fingerprint", b"", "--fingerprint", right)
    check("with the fingerprint of libest-ca.pem its cacerts are believed; that we are not libest shows in TLS",
          error.get("rule") == "EST-SERVER-UNTRUSTED" and list(heard) == ["cacerts"], (error, list(heard)))
    result, error, heard, _ = play(work, "fingerprint-wrong", b"", "--fingerprint", flipped)
    check("with another fingerprint they are not: 4, EST-FINGERPRINT",
          result.returncode == 4 and error.get("rule") == "EST-FINGERPRINT" and list(heard) == ["cacerts"], (error, list(heard)))
    result, error, heard, _ = play(work, "rollover", b"", "--anchors", work / "ca.pem")
    check("nor in place of an owner's anchor that does not vouch for them: EST-CACERTS-ROLLOVER",
          result.returncode == 4 and error.get("rule") == "EST-CACERTS-ROLLOVER" and "simpleenroll" not in heard, (error, list(heard)))


def main():
    print("# seed: none; every byte is recorded")
    with scratch("libest") as folder:
        work = Path(folder)
        site = Site(work / "site")
        try:
            assert site.start(), "Bail out! the server does not start"
            questions(site)
            requests(site)
            known_user(site)
            make_server_certificate(work)
            renewal(site, work)
        finally:
            site.stop()
        requiring_links(work)
        responses(work)
        pending(work)
        bootstrap(work)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
