#!/usr/bin/env python3
"""Clocks that are wrong by years, at the client and at the server: nobody trusts what is not valid now, and all is well afterwards."""
import json
import socket
import ssl
import sys
import threading
from pathlib import Path

from common import (Site, check, error_of, fake_clock, fault_of, finish, imprint, installed, make_csr, make_key, must, openssl,
                    scratch, skip)

WRONG = {"1970": ("1970-01-02 00:00:00", "not yet valid"), "2060": ("2060-01-01 00:00:00", "no longer valid")}


class Listener:
    """A TLS server that keeps every byte that a client sends it after the handshake."""

    def __init__(self, chain, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(str(chain), str(key))
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.met, self.heard = 0, b""
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                raw, _ = self.socket.accept()
            except OSError:
                return
            self.met += 1
            try:
                raw.settimeout(5)
                with self.context.wrap_socket(raw, server_side=True) as tls:
                    self.heard += tls.recv(65536)
            except OSError:
                pass

    def close(self):
        self.socket.close()


def client_clock(site, work):
    listener = Listener(site.data / "tls" / "chain.pem", site.data / "tls" / "key.pem")
    for year, (when, why) in WRONG.items():
        token = site.token("clock-" + year)
        secret = work / f"token-{year}"
        secret.write_text(token)
        login = ["--user", "clock-" + year, "--password-file", secret]
        out = work / ("out-" + year)
        wrong = site.onboard(out, *login, env=fake_clock(when))
        error = error_of(wrong)
        check(f"client in {year}: exit 4, EST-SERVER-UNTRUSTED, \"{why}\"",
              wrong.returncode == 4 and error.get("rule") == "EST-SERVER-UNTRUSTED" and why in error.get("error", ""),
              (wrong.returncode, wrong.stderr))
        check(f"client in {year}: nothing is installed", not installed(out))
        imprint("onboard", "est", "--server", f"https://127.0.0.1:{listener.port}", "--anchors", site.anchors, "--out", work / "nowhere",
                "--attempts", "1", "--timeout", "10", *login, env=fake_clock(when))
        check(f"client in {year}: not a byte behind the handshake", listener.met > 0 and listener.heard == b"", listener.heard)
        listener.met = 0
        right = site.onboard(out, *login)
        check(f"with the right clock the device of {year} enrols", right.returncode == 0 and not fault_of(out), right.stderr)
    imprint("onboard", "est", "--server", f"https://127.0.0.1:{listener.port}", "--anchors", site.anchors, "--out", work / "nowhere",
            "--attempts", "1", "--timeout", "10", *login)
    check("with the right clock the same listener is talked to", listener.heard.startswith(b"GET "), listener.heard)
    listener.close()


def old_device(site, work):
    """A renewal by a device whose clock went back to 1970: refused before anything changes."""
    out = work / "out-1970"
    before = (out / "cert.pem").read_bytes()
    wrong = site.onboard(out, "--renew", env=fake_clock(WRONG["1970"][0]))
    check("renewal in 1970: exit 4, the certificate stays", wrong.returncode == 4 and (out / "cert.pem").read_bytes() == before,
          (wrong.returncode, wrong.stderr))
    right = site.onboard(out, "--renew")
    check("renewal with the right clock", right.returncode == 0 and not fault_of(out), right.stderr)


def server_clock(site, work):
    """Outside its own time the CA signs nothing, and the device is told to come again (5: it had no time to); within it, the
    server has a certificate of that time, which the device refuses (4)."""
    clocks = {"1970": ("1970-01-02 00:00:00", 5), "2031": ("2031-11-21 00:00:00", 4), "2060": ("2060-01-01 00:00:00", 5)}
    for year, (when, code) in clocks.items():
        name = "late-" + year
        secret = work / ("secret-" + year)
        secret.write_text(site.token(name))
        out = work / ("server-" + year)
        login = ["--user", name, "--password-file", secret]
        started = site.start(env=fake_clock(when))
        if started:
            wrong = site.onboard(out, *login, "--timeout", "5")
            check(f"server in {year}: exit code {code}, nothing is installed",
                  wrong.returncode == code and not installed(out), (wrong.returncode, wrong.stderr))
        else:
            check(f"server in {year}: it does not start, so nobody is misled", not installed(out))
        site.stop()
        if not check(f"after {year} the server starts with the right clock", site.start()):
            continue
        right = site.onboard(out, *login)
        check(f"and the same device enrols with the same token ({year})", right.returncode == 0 and not fault_of(out), right.stderr)
        site.stop()


def expired_idevid(work):
    """A maker's certificate of 2015 to 2016: refused, unless the owner says that it still counts."""
    then = fake_clock("2015-06-01 00:00:00")
    make_key(work / "maker-key.pem")
    openssl("req", "-new", "-x509", "-key", work / "maker-key.pem", "-subj", "/CN=Old Maker", "-days", "36500", "-out",
            work / "maker.pem", env=then)
    make_key(work / "idevid-key.pem")
    (work / "idevid.der").write_bytes(make_csr(work / "idevid-key.pem", "pump-7"))
    openssl("x509", "-req", "-inform", "DER", "-in", work / "idevid.der", "-CA", work / "maker.pem", "-CAkey", work / "maker-key.pem",
            "-set_serial", "7", "-days", "365", "-out", work / "idevid.pem", env=then)
    for accept in (False, True):
        config = work / f"accept-{accept}.toml"
        config.write_text(f"[est]\naccept_expired_idevid = {str(accept).lower()}\n[policy]\nmakers = ['{work / 'maker.pem'}']\n")
        site = Site(work / f"old-{accept}", config)
        must("device", "add", "pump-7", "--idevid", work / "idevid.pem", "--data", site.data)
        try:
            if not check(f"a server with accept_expired_idevid = {str(accept).lower()} starts", site.start()):
                continue
            out = work / f"pump-{accept}"
            got = site.onboard(out, "--cert", work / "idevid.pem", "--key", work / "idevid-key.pem", "--subject", "CN=pump-7")
            if accept:
                check("an expired IDevID is taken where the owner says so", got.returncode == 0 and not fault_of(out), got.stderr)
            else:
                check("an expired IDevID is refused by default, and nothing is installed or on record",
                      got.returncode not in (0, None) and not installed(out) and site.certificates() == [], got.stderr)
                check("the client says that the server ended the handshake, not that it does not answer",
                      error_of(got).get("rule") == "EST-SERVER-ALERT", json.dumps(error_of(got)))
        finally:
            site.stop()


def main():
    print("# seed: none; the clocks are written out")
    if fake_clock("1970-01-02 00:00:00") is None:
        skip("clocks that are wrong by years", "no libfaketime (Debian: faketime)")
        return finish()
    with scratch("clock") as folder:
        work = Path(folder)
        site = Site(work / "data")
        try:
            assert site.start(), "Bail out! the server does not start"
            client_clock(site, work)
            old_device(site, work)
            site.stop()
            server_clock(site, work)
            check("the audit log holds after all that, one entry a certificate", site.audit_holds())
        finally:
            site.stop()
        expired_idevid(work)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
