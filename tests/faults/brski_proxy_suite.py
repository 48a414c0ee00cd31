#!/usr/bin/env python3
"""Join proxies that misbehave, between our device and our registrar over real sockets: one of TCP, one of datagrams that keeps a state for each
device, one that keeps none (JPY). What they do to what they carry never leads to an owner or a certificate; the device says why it failed, the
registrar stays up, and the same device gets through an honest proxy right after.

The proxies are Python's sockets; the JPY header is written down here from draft-ietf-anima-constrained-join-proxy (CBOR [bstr, bstr])."""
import concurrent.futures
import json
import os
import select
import socket
import ssl
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop" / "brski"))
from players import Maker, Owner  # noqa: E402
from common import check, error_of, fault_of, finish, openssl, scratch  # noqa: E402

HOST = "127.0.0.1"
PATIENCE_S = "6"
UP, DOWN = "up", "down"  # from the device, to the device
APPLICATION_DATA = 23
LATE = "on its way"  # the voucher was good, and a certificate was given that did not arrive


# ---- streams ----

class Stream:
    """One connection through a proxy, as its twin handles it: `out(end, octets)` sends on, `shut()` ends both."""

    def __init__(self, device, registrar):
        self.ends = {UP: registrar, DOWN: device}
        self.carried = {UP: b"", DOWN: b""}
        self.closed = False

    def out(self, way, octets):
        try:
            self.ends[way].sendall(octets)
        except OSError:
            self.shut()

    def shut(self):
        self.closed = True
        for end in self.ends.values():
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class TcpTwin(threading.Thread):
    """A circuit proxy that asks `deed(stream, way, octets)` to carry; None carries as it should."""

    def __init__(self, port, deed=None):
        super().__init__(daemon=True)
        self.registrar, self.deed, self.streams, self.ends = port, deed, [], False
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        self.listener.settimeout(0.2)
        while not self.ends:
            try:
                device, _ = self.listener.accept()
                stream = Stream(device, socket.create_connection((HOST, self.registrar), timeout=10))
            except OSError:
                continue
            self.streams.append(stream)
            for way, source in ((UP, device), (DOWN, stream.ends[UP])):
                threading.Thread(target=self.pump, args=(stream, way, source), daemon=True).start()

    def pump(self, stream, way, source):
        try:
            source.settimeout(30)
            while not stream.closed:
                octets = source.recv(65536)
                if not octets:
                    break
                if self.deed:
                    self.deed(stream, way, octets)
                else:
                    stream.out(way, octets)
                stream.carried[way] += octets
        except OSError:
            pass
        stream.shut()

    def stop(self):
        self.ends = True
        self.join()
        self.listener.close()
        for stream in self.streams:
            stream.shut()
            for end in stream.ends.values():
                end.close()


def flips(which, at):
    """One bit of what goes this way, `at` octets from the beginning."""
    def deed(stream, way, octets):
        begin = len(stream.carried[way])
        if way == which and begin <= at < begin + len(octets):
            octets = bytearray(octets)
            octets[at - begin] ^= 1
        stream.out(way, bytes(octets))
    return deed


def cuts(which, at):
    """Ends the connection after so many octets of this way."""
    def deed(stream, way, octets):
        room = at - len(stream.carried[way])
        stream.out(way, octets if way != which else octets[:max(0, room)])
        if way == which and len(octets) >= room:
            stream.shut()
    return deed


def records(octets):
    """Whole TLS records, and what is left."""
    out = []
    while len(octets) >= 5 and len(octets) >= 5 + struct.unpack(">H", octets[3:5])[0]:
        size = 5 + struct.unpack(">H", octets[3:5])[0]
        out.append(octets[:size])
        octets = octets[size:]
    return out, octets


def by_record(change):
    """Of what goes to the device, `change` makes other records out of a list of them."""
    left = {}

    def deed(stream, way, octets):
        if way == UP:
            stream.out(way, octets)
            return
        whole, left[stream] = records(left.get(stream, b"") + octets)
        stream.out(way, b"".join(change(whole)))
    return deed


def swaps_records(whole):
    protected = [n for n, one in enumerate(whole) if one[0] == APPLICATION_DATA]
    if len(protected) > 1:
        a, b = protected[-2:]
        whole[a], whole[b] = whole[b], whole[a]
    return whole


def doubles_records(whole):
    return [copy for one in whole for copy in ([one, one] if one[0] == APPLICATION_DATA else [one])]


def plays_back(recorded):
    """Whoever comes hears what the registrar said to another device."""
    def deed(stream, way, octets):
        if way == UP and not stream.carried[UP]:
            stream.out(DOWN, recorded)
    return deed


def holds_back(which):
    def deed(stream, way, octets):
        if way != which:
            stream.out(way, octets)
    return deed


def trickles(stream, way, octets):
    for at in range(0, len(octets), 200):
        stream.out(way, octets[at:at + 200])
        time.sleep(0.002)


class Crossing:
    """Two devices at once: each hears what is for the other."""

    def __init__(self):
        self.met, self.lock = [], threading.Condition()

    def __call__(self, stream, way, octets):
        if way == UP:
            stream.out(UP, octets)
            return
        with self.lock:
            if stream not in self.met:
                self.met.append(stream)
                self.lock.notify_all()
            self.lock.wait_for(lambda: len(self.met) > 1, timeout=4)
            other = self.met[1 - self.met.index(stream) % 2] if len(self.met) > 1 else None
        if other:
            other.out(DOWN, octets)


class Interceptor(threading.Thread):
    """Ends TLS itself: one connection with each, and HTTP between them as it comes."""

    def __init__(self, port, certificate, key):
        super().__init__(daemon=True)
        self.registrar, self.ends, self.seen = port, False, b""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(str(certificate), str(key))
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        self.listener.settimeout(0.2)
        while not self.ends:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                continue
            threading.Thread(target=self.carry, args=(raw,), daemon=True).start()

    def carry(self, raw):
        raw.settimeout(10)
        try:
            with self.context.wrap_socket(raw, server_side=True) as device:
                up = ssl._create_unverified_context().wrap_socket(socket.create_connection((HOST, self.registrar), timeout=10), server_hostname="localhost")
                with up:
                    threading.Thread(target=self.back, args=(up, device), daemon=True).start()
                    while octets := device.recv(16384):
                        self.seen += octets
                        up.sendall(octets)
        except (OSError, ssl.SSLError):
            pass

    @staticmethod
    def back(up, device):
        try:
            while octets := up.recv(16384):
                device.sendall(octets)
        except (OSError, ssl.SSLError):
            pass

    def stop(self):
        self.ends = True
        self.join()
        self.listener.close()


# ---- datagrams ----

class UdpTwin(threading.Thread):
    """A proxy of datagrams: `deed(twin, device, way, datagram)` gives the (device, datagram) pairs that go on; None carries as it should. `wrap` makes
    of it one that keeps no state: one socket to the registrar, each datagram with a header."""

    def __init__(self, port, deed=None, wrap=False):
        super().__init__(daemon=True)
        self.deed, self.ends, self.wrapped, self.seen, self.carried = deed, False, wrap, [], {UP: 0, DOWN: 0}
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind((HOST, 0))
        self.port = self.front.getsockname()[1]
        self.registrar, self.backs = (HOST, port), {}
        if wrap:
            self.backs[None] = self.socket()
        self.start()

    def socket(self):
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        out.connect(self.registrar)
        return out

    def up(self, device, datagram):
        if self.wrapped:
            self.backs[None].send(jpy(header_of(device), datagram))
            return
        if device not in self.backs:
            self.backs[device] = self.socket()
        self.backs[device].send(datagram)

    def carry(self, device, way, datagram):
        self.carried[way] += 1
        self.seen.append((device, way, datagram))
        for to, one in self.deed(self, device, way, datagram) if self.deed else [(device, datagram)]:
            try:
                self.up(to, one) if way == UP else self.front.sendto(one, to)
            except OSError:
                pass

    def run(self):
        while not self.ends:
            ready, _, _ = select.select([self.front, *self.backs.values()], [], [], 0.1)
            for one in ready:
                try:
                    datagram, sender = one.recvfrom(65536)
                except OSError:
                    continue
                if one is self.front:
                    self.carry(sender, UP, datagram)
                elif self.wrapped:
                    header, content = unjpy(datagram)
                    self.carry(device_of(header), DOWN, content)
                else:
                    self.carry(next(d for d, back in self.backs.items() if back is one), DOWN, datagram)

    def stop(self):
        self.ends = True
        self.join()
        for one in (self.front, *self.backs.values()):
            one.close()


def bstr(octets):
    size = len(octets)
    return (bytes([0x40 | size]) if size < 24 else bytes([0x58, size]) if size < 256 else b"\x59" + struct.pack(">H", size)) + octets


def jpy(header, content):
    return b"\x82" + bstr(header) + bstr(content)


def unjpy(message):
    out, at = [], 1
    for _ in range(2):
        first = message[at]
        size, at = (first & 31, at + 1) if first < 0x58 else (message[at + 1], at + 2) if first == 0x58 else (struct.unpack(">H", message[at + 1:at + 3])[0], at + 3)
        out.append(message[at:at + size])
        at += size
    return out


def header_of(device):
    return socket.inet_aton(device[0]) + struct.pack(">H", device[1])


def device_of(header):
    return socket.inet_ntoa(header[:4]), struct.unpack(">H", header[4:6])[0]


def flips_datagrams(which):
    def deed(_twin, device, way, datagram):
        if way == which and datagram[0] == APPLICATION_DATA:
            datagram = datagram[:-5] + bytes([datagram[-5] ^ 1]) + datagram[-4:]
        return [(device, datagram)]
    return deed


def halves(_twin, device, way, datagram):
    return [(device, datagram[:len(datagram) // 2] if way == DOWN else datagram)]


def nothing_down(_twin, device, way, datagram):
    return [] if way == DOWN else [(device, datagram)]


def repeats_and_reorders(twin, device, way, datagram):
    """Each twice, one of a moment ago before it and the very first of all behind it."""
    of_this = [one for at, w, one in twin.seen if (at, w) == (device, way)]
    return [(device, one) for one in (*of_this[-3:-1], datagram, datagram, of_this[0])]


def crosses(twin, device, way, datagram):
    """What is for one device goes to another."""
    if way == UP:
        return [(device, datagram)]
    others = [at for at, w, _ in twin.seen if w == UP and at != device]
    return [(others[-1], datagram)] if others else []


def crosses_up(twin, device, way, datagram):
    """What one device says goes on as another's: a proxy without a state mixes up its headers."""
    others = [at for at, w, _ in twin.seen if w == UP and at != device]
    return [(device, datagram)] if way == DOWN else [(others[-1], datagram)] if others else []


# ---- what is expected of all ----

class Bench:
    def __init__(self, work, owner, maker, devices, firmware):
        self.work, self.owner, self.maker, self.devices, self.firmware = work, owner, maker, list(devices), firmware
        self.lock = threading.Lock()

    def device(self):
        with self.lock:
            return self.devices.pop(0)

    def take(self, device, out, port, coaps=False, timeout=PATIENCE_S):
        more = ("--maker-anchors", self.firmware) if coaps else ()
        return self.owner.take(device, out, *more, "--timeout", timeout, registrar=f"{'coaps://' if coaps else ''}{HOST if coaps else 'localhost'}:{port}")

    def refused(self, name, device, done, out):
        said = error_of(done)
        check(f"{name}: the device is not taken, and says why", done.returncode != 0 and said.get("rule") and fault_of(out), (done.returncode, done.stderr[-600:]))
        if not name.endswith(LATE):
            check(f"{name}: it knows no owner", not (out / "owner").exists())
            check(f"{name}: no certificate was given", self.owner.certificates(device.name) == [], self.owner.certificates(device.name))
        print(f"# {name}: {said.get('rule')}\n", end="", flush=True)

    def recovers(self, name, device, out, port, coaps=False):
        done = self.take(device, out, port, coaps, "30")
        check(f"{name}: the same device gets through an honest one right after", done.returncode == 0 and fault_of(out) is None, done.stderr[-600:])
        check(f"{name}: with one certificate on record", len(self.owner.certificates(device.name)) == 1, self.owner.certificates(device.name))

    def misled(self, name, twin, honest, coaps=False, count=1):
        """So many devices at once come to the twin, and then to the honest proxy."""
        devices = [self.device() for _ in range(count)]
        outs = [self.work / device.name for device in devices]
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            ends = list(pool.map(lambda pair: self.take(pair[0], pair[1], twin.port, coaps), zip(devices, outs)))
        twin.stop()
        for device, out, done in zip(devices, outs, ends):
            self.refused(name, device, done, out)
            self.recovers(name, device, out, honest.port, coaps)

    def survived(self, name, twin, coaps=False):
        device = self.device()
        out = self.work / device.name
        done = self.take(device, out, twin.port, coaps, "30")
        twin.stop()
        check(f"{name}: does no harm", done.returncode == 0 and fault_of(out) is None, done.stderr[-600:])
        check(f"{name}: one certificate is on record", len(self.owner.certificates(device.name)) == 1, self.owner.certificates(device.name))


def tcp(bench):
    port = bench.owner.port
    honest = TcpTwin(port)
    device = bench.device()
    bench.recovers("an honest TCP proxy", device, bench.work / device.name, honest.port)
    first = honest.streams[0]
    heard, said = first.carried[DOWN], first.carried[UP]
    deeds = [(f"a bit of what goes {way}, {at} octets on", flips(way, at)) for way, at in ((DOWN, 40), (DOWN, 900), (UP, 900), (UP, len(said) // 2))]
    deeds += [(f"a bit of the certificate {LATE}", flips(DOWN, len(heard) - 200))]
    deeds += [(f"cut {at} octets {way}", cuts(way, at)) for way, at in ((DOWN, 0), (DOWN, 700), (DOWN, len(heard) // 2), (UP, len(said) // 2))]
    deeds += [("records out of order", by_record(swaps_records)), ("records twice", by_record(doubles_records)), ("another's connection played back", plays_back(heard)),
              ("nothing comes down", holds_back(DOWN)), ("nothing goes up", holds_back(UP))]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: bench.misled(one[0], TcpTwin(port, one[1]), honest), deeds))
    bench.misled("two devices' answers crossed", TcpTwin(port, Crossing()), honest, count=2)
    bench.survived("a proxy that trickles", TcpTwin(port, trickles))
    bench.survived("a connection that is cut in the certificate: the device opens another, by the pin", TcpTwin(port, cuts(DOWN, len(heard) - 200)))
    replayed(bench, said)
    intercepted(bench, honest)
    honest.stop()


def replayed(bench, said):
    """All that a device said, again, to the registrar: the handshake fails, nothing is answered, and nothing is on record."""
    before, pledges = bench.owner.certificates(), bench.owner.query("SELECT count(*) FROM vouchers")[0][0] if has_vouchers(bench) else None
    raw = socket.create_connection((HOST, bench.owner.port), timeout=5)
    answer = b""
    try:
        raw.sendall(said)
        while part := raw.recv(65536):
            answer += part
    except OSError:
        pass
    raw.close()
    kinds = [one[0] for one in records(answer)[0]]
    check("a device's whole connection, sent again, gets a handshake and no answer", b"HTTP/1.1" not in answer and len(answer) < 6000, (len(answer), kinds))
    check("and leaves nothing on record", bench.owner.certificates() == before and
          (pledges is None or bench.owner.query("SELECT count(*) FROM vouchers")[0][0] == pledges))


def has_vouchers(bench):
    return bool(bench.owner.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'vouchers'"))


def intercepted(bench, honest):
    """With a certificate of its own, and with that of a device of the same maker, which it has taken over."""
    work = bench.work
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", work / "twin.key", "-out", work / "twin.pem",
            "-subj", "/CN=registrar", "-days", "9")
    stolen = bench.device()
    for name, certificate, key in (("a proxy that ends TLS itself", work / "twin.pem", work / "twin.key"),
                                   ("one with the key of another device", stolen / "idevid-chain.pem", stolen / "idevid-key.pem")):
        twin = Interceptor(bench.owner.port, certificate, key)
        bench.misled(name, twin, honest)
        check(f"{name}: it saw the request and could do nothing with it", b"requestvoucher" in twin.seen and b"simpleenroll" not in twin.seen, twin.seen[:200])


def udp(bench, wrap, join):
    port = join if wrap else bench.owner.coaps_port
    kind = "without a state" if wrap else "with a state"
    honest = UdpTwin(port, wrap=wrap)
    device = bench.device()
    bench.recovers(f"an honest proxy {kind}", device, bench.work / device.name, honest.port, coaps=True)
    said = [one for _, way, one in honest.seen if way == UP]
    deeds = [(f"{kind}: a bit of all that comes down", flips_datagrams(DOWN), 1), (f"{kind}: a bit of all that goes up", flips_datagrams(UP), 1),
             (f"{kind}: halves", halves, 1), (f"{kind}: nothing comes down", nothing_down, 1), (f"{kind}: two devices' answers crossed", crosses, 2)]
    deeds += [(f"{kind}: one device's words under the other's header", crosses_up, 2)] if wrap else []
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda one: bench.misled(one[0], UdpTwin(port, one[1], wrap), honest, True, one[2]), deeds))
    bench.survived(f"{kind}: each datagram again and again, out of order", UdpTwin(port, repeats_and_reorders, wrap), coaps=True)
    played(bench, kind, port, said, wrap)
    honest.stop()


def played(bench, kind, port, said, wrap):
    """All datagrams of a device, again, from elsewhere: at most a cookie comes back."""
    before = bench.owner.certificates()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect((HOST, port))
        for datagram in said * 3:
            one.send(jpy(b"replayed", datagram) if wrap else datagram)
        one.settimeout(1)
        heard = []
        try:
            while len(heard) < 100:
                heard.append(one.recv(65536))
        except OSError:
            pass
    protected = [d for d in heard if (unjpy(d)[1] if wrap else d)[0] == APPLICATION_DATA]
    check(f"{kind}: a device's datagrams, sent again from elsewhere, are never answered in its session", not protected, len(heard))
    check(f"{kind}: and leave nothing on record", bench.owner.certificates() == before)


def garbage(bench, join):
    """To the port of proxies without a state: what is no JPY, or more than one may be. The registrar stays, and takes an honest device."""
    hello = b"\x16\xfe\xfd" + bytes(60)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect((HOST, join))
        for octets in (b"", b"\x82", b"\x80", b"\x82\x40\x40", jpy(b"x" * 33, hello), jpy(b"x" * 255, hello), jpy(b"", b""), b"\x9f\x41\x00\x41\x00\xff",
                       b"\x82\x5b" + b"\xff" * 8, b"\x82\x41x\x5a\xff\xff\xff\xff" + hello, b"\xa1\x41\x00\x41\x00", jpy(b"h", b"x" * 60000), b"\x82" * 9000,
                       jpy(b"h", os.urandom(300)), os.urandom(1200)) * 20:
            try:
                one.send(octets)
            except OSError:
                pass
    honest = UdpTwin(join, wrap=True)
    device = bench.device()
    bench.recovers("after what is no JPY", device, bench.work / device.name, honest.port, coaps=True)
    honest.stop()


def main():
    with scratch("brski-proxy") as folder:
        work = Path(folder)
        owner = Owner(work / "site")
        maker = Maker(work, "lamps", owner_data=owner.data)
        devices = maker.make(48)
        maker.start()
        owner.knows(maker)
        owner.wants(devices[0].parent)
        owner.start(log=work / "site.log", env={"IMPRINT_EST_COAPS": f"{HOST}:0", "IMPRINT_EST_COAPS_JOIN": f"{HOST}:0"})
        firmware = work / "firmware.pem"
        text = (maker.masa_folder / "signer.pem").read_text()
        firmware.write_text(text[text.index("-----BEGIN CERTIFICATE"):])
        bench = Bench(work, owner, maker, devices, firmware)
        join = int(json.loads(owner.endpoints().read_text())["coaps_join"].rsplit(":", 1)[1])
        try:
            tcp(bench)
            udp(bench, False, join)
            udp(bench, True, join)
            garbage(bench, join)
            check("the registrar is up", owner.up() and owner.health() == 200)
            check("the audit log holds", owner.audit_holds())
        finally:
            if not all(__import__("common").tests):
                print("# " + (work / "site.log").read_text()[-1500:].replace("\n", "\n# "))
            owner.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
