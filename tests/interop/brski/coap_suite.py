#!/usr/bin/env python3
"""cBRSKI's CoAP with others: libcoap's clients, over OpenSSL and over GnuTLS, ask our discovery and go through both of our join proxies to our
registrar's resources; tshark reads what we say; the messages of the stateless proxy are read by CBOR written down here once more.

The program that is asked is build/tests/brski_coap_peer (ninja -C build brski_coap_peer): the sockets of cBRSKI without its roles."""
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "faults"))
from common import check, finish, openssl, scratch, skip  # noqa: E402

PEER = os.environ.get("BRSKI_COAP_PEER", str(ROOT / "build" / "tests" / "brski_coap_peer"))
CLIENTS = ("coap-client-openssl", "coap-client-gnutls")
REGISTRAR_LINKS = '</b>;rt="brski",</b/rv>;rt="brski.rv";ct=836,</b/vs>;rt="brski.vs";ct="50 60",</b/es>;rt="brski.es";ct="50 60"'
STATUS = bytes.fromhex("a26776657273696f6e0166737461747573f5")  # {"version": 1, "status": true}
VOUCHER = b"\xd2\x84" + bytes(range(200)) * 4  # as long as one, so that it comes in one datagram, and no more than that


def identity(work, name, usage):
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", work / f"{name}.key")
    openssl("req", "-new", "-key", work / f"{name}.key", "-subj", f"/CN={name}", "-out", work / f"{name}.csr")
    (work / f"{name}.ext").write_text(f"keyUsage=digitalSignature\nextendedKeyUsage={usage}\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", work / f"{name}.csr", "-CA", work / "ca.pem", "-CAkey", work / "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", work / f"{name}.ext", "-out", work / f"{name}.pem")


class World:
    def __init__(self, work):
        self.work = work
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", work / "ca.key")
        openssl("req", "-x509", "-new", "-key", work / "ca.key", "-subj", "/CN=Test CA", "-days", "3", "-addext", "keyUsage=critical,keyCertSign",
                "-out", work / "ca.pem")
        identity(work, "server", "serverAuth")
        identity(work, "pledge", "clientAuth")
        (work / "voucher").write_bytes(VOUCHER)
        self.aside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # a registrar that is played here
        self.aside.bind(("127.0.0.1", 0))
        self.aside.settimeout(10)
        self.ports, self.peer = {}, None

    def start(self, voucher="-", where=(), more=()):
        """Our program, with a voucher to give or without; sets the ports."""
        self.stop()
        arguments = [*where, PEER, self.work / "server.pem", self.work / "server.key", self.work / "ca.pem", voucher, self.aside.getsockname()[1], *more]
        self.peer = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.PIPE, text=True)
        for line in self.peer.stdout:
            if line.strip() == "ready":
                return
            if line.startswith("failed"):
                raise SystemExit("Bail out! " + line)
            name, port = line.split()
            self.ports[name] = int(port)

    def stop(self):
        if self.peer is not None:
            self.peer.terminate()
            self.peer.communicate(timeout=10)
            self.peer = None

    def asked(self):
        """The next request that our program took."""
        return self.peer.stdout.readline().strip()

    def ask(self, client, url, *options, body=None, dtls=True, where=()):
        """(codes and options as libcoap prints them, the answer's body)"""
        out = self.work / "answer"
        out.unlink(missing_ok=True)
        keys = ["-c", self.work / "pledge.pem", "-j", self.work / "pledge.key", "-C", self.work / "ca.pem"] if dtls else []
        if body is not None:
            (self.work / "body").write_bytes(body)
            options = (*options, "-f", self.work / "body")
        got = subprocess.run([str(a) for a in (*where, client, "-B", 10, "-v", 7, *keys, "-o", out, *options, url)], capture_output=True, timeout=60)
        log = (got.stdout + got.stderr).decode(errors="replace")
        lines = [line for line in log.splitlines() if line.startswith("v:1 t:") and any(f" c:{n}." in line for n in "245")]
        return (lines[-1] if lines else log[-600:]), (out.read_bytes() if out.exists() else b"")


def discovery(world, client):
    base = "coap://127.0.0.1:%d/.well-known/core?"
    ports = world.ports
    cases = [
        ("registrar", "rt=brski", f'<coaps://127.0.0.1:{ports["coaps"]}/b>;rt="brski"'),
        ("registrar", "rt=brski.rjp", f'<jpy://127.0.0.1:{ports["jpy"]}>;rt="brski.rjp"'),
        ("registrar", "rt=brski.rjpy", f'<coaps+jpy://127.0.0.1:{ports["jpy"]}/b>;rt="brski.rjpy"'),
        ("proxy", "brski-jp=*", f'<>;brski-jp={ports["stateless"]}'),
        ("proxy", "rt=brski.jp", f'<coaps://127.0.0.1:{ports["stateless"]}>;rt="brski.jp"'),
    ]
    for who, query, wanted in cases:
        line, body = world.ask(client, base % ports[who] + query, dtls=False)
        check(f"{client} asks a {who} for {query}", body.decode() == wanted and "c:2.05" in line and "Content-Format:application/link-format" in line,
              (line, body))
    line, body = world.ask(client, base % ports["registrar"] + "rt=brski*", "-b", "16", dtls=False)
    check(f"{client} reads a list in blocks of 16", body.count(b"<") == 4 and "Block2:" in line, (line, body))
    line, body = world.ask(client, f"coap://127.0.0.1:{ports['registrar']}/nothing", dtls=False)
    check(f"{client} is told that there is nothing else", "c:4.04" in line, line)


def in_a_group(world):
    """libcoap's client asks the group, as a pledge does on its link."""
    line, body = world.ask(CLIENTS[0], f"coap://224.0.1.187:{world.ports['group']}/.well-known/core?brski-jp=*", "-N", "-a", "127.0.0.1", dtls=False)
    check("libcoap asks CoAP's group for a join proxy", body.decode(errors="replace").startswith(f"<>;brski-jp={world.ports['stateless']}"), (line, body))


def through(world, client, proxy):
    base = f"coaps://127.0.0.1:{world.ports[proxy]}"
    how = f"{client}, {proxy}"
    line, body = world.ask(client, base + "/.well-known/core?rt=brski*")
    check(f"{how}: the registrar's resources", body.decode() == REGISTRAR_LINKS, (line, body))
    line, _ = world.ask(client, base + "/b/es", "-m", "post", "-t", "60", body=STATUS)
    check(f"{how}: a status in CBOR is 2.04", "c:2.04" in line, line)
    check(f"{how}: and it arrived as it was sent", world.asked() == f"asked /b/es {STATUS.hex()}")
    line, _ = world.ask(client, base + "/.well-known/brski/vs", "-m", "post", "-t", "50", body=b'{"version":1,"status":true}')
    check(f"{how}: a status in JSON, at the long path, is 2.04", "c:2.04" in line and world.asked().startswith("asked /.well-known/brski/vs"), line)
    for name, code, path, options in (("another form", "4.15", "/b/rv", ["-t", "60"]), ("an Accept that cannot be", "4.06", "/b/rv", ["-t", "836", "-A", "60"]),
                                      ("another path", "4.04", "/b/rx", ["-t", "836"])):
        line, _ = world.ask(client, base + path, "-m", "post", *options, body=b"x")
        check(f"{how}: {name} is {code}", f"c:{code}" in line, line)
    line, _ = world.ask(client, base + "/b/rv", "-m", "get")
    check(f"{how}: GET is 4.05", "c:4.05" in line, line)


def vouchers(world, client, proxy, given):
    line, body = world.ask(client, f"coaps://127.0.0.1:{world.ports[proxy]}/b/rv", "-m", "post", "-t", "836", "-A", "836", body=b"\xd2\x84request")
    check(f"{client}, {proxy}: the request arrived", world.asked() == "asked /b/rv " + b"\xd2\x84request".hex())
    if given:
        check(f"{client}, {proxy}: a voucher of {len(VOUCHER)} bytes comes back as 2.04 in 836", "c:2.04" in line and "Content-Format:836" in line and
              body == VOUCHER, (line, len(body)))
    else:
        check(f"{client}, {proxy}: no voucher yet is 5.03 with Max-Age", "c:5.03" in line and "Max-Age:7" in line, line)


def messages_of_the_proxy(world):
    """CBOR as RFC 8949 has it, for this one shape: [bstr, bstr]."""
    def head(data, at):
        size, more = data[at] & 31, data[at] >> 5
        if size < 24:
            return more, size, at + 1
        width = 1 << (size - 24)
        return more, int.from_bytes(data[at + 1:at + 1 + width], "big"), at + 1 + width

    def parse(data):
        major, count, at = head(data, 0)
        parts = []
        while at < len(data):
            kind, size, at = head(data, at)
            parts.append((kind, data[at:at + size]))
            at += size
        return major == 4 and count == len(parts) == 2 and all(kind == 2 for kind, _ in parts) and [part for _, part in parts]

    there = ("127.0.0.1", world.ports["aside"])
    pledges = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    headers = []
    for i, pledge in enumerate(pledges):
        pledge.settimeout(10)
        pledge.sendto(b"\x16\xfe\xfd" + bytes([i]) * 300, there)
        data, proxy = world.aside.recvfrom(4096)
        parts = parse(data)
        good = parts and len(parts[0]) <= 32 and parts[1] == b"\x16\xfe\xfd" + bytes([i]) * 300
        check(f"pledge {i}: the stateless proxy sends [header, content]", good, data.hex())
        headers.append(parts[0])
    check("each has a header of its own", len(set(headers)) == 3)
    own = pledges[0].getsockname()[1].to_bytes(2, "big")
    check("no header shows the pledge's address and port", all(b"\x7f\x00\x00\x01" not in h for h in headers) and own not in headers[0])
    for header, pledge, answer in zip(headers, pledges, (b"a", b"bb" * 30, b"c" * 700)):
        size = bytes([0x40 + len(answer)]) if len(answer) < 24 else b"\x58" + bytes([len(answer)]) if len(answer) < 256 else b"\x59" + len(answer).to_bytes(2, "big")
        # a third item, which the proxy has to pass over
        world.aside.sendto(b"\x83" + bytes([0x40 + len(header)]) + header + size + answer + b"\xf6", proxy)
        check(f"an answer of {len(answer)} bytes reaches its pledge", pledge.recv(4096) == answer)


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=30)


def link_local(where, link):
    """The address, once it may be used."""
    for _ in range(100):
        words = ip("-n", where, "-6", "address", "show", link).stdout.split()
        found = [word.split("/")[0] for word in words if word.startswith("fe80")]
        if found and "tentative" not in words:
            return found[0]
        time.sleep(0.1)
    raise SystemExit(f"Bail out! no link-local address in {where}")


def on_a_link(world):
    """A pledge of libcoap's on a link of its own: it asks ff02::fd, and goes through the stateless proxy that answers."""
    ours, theirs, link = f"cbrski-o-{os.getpid()}", f"cbrski-t-{os.getpid()}", "cbrski0"
    inside = ("ip", "netns", "exec", theirs)
    if not shutil.which("ip") or ip("netns", "add", ours).returncode != 0:
        skip("a link of its own", "network namespaces cannot be made here")
        return
    try:
        ip("netns", "add", theirs)
        ip("-n", ours, "link", "add", link, "type", "veth", "peer", "name", link, "netns", theirs)
        for one in (ours, theirs):
            subprocess.run(["ip", "netns", "exec", one, "sysctl", "-qw", f"net.ipv6.conf.{link}.accept_dad=0"], capture_output=True, timeout=30)
            ip("-n", one, "link", "set", "lo", "up")
            ip("-n", one, "link", "set", link, "up")
        address = [link_local(one, link) for one in (ours, theirs)][0]
        world.start(where=("ip", "netns", "exec", ours), more=(link,))
        line, body = world.ask(CLIENTS[0], f"coap://[ff02::fd%{link}]/.well-known/core?brski-jp=*", "-N", dtls=False, where=inside)
        check("libcoap asks ff02::fd for a join proxy", body.startswith(f"<>;brski-jp={world.ports['linked']}".encode()), (line, body))
        line, body = world.ask(CLIENTS[0], f"coap://[ff02::fd%{link}]/.well-known/core?rt=brski.rjp", "-N", "-B", "2", dtls=False, where=inside)
        check("a group is not told of what there is not", body == b"", (line, body))
        line, body = world.ask(CLIENTS[0], f"coaps://[{address}%{link}]:{world.ports['linked']}/.well-known/core?rt=brski*", where=inside)
        check("and through that proxy, link-local, it reads the registrar's resources", body.decode() == REGISTRAR_LINKS, (line, body))
    finally:
        world.stop()
        for one in (ours, theirs):
            ip("netns", "del", one)


def dissected(world):
    """What tshark makes of a question and of our answer."""
    if not (shutil.which("tshark") and shutil.which("text2pcap")):
        skip("tshark", "not installed")
        return
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.settimeout(10)
    question = bytes.fromhex("4101ab0f4d") + b"\xbb.well-known\x04core\x4abrski-jp=*"
    asker.sendto(question, ("127.0.0.1", world.ports["proxy"]))
    answer = asker.recv(4096)
    status = bytes.fromhex("4102ab0f4db162026573113cff") + STATUS  # draft-ietf-anima-constrained-voucher, appendix
    hexdump = world.work / "dump"
    hexdump.write_text("".join("000000 " + " ".join(f"{b:02x}" for b in data) + "\n" for data in (question, answer, status)))
    made = subprocess.run(["text2pcap", "-q", "-u", "5683,5683", str(hexdump), str(world.work / "dump.pcap")], capture_output=True, timeout=60)
    fields = ["coap.code", "coap.mid", "coap.token", "coap.opt.uri_path", "coap.opt.uri_query", "coap.opt.ctype", "_ws.malformed"]
    out = subprocess.run(["tshark", "-r", str(world.work / "dump.pcap"), "-T", "fields", "-E", "separator=|", "-E", "aggregator= ",
                          *[part for field in fields for part in ("-e", field)]], capture_output=True, text=True, timeout=120).stdout
    rows = [line.split("|") for line in out.splitlines()]
    good = len(rows) == 3 and rows[0][:5] == ["1", "43791", "4d", ".well-known core", "brski-jp=*"]
    check("tshark reads a pledge's question", good, (out, made.stderr))
    check("tshark reads our answer: 2.05 in link format", len(rows) == 3 and rows[1][0] == "69" and "application/link-format" in rows[1][5], out)
    check("tshark reads the draft's status: POST es in CBOR", len(rows) == 3 and rows[2][0] == "2" and rows[2][3] == "b es" and "cbor" in rows[2][5], out)
    check("nothing is malformed", all(not row[6] for row in rows), out)


def main():
    if not os.access(PEER, os.X_OK):
        skip("cBRSKI's CoAP", f"{PEER} is not built: ninja -C build brski_coap_peer")
        return finish()
    with scratch("brski-coap") as folder:
        world = World(Path(folder))
        try:
            clients = [c for c in CLIENTS if shutil.which(c)]
            if not clients:
                skip("libcoap", "coap-client-openssl and coap-client-gnutls are not installed (libcoap3-bin)")
            world.start()
            for client in clients:
                discovery(world, client)
                for proxy in ("stateless", "stateful"):
                    through(world, client, proxy)
                    vouchers(world, client, proxy, given=False)
            if CLIENTS[0] in clients:
                in_a_group(world)
            messages_of_the_proxy(world)
            dissected(world)
            if CLIENTS[0] in clients:
                on_a_link(world)
            for client in clients:
                for proxy in ("stateless", "stateful"):
                    world.start(world.work / "voucher")
                    vouchers(world, client, proxy, given=True)
        finally:
            world.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
