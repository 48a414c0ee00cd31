#!/usr/bin/env python3
"""Discovery on a link of its own: two network namespaces joined by a cable, with avahi at one end and us at the other.

avahi-browse finds what `imprint proxy` announces and hears when it leaves; `imprint discover` finds what avahi-publish announces. GRASP floods
are made and read by cbor2, by the CDDL of RFC 8990 section 2.8.11. The circuit proxy carries TLS of the openssl command between the two.

Needs root, ip, avahi and dbus; cbor2 is that of tests/interop/est/peers.sh (vouchers)."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".peers" / "vouchers" / "bin" / "python3"
sys.path.insert(0, str(ROOT / "tests" / "faults"))
from common import IMPRINT, check, error_of, finish, imprint, openssl, scratch, skip  # noqa: E402

try:
    import cbor2
except ImportError:
    if PYTHON.exists() and Path(sys.executable) != PYTHON:
        os.execv(PYTHON, [str(PYTHON), __file__])
    why = ROOT / ".peers" / "vouchers.missing"
    skip("cbor2", why.read_text().strip() if why.exists() else "run tests/interop/est/peers.sh vouchers")
    sys.exit(finish())

OURS, THEIRS = f"impr-a-{os.getpid()}", f"impr-b-{os.getpid()}"  # namespaces
LINK = "ia0"  # the interface in each
OUR_V4, THEIR_V4 = "192.0.2.65", "192.0.2.66"
NAME = "Hall 1.2"

DBUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow receive_sender="*"/></policy>
</busconfig>
"""
AVAHI = """[server]
host-name=their-host
use-ipv4=yes
use-ipv6=yes
allow-interfaces={link}
enable-dbus=yes
disallow-other-stacks=no
[wide-area]
enable-wide-area=no
[publish]
publish-workstation=no
[rlimits]
"""


def run(*command, **options):
    return subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=60, **options)


def missing():
    """Why this cannot be had here; empty if it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "avahi-daemon", "avahi-browse", "avahi-publish", "dbus-daemon", "unshare"):
        if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            return f"{tool} is not installed"
    made = run("ip", "netns", "add", OURS)
    run("ip", "netns", "del", OURS)
    return "" if made.returncode == 0 else "no network namespaces here: " + made.stderr.strip()


@contextlib.contextmanager
def cable():
    """Two namespaces with a cable between them; both ends have IPv4 and link-local IPv6."""
    try:
        for one in (OURS, THEIRS):
            run("ip", "netns", "add", one, check=True)
            run("ip", "-n", one, "link", "set", "lo", "up", check=True)
            # No waiting for duplicate addresses on a cable with two ends.
            run("ip", "netns", "exec", one, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        run("ip", "-n", OURS, "link", "add", LINK, "type", "veth", "peer", "name", LINK, "netns", THEIRS, check=True)
        for one, address in ((OURS, OUR_V4), (THEIRS, THEIR_V4)):
            run("ip", "netns", "exec", one, "sysctl", "-qw", f"net.ipv6.conf.{LINK}.accept_dad=0")
            run("ip", "-n", one, "address", "add", f"{address}/26", "dev", LINK, check=True)
            run("ip", "-n", one, "link", "set", LINK, "up", check=True)
        until(lambda: link_local(OURS) and link_local(THEIRS))
        yield
    finally:
        for one in (OURS, THEIRS):
            run("ip", "netns", "del", one)


def link_local(where):
    for one in json.loads(run("ip", "-n", where, "-j", "-6", "address", "show", "dev", LINK).stdout or "[]"):
        for address in one.get("addr_info", []):
            if address.get("scope") == "link" and not address.get("tentative"):
                return address["local"]
    return ""


def until(condition, seconds=15.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    return condition()


class Running:
    """A program in a namespace, with its output in files; ended with the block."""

    def __init__(self, work, where, name, *command, env=None):
        self.out, self.err = work / f"{name}.out", work / f"{name}.err"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(["ip", "netns", "exec", where, *map(str, command)], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            env={**os.environ, **(env or {})}, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def said(self):
        return self.out.read_text(errors="replace")

    def events(self):
        return [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]

    def stop(self, how=signal.SIGTERM):
        """Its exit code; what it started ends with it."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(timeout=15)
        return self.process.returncode


@contextlib.contextmanager
def avahi(work):
    """avahi-daemon at their end with a message bus of its own; gives the environment in which its tools find it. /run is a new one for the
    daemon alone: it has its pid file and its socket there, and the machine's own avahi keeps its."""
    (work / "bus.conf").write_text(DBUS.format(folder=work))
    (work / "avahi.conf").write_text(AVAHI.format(link=LINK))
    env = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={work}/bus"}
    own_run = "mount -t tmpfs none /run && mkdir -p /run/avahi-daemon && exec \"$@\""
    with Running(work, THEIRS, "dbus", "dbus-daemon", f"--config-file={work}/bus.conf", "--nofork", "--nopidfile"):
        until((work / "bus").exists)
        with Running(work, THEIRS, "avahi", "unshare", "--mount", "sh", "-c", own_run, "sh", "avahi-daemon", "--no-drop-root", "--no-chroot",
                     "--no-rlimits", "--file", work / "avahi.conf", env=env) as daemon:
            up = until(lambda: "startup complete" in daemon.err.read_text() or daemon.process.poll() is not None)
            check("avahi runs at the other end", up and daemon.process.poll() is None, daemon.err.read_text())
            yield env


def browse(env, kind):
    """avahi-browse's resolved instances: (name, type, port, text), by both families."""
    found = subprocess.run(["ip", "netns", "exec", THEIRS, "avahi-browse", "-rptk", kind], capture_output=True, text=True, timeout=60,
                           env={**os.environ, **env})
    out = set()
    for line in found.stdout.splitlines():
        parts = line.split(";")
        if parts[0] == "=":
            out.add((parts[3].replace("\\032", " ").replace("\\.", "."), parts[4], int(parts[8]), parts[9].strip('"')))
    return out


def discover(where, seconds, *more):
    found = run("ip", "netns", "exec", where, IMPRINT, "discover", "--json", "--interface", LINK, "--seconds", seconds, *more)
    return json.loads(found.stdout) if found.returncode == 0 else {"failed": found.stderr}


# Listens to the group and prints each datagram's source and bytes.
LISTEN = """
import socket, struct, sys, time
link = socket.if_nametoindex(sys.argv[1])
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
s.bind(("::", 7017))
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, "ff02::13") + struct.pack("@I", link))
print("ready", flush=True)
while True:
    data, extra, _, source = s.recvmsg(9000, 100)
    print(source[0].split("%")[0], struct.unpack("@i", extra[0][2])[0], data.hex(), flush=True)
"""
# Sends what it is given to the group, from the link-local address, until it is ended.
SEND = """
import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(sys.argv[1]))
while True:
    for one in sys.argv[2:]:
        s.sendto(bytes.fromhex(one), ("ff02::13", 7017))
    time.sleep(0.2)
"""


def packed(address):
    return socket.inet_pton(socket.AF_INET6, address)


def certificates(work):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=registrar", "-days", "2", "-keyout",
            work / "key.pem", "-out", work / "cert.pem")


def proxy_announced(work, env):
    """Our proxy at our end, its registrar behind it; avahi and cbor2 at the other."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(Running(work, THEIRS, "listener", sys.executable, "-c", LISTEN, LINK))
        until(lambda: "ready" in listener.said())
        proxy = stack.enter_context(Running(work, OURS, "proxy", IMPRINT, "proxy", "--registrar", "127.0.0.1:8443", "--announce", LINK, "--name",
                                            NAME, "--json"))
        until(proxy.events)
        time.sleep(1.5)
        check("before its registrar is there nothing is announced", [e["event"] for e in proxy.events()] == ["listening"] and
              listener.said() == "ready\n", proxy.said())
        registrar = stack.enter_context(Running(work, OURS, "registrar", "openssl", "s_server", "-quiet", "-accept", "127.0.0.1:8443", "-cert",
                                                work / "cert.pem", "-key", work / "key.pem", "-www"))
        check("with it, it is", until(lambda: any(e["event"] == "announced" for e in proxy.events()), 30), proxy.said())
        port = proxy.events()[0]["port"]
        wanted = (NAME, "_brski-proxy._tcp", port, "est-tls")
        check("avahi-browse finds it, with port and TXT", until(lambda: wanted in browse(env, "_brski-proxy._tcp")), browse(env, "_brski-proxy._tcp"))
        flood_read(until(lambda: listener.said().splitlines()[1:]), port)
        carried(port)
        registrar.stop(signal.SIGKILL)
        check("without its registrar it is withdrawn", until(lambda: any(e["event"] == "withdrawn" for e in proxy.events()), 40), proxy.said())
        check("and avahi has heard its good-bye", until(lambda: not browse(env, "_brski-proxy._tcp")), browse(env, "_brski-proxy._tcp"))
        check("it ends in order", proxy.stop() in (0, -signal.SIGTERM) and proxy.events()[-1]["event"] == "stopped", proxy.said())


def flood_read(lines, port):
    source, hops, data = (lines or ["::1 0 00"])[0].split()
    message = cbor2.loads(bytes.fromhex(data))
    own = packed(link_local(OURS))
    check("cbor2 reads our flood", isinstance(message, list) and len(message) == 5 and message[0] == 9 and message[2:4] == [own, 180000], message)
    check("it offers the proxy at its link-local address", message[-1] == [["AN_Proxy", 4, 1, ""], [103, own, 6, port]], message)
    check("it comes from there and travels one hop", packed(source) == own and hops == "1", (source, hops))


def carried(port):
    answer = run("ip", "netns", "exec", THEIRS, "openssl", "s_client", "-quiet", "-ign_eof", "-connect", f"[{link_local(OURS)}%{LINK}]:{port}",
                 input="GET / HTTP/1.0\r\n\r\n")
    check("TLS passes through it, over IPv6's link-local address", "HTTP/1.0 200" in answer.stdout, answer.stderr[-600:])


def registrar_found(work, env):
    """avahi announces a registrar; we find it."""
    with Running(work, THEIRS, "publish", "avahi-publish", "-s", "Their registrar", "_brski-registrar._tcp", "9443", "est-tls", "cmp", env=env) as them:
        until(lambda: "Established" in them.err.read_text() + them.said())
        services = until(lambda: [one for one in discover(OURS, 3).get("services", []) if one["instance"] == "Their registrar"])
        one = services[0] if services else {}
        check("we find what avahi announces", one.get("type") == "_brski-registrar._tcp" and one.get("port") == 9443 and
              sorted(one.get("text", [])) == ["cmp", "est-tls"] and one.get("host") == "their-host.local", one)
        check("with its addresses", THEIR_V4 in one.get("addresses", []) or link_local(THEIRS) in one.get("addresses", []), one)
        time.sleep(8)  # avahi says by itself what it has, several times, when it is new (RFC 6762 section 8.3)
        quiet = discover(OURS, 2, "--listen-only")
        check("who only listens asks nothing, and is not told", quiet.get("services") == [], quiet)


def floods_of_others(work):
    """Floods made by cbor2: what belongs on a link is taken, all else is passed over."""
    own = packed(link_local(THEIRS))
    far = packed("2001:db8::1")
    locator = [103, own, 6, 4443]

    def flood(objective, where, ttl=180000):
        return cbor2.dumps([9, 4711, own, ttl, [objective, where]]).hex()
    good = flood(["AN_Proxy", 4, 1, ""], locator)
    with_value = flood(["AN_Proxy", 4, 1, {"a": [1, None, b"x"]}], [103, own, 6, 4444])
    bad = [flood(["AN_Proxy", 4, 2, ""], [103, own, 6, 1]), flood(["AN_Proxy", 4, 1, ""], [103, far, 6, 2]),
           flood(["AN_join_registrar", 4, 255, "EST-TLS"], [103, own, 6, 3]), flood(["EX1", 4, 1, ""], [103, own, 6, 4]),
           cbor2.dumps([1, 4711, own, ["AN_Proxy", 4, 1, ""]]).hex(), "ff" * 40, good[:-2]]
    with Running(work, THEIRS, "sender", sys.executable, "-c", SEND, LINK, good, with_value, *bad):
        found = discover(OURS, 2)
        ports = sorted(one["port"] for one in found.get("floods", []))
        check("cbor2's floods of a proxy are understood, what does not belong here is not", ports == [4443, 4444], found)
        one = next((one for one in found.get("floods", []) if one["port"] == 4443), {})
        check("with place, value and time", one.get("objective") == "AN_Proxy" and one.get("value") == "" and one.get("host") == link_local(THEIRS) and
              one.get("protocol") == 6 and 170000 < one.get("ends_in_ms", 0) <= 180000, one)
        wide = discover(OURS, 2, "--any-source")
        objectives = {(one["objective"], one["port"]) for one in wide.get("floods", [])}
        check("with --any-source registrars are taken too", ("AN_join_registrar", 3) in objectives, wide)


def refusals():
    nowhere = imprint("discover", "--interface", "nothing0", "--json")
    check("an interface that is not there", nowhere.returncode != 0 and error_of(nowhere).get("rule") == "BRSKI-DISCOVERY-INTERFACE", nowhere)
    for option, value in (("--registrar", "registrar.example"), ("--registrar", "fd00::1:443"), ("--listen", "here")):
        words = {"--registrar": "127.0.0.1:1", "--listen": "127.0.0.1:0", option: value}
        wrong = imprint("proxy", "--json", *[word for pair in words.items() for word in pair])
        check(f"{option} {value}", wrong.returncode != 0 and error_of(wrong).get("rule") == "CLI-OPTION", wrong)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = imprint("proxy", "--json", "--registrar", "127.0.0.1:1", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        check("an address that somebody has", busy.returncode != 0 and error_of(busy).get("rule") == "BRSKI-PROXY-LISTEN", busy)


def main():
    refusals()
    why = missing()
    if why:
        skip("discovery on a link", why)
        return finish()
    with scratch("discovery") as folder, cable():
        work = Path(folder)
        certificates(work)
        floods_of_others(work)
        with avahi(work) as env:
            proxy_announced(work, env)
            registrar_found(work, env)
    left = run("ip", "netns", "list").stdout
    check("nothing is left of it", OURS not in left and THEIRS not in left, left)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
