#!/usr/bin/env python3
"""A device of the domain where the registrar was reached, as any join proxy is: it carries the first connection to the registrar, cuts it behind the
voucher, and ends TLS itself from then on, with a certificate of the owner's CA for its own address. It is told nothing and believed nothing, however often
it tries; the device gives up as it was told to, and gets to its owner afterwards. And a device whose clock stands in 2001.

The one in between is Python's ssl module with a certificate made by openssl."""
import select
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop" / "brski"))
from players import Maker, Owner  # noqa: E402
from common import check, error_of, fake_clock, finish, installed, make_key, openssl, scratch, skip  # noqa: E402

# What the device says on its first connection, in turns: the ClientHello, the rest of the handshake with requestvoucher, and then one request each.
TURNS = {"voucher_status": 3, "cacerts": 4, "csrattrs": 5, "simpleenroll": 6}


def lamp_of_the_domain(work, owner):
    """A certificate of the owner's CA for this machine's address, and no registrar's."""
    key = make_key(work / "lamp.key")
    request, extensions, out = work / "lamp.csr", work / "lamp.ext", work / "lamp.pem"
    openssl("req", "-new", "-batch", "-key", key, "-subj", "/CN=lamp-0099", "-out", request)
    extensions.write_text("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth,serverAuth\n"
                          "subjectAltName=DNS:localhost,IP:127.0.0.1\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    chain = owner.data / "ca" / "chain.pem"
    openssl("x509", "-req", "-in", request, "-CA", chain, "-CAkey", owner.data / "ca" / "key.pem", "-set_serial", "0x0b5c", "-days", "30",
            "-extfile", extensions, "-out", out)
    path = work / "lamp-chain.pem"
    path.write_bytes(out.read_bytes() + chain.read_bytes())
    return path, key


class Between:
    """Carries octets to the registrar up to that turn of the device's, and cuts there; the next `own` connections are ended by itself."""

    def __init__(self, registrar, turn, chain, key, own):
        self.to = ("127.0.0.1", registrar)
        self.turn, self.own = turn, own
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(str(chain), str(key))
        self.heard, self.met, self.cuts = [], 0, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                raw, _ = self.socket.accept()
            except OSError:
                return
            nth = self.met % (1 + self.own)
            self.met += 1
            with raw:
                raw.settimeout(20)
                try:
                    self.carry(raw) if nth == 0 else self.end_here(raw)
                except OSError:
                    pass

    def carry(self, device):
        """Half duplex, as these protocols are: what the device says after an answer is its next turn."""
        turns, said_by_device = 0, False
        with socket.create_connection(self.to, timeout=20) as registrar:
            while True:
                for one in select.select([device, registrar], [], [], 20)[0]:
                    octets = one.recv(65536)
                    if one is device and not said_by_device:
                        turns += 1
                    said_by_device = one is device
                    if octets and turns >= self.turn:
                        self.cuts += 1
                    if not octets or turns >= self.turn:
                        return
                    (registrar if one is device else device).sendall(octets)

    def end_here(self, raw):
        with self.context.wrap_socket(raw, server_side=True) as tls:
            told = tls.recv(65536)
            if told:
                self.heard.append(told.split(b"\r\n")[0])
                tls.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    def close(self):
        self.socket.close()


def takeovers(work, owner, devices, lamp):
    for (what, turn), device in zip(TURNS.items(), devices):
        out = work / f"out-{what}"
        between = Between(owner.port, turn, *lamp, own=99)
        done = owner.take(device, out, registrar=f"localhost:{between.port}")
        between.close()
        told = done.stdout + done.stderr
        check(f"cut at {what}: it was cut, and somebody else was there", between.cuts == 1 and between.met >= 2, (between.cuts, between.met))
        check(f"cut at {what}: the device is told who that is not", done.returncode != 0 and "EST-SERVER-VOUCHED" in told, told[-600:])
        check(f"cut at {what}: and tells it nothing", between.heard == [], between.heard)
        check(f"cut at {what}: it has no certificate", not installed(out), told[-300:])
        done = owner.take(device, out)
        check(f"cut at {what}: it gets to its owner afterwards", done.returncode == 0 and installed(out), error_of(done))


def patience(work, maker, owner, device, lamp):
    """The voucher is good each time, and EST never: as many rounds as it was told, ever further apart."""
    between = Between(owner.port, TURNS["cacerts"], *lamp, own=1)
    start = time.monotonic()
    done = owner.take(device, work / "out-patience", "--attempts", "3", registrar=f"localhost:{between.port}")
    took = time.monotonic() - start
    between.close()
    check("an enrolment that never works is tried three times", done.returncode != 0 and between.cuts == 3, (between.cuts, done.stdout[-400:]))
    check("with rests of 1 s and 2 s, less a quarter", took >= 0.75 + 1.5, took)
    given = maker.log(device.name)["vouchers"]
    check("and the maker has given three vouchers", len(given) == 3, given)


def without_clock(work, owner, devices):
    env = fake_clock("2001-01-01 00:00:00")
    if env is None:
        skip("a device in 2001", "no libfaketime (Debian: faketime)")
        return
    out = work / "out-2001"
    done = owner.take(devices[0], out, env=env)
    check("a device in 2001 that trusts its clock takes nobody for its owner", done.returncode != 0 and not installed(out), done.stdout[-300:])
    done = owner.take(devices[1], out.with_name("out-no-clock"), "--no-clock", env=env)
    check("one whose clock does not count gets to the end", done.returncode == 0 and installed(out.with_name("out-no-clock")), error_of(done))


def main():
    with scratch("brski-takeover") as folder:
        work = Path(folder)
        owner = Owner(work / "site")
        maker = Maker(work, "lamps", owner_data=owner.data)
        devices = maker.make(7)
        maker.start()
        owner.knows(maker)
        owner.wants(devices[0].parent)
        owner.start()
        try:
            lamp = lamp_of_the_domain(work, owner)
            takeovers(work, owner, devices[:4], lamp)
            patience(work, maker, owner, devices[4], lamp)
            without_clock(work, owner, devices[5:])
        finally:
            owner.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
