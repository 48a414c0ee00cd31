#!/usr/bin/env python3
"""Discovery on a link of its own: two network namespaces joined by a cable, with avahi at one end and us at the other.

avahi-browse finds what `imprint proxy` announces and hears when it leaves; `imprint discover` finds what avahi-publish announces. GRASP floods
are made and read by cbor2, by the CDDL of RFC 8990 section 2.8.11. The circuit proxy carries TLS of the openssl command between the two.

Needs root, ip, avahi and dbus; cbor2 is that of tests/interop/est/peers.sh (vouchers)."""
import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".peers" / "vouchers" / "bin" / "python3"
sys.path.insert(0, str(Path(__file__).resolve().parent))
from link import (LINK, LISTEN, OURS, SEND, THEIR_V4, THEIRS, Running, avahi, browse, cable, certificates, discover, link_local, missing,  # noqa: E402
                  packed, run, until)
from common import IMPRINT, check, error_of, finish, imprint, scratch, skip  # noqa: E402

try:
    import cbor2
except ImportError:
    if PYTHON.exists() and Path(sys.executable) != PYTHON:
        os.execv(PYTHON, [str(PYTHON), __file__])
    why = ROOT / ".peers" / "vouchers.missing"
    skip("cbor2", why.read_text().strip() if why.exists() else "run tests/interop/est/peers.sh vouchers")
    sys.exit(finish())

NAME = "Hall 1.2"

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
