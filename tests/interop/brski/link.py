"""A link of its own for the discovery suites: two network namespaces joined by a cable, programs in them, and avahi at one end."""
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "faults"))
from common import IMPRINT, check, openssl  # noqa: E402

OURS, THEIRS = f"impr-a-{os.getpid()}", f"impr-b-{os.getpid()}"  # namespaces
LINK = "ia0"  # the interface in each
OUR_V4, THEIR_V4 = "192.0.2.65", "192.0.2.66"

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


def link_local(where, link=LINK):
    for one in json.loads(run("ip", "-n", where, "-j", "-6", "address", "show", "dev", link).stdout or "[]"):
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


@contextlib.contextmanager
def inside(namespace):
    """What is started meanwhile is in that namespace, and so are the sockets of this thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as own, open(f"/run/netns/{namespace}") as other:
        if libc.setns(other.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), f"namespace {namespace}")
        try:
            yield
        finally:
            libc.setns(own.fileno(), 0x40000000)


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
