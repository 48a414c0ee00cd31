#!/usr/bin/env python3
"""Discovery joined to the players, on links of their own: `imprint serve` announces its registrar and leaves with a good-bye, `imprint proxy`
finds it and announces itself, and a device that is told an interface alone finds its owner, past those who only say that they are there.

avahi-browse and cbor2 look at what we say, avahi-publish and cbor2's floods lead our device, and CoAP's group is asked by octets written down
here (RFC 7252, RFC 6690).

Needs root, ip, avahi and dbus; cbor2 is that of tests/interop/est/peers.sh (vouchers)."""
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".peers" / "vouchers" / "bin" / "python3"
sys.path.insert(0, str(Path(__file__).resolve().parent))
from link import (LINK, LISTEN, OURS, SEND, THEIRS, Running, avahi, browse, cable, certificates, inside, link_local, missing,  # noqa: E402
                  packed, run, until)
from players import Maker, Owner  # noqa: E402
from common import IMPRINT, check, error_of, fault_of, finish, imprint, scratch, skip  # noqa: E402

try:
    import cbor2
except ImportError:
    if PYTHON.exists() and Path(sys.executable) != PYTHON:
        os.execv(PYTHON, [str(PYTHON), __file__])
    why = ROOT / ".peers" / "vouchers.missing"
    skip("cbor2", why.read_text().strip() if why.exists() else "run tests/interop/est/peers.sh vouchers")
    sys.exit(finish())

ROOM = f"impr-c-{os.getpid()}"  # where the devices are: behind the join proxy, which is at our end
HALL = "ib0"                    # the interface there, and at the proxy's other side
OUR_V6, THEIR_V6 = "fd00:0:0:65::1", "fd00:0:0:65::2"
NAME = "Hall registrar"


@contextlib.contextmanager
def room():
    """A second cable, from our end to the devices."""
    try:
        run("ip", "netns", "add", ROOM, check=True)
        run("ip", "-n", ROOM, "link", "set", "lo", "up", check=True)
        run("ip", "-n", OURS, "link", "add", HALL, "type", "veth", "peer", "name", HALL, "netns", ROOM, check=True)
        for one in (OURS, ROOM):
            run("ip", "netns", "exec", one, "sysctl", "-qw", f"net.ipv6.conf.{HALL}.accept_dad=0")
            run("ip", "-n", one, "link", "set", HALL, "up", check=True)
        until(lambda: link_local(OURS, HALL) and link_local(ROOM, HALL))
        yield
    finally:
        run("ip", "netns", "del", ROOM)


def serving(owner, where, announce="", **more):
    """The owner's server in that namespace."""
    env = {"IMPRINT_EST_LISTEN": "[::]:0", "IMPRINT_BRSKI_ANNOUNCE": announce, "IMPRINT_BRSKI_ANNOUNCE_AS": NAME, "IMPRINT_LOG_LEVEL": "info", **more}
    with inside(where):
        return owner.start(env=env, log=owner.data / "serve.log")


def searching(work, where, link, device, name, *more):
    return Running(work, where, name, IMPRINT, "onboard", "brski", "--json", "--device", device, "--out", work / name, "--interface", link, "--search",
                   60, "--timeout", 90, "--beliefs", *more)


def ended(device, seconds=90):
    """Its exit code, and what it says of its run."""
    until(lambda: device.process.poll() is not None, seconds)
    said = device.said()
    return device.process.poll(), json.loads(said) if said.startswith("{") else {}


def floods(listener):
    """(source, hops, message) of each flood."""
    out = []
    for line in listener.said().splitlines()[1:]:
        source, hops, data = line.split()
        out.append((source, int(hops), cbor2.loads(bytes.fromhex(data))))
    return out


# ---- what serve says ----

def serve_announced(work, owner, env):
    with Running(work, THEIRS, "listener", sys.executable, "-c", LISTEN, LINK) as listener:
        until(lambda: "ready" in listener.said())
        up = serving(owner, OURS, announce=LINK, IMPRINT_EST_COAPS=f"[{OUR_V6}]:0", IMPRINT_EST_COAPS_JOIN=f"[{OUR_V6}]:0")
        if not check("the server runs", up, (owner.data / "serve.log").read_text()[-800:]):
            return
        wanted = (NAME, "_brski-registrar._tcp", owner.port, "est-tls")
        check("avahi-browse finds the registrar of `imprint serve`, with port and TXT", until(lambda: wanted in browse(env, "_brski-registrar._tcp")),
              browse(env, "_brski-registrar._tcp"))
        datagrams = (NAME, "_brski-registrar._udp", owner.coaps_port, "")
        check("and its port for constrained devices", until(lambda: datagrams in browse(env, "_brski-registrar._udp")),
              browse(env, "_brski-registrar._udp"))
        until(lambda: len(floods(listener)) >= 2)
        serve_flooded(floods(listener), owner.port)
        coap_answered(owner)
        code = owner.stop()
        check("it ends in order", code == 0, code)
        check("and avahi has heard its good-bye", until(lambda: not browse(env, "_brski-registrar._tcp")), browse(env, "_brski-registrar._tcp"))
        check("that of its datagrams, too", until(lambda: not browse(env, "_brski-registrar._udp")), browse(env, "_brski-registrar._udp"))


def serve_flooded(heard, port):
    own, far = packed(link_local(OURS)), packed(OUR_V6)
    near = [one for one in heard if one[2][4][0][0] == "AN_Proxy"]
    good = near and near[0][2][0] == 9 and near[0][2][2:] == [own, 180000, [["AN_Proxy", 4, 1, ""], [103, own, 6, port]]]
    check("cbor2 reads its flood for devices of the link", good and packed(near[0][0]) == own and near[0][1] == 1, heard)
    beyond = [one for one in heard if one[2][4][0][0] == "AN_join_registrar"]
    good = beyond and beyond[0][2][2:] == [far, 180000, [["AN_join_registrar", 4, 255, "EST-TLS"], [103, far, 6, port]]]
    check("and the one for join proxies, by itself, from an address that is good beyond the link", good and packed(beyond[0][0]) == far, heard)


def ask_coap(group, query):
    """The body that our end answers to GET /.well-known/core?query, asked in a group from the other end."""
    options = b"\xbb.well-known" + b"\x04core" + (bytes([0x40 | len(query)]) if len(query) < 13 else bytes([0x4d, len(query) - 13])) + query.encode()
    with inside(THEIRS):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.settimeout(0.5)
            link = socket.if_nametoindex(LINK)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, struct.pack("@I", link))
            for number in range(20):
                s.sendto(bytes([0x51, 1, 0, number, 7]) + options, (group, 5683, 0, link))
                with contextlib.suppress(TimeoutError, socket.timeout):
                    answer = s.recv(2000)
                    if answer[1] == 0x45 and answer[4:5] == b"\x07":
                        return answer[answer.rindex(b"\xff") + 1:].decode()  # an option may have that octet as well
    return ""


def coap_answered(owner):
    links = ask_coap("ff02::fd", "rt=brski*")
    join = json.loads(owner.endpoints().read_text()).get("coaps_join", "")
    check("who asks CoAP's group by hand hears of the registrar", f'<coaps://[{OUR_V6}]:{owner.coaps_port}/b>;rt="brski"' in links, links)
    check("and of its port for stateless join proxies", join and f'<{join}>;rt="brski.rjp"' in links, (links, join))
    check("a device is told the registrar's own port", f"brski-jp={owner.coaps_port}" in ask_coap("ff02::fd", "brski-jp=*").replace('"', ""))
    check("join proxies of other links can ask the site", f"[{OUR_V6}]:{owner.coaps_port}" in ask_coap("ff05::fd", "rt=brski"))


# ---- a device and whoever is there ----

def led_by_avahi(work, owner, maker, env, device):
    """avahi says where our registrar is; our device, at the other end, knows nothing but its interface."""
    with Running(work, THEIRS, "publish", "avahi-publish", "-s", "Their registrar", "_brski-registrar._tcp", owner.port, "est-tls", env=env) as them:
        until(lambda: "Established" in them.err.read_text() + them.said())
        with searching(work, OURS, LINK, device, "led-by-avahi") as run_of:
            code, told = ended(run_of)
            check("avahi-publish leads our device to our registrar", code == 0 and told.get("result") == "operational", run_of.err.read_text()[-1500:])
            check("what it holds belongs together", fault_of(work / "led-by-avahi") is None, fault_of(work / "led-by-avahi"))
            heard = [b for b in told.get("beliefs", []) if "DNS-SD's _brski-registrar._tcp" in json.dumps(b)]
            check("and the device has it on record as somebody's claim", heard and heard[0].get("strength") == "asserted", told.get("beliefs"))


def by_coap(work, owner, maker, device):
    """A constrained device asks CoAP's group, and goes to the registrar over CoAPS."""
    text = (maker.masa_folder / "signer.pem").read_text()
    (work / "firmware.pem").write_text(text[text.index("-----BEGIN CERTIFICATE"):])
    with searching(work, OURS, LINK, device, "by-coap", "--form", "cose", "--maker-anchors", work / "firmware.pem") as run_of:
        code, told = ended(run_of)
        check("a constrained device finds the registrar and onboards itself", code == 0 and told.get("result") == "operational",
              run_of.err.read_text()[-1500:])
        ways = json.dumps(told.get("beliefs", []))
        check("it has heard of CoAPS, by CoAP or DNS-SD", "coaps://" in ways, ways[:1500])


def decoys(work, stack):
    """Two who say that they are join proxies of the devices' link: nobody is behind the one, and a web server behind the other."""
    own = packed(link_local(OURS, HALL))
    server = stack.enter_context(Running(work, OURS, "web", "openssl", "s_server", "-quiet", "-accept", f"[{link_local(OURS, HALL)}%{HALL}]:4433", "-cert",
                                         work / "cert.pem", "-key", work / "key.pem", "-www"))
    until(lambda: str(4433) in run("ip", "netns", "exec", OURS, "ss", "-ltn").stdout or server.process.poll() is not None)
    said = [cbor2.dumps([9, 4711 + port, own, 180000, [["AN_Proxy", 4, 1, ""], [103, own, 6, port]]]).hex() for port in (1, 4433)]
    stack.enter_context(Running(work, OURS, "decoys", sys.executable, "-c", SEND, HALL, *said))


def whole_onboarding(work, owner, device):
    """serve announces -> the proxy finds it and announces -> the device finds the proxy, after two decoys."""
    with room(), contextlib.ExitStack() as stack:
        decoys(work, stack)
        found = stack.enter_context(searching(work, ROOM, HALL, device, "whole"))
        check("the device hears the decoys first", until(lambda: found.err.read_text().count("heard:") >= 2), found.err.read_text())
        proxy = stack.enter_context(Running(work, OURS, "proxy", IMPRINT, "proxy", "--find", LINK, "--announce", HALL, "--name", "Hall", "--json"))
        check("the proxy finds the registrar by what it announces, and announces itself",
              until(lambda: {"registrar-found", "announced"} <= {e["event"] for e in proxy.events()}, 30), proxy.said() + proxy.err.read_text())
        code, told = ended(found)
        said = found.err.read_text()
        check("the device onboards itself, past the decoys", code == 0 and told.get("result") == "operational", said[-2500:])
        check("what it holds belongs together", fault_of(work / "whole") is None, fault_of(work / "whole"))
        check("it has tried the decoys before", said.index(":4433") < said.index(str(proxy.events()[0]["port"])), said[-2500:])
        remembered(told, proxy.events()[0]["port"])
        check("the proxy has carried it", any(e["event"] == "opened" for e in proxy.events()), proxy.said())
        again = run("ip", "netns", "exec", ROOM, IMPRINT, "onboard", "brski", "--json", "--device", device, "--out", work / "whole", "--interface", HALL)
        check("a device that has an owner stays with it", error_of(again).get("rule") == "BRSKI-CONFIGURED", again.stderr)
        owner.stop()
        check("when the registrar leaves, so does the proxy", until(lambda: any(e["event"] == "withdrawn" for e in proxy.events()), 45), proxy.said())
        check("the proxy ends in order", proxy.stop() in (0, -signal.SIGTERM) and proxy.events()[-1]["event"] == "stopped", proxy.said())


def found_for_constrained(work, owner, device):
    """The same over CoAPS: the proxy finds the registrar's port for join proxies by CoAP, and the device finds the proxy so."""
    with room(), contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Running(work, OURS, "coaps-proxy", IMPRINT, "proxy", "--coaps-find", LINK, "--stateless", "--announce", HALL, "--json"))
        check("the proxy finds the registrar's port for join proxies", until(lambda: "registrar-found" in {e["event"] for e in proxy.events()}, 30),
              proxy.said() + proxy.err.read_text())
        join = json.loads(owner.endpoints().read_text()).get("coaps_join", "")
        who = [e.get("who", "") for e in proxy.events() if e["event"] == "registrar-found"]
        check("and that very one", who and join.endswith(":" + who[0].rsplit(":", 1)[1]), (who, join))
        with searching(work, ROOM, HALL, device, "behind-coaps", "--form", "cose", "--maker-anchors", work / "firmware.pem") as run_of:
            code, told = ended(run_of)
            check("a constrained device behind it onboards itself", code == 0 and told.get("result") == "operational", run_of.err.read_text()[-1500:])
        proxy.stop()
        last = proxy.events()[-1]
        check("through that proxy", last["event"] == "stopped" and last["datagrams_up"] > 0 and last["datagrams_down"] > 0, last)


def goes_back(work, owner, maker, device):
    """A device that has its voucher and no certificate, as after a power cut, looks where that came from, and goes back with it."""
    out, name = work / "goes-back", Path(device).name
    with searching(work, OURS, LINK, device, "goes-back") as run_of:
        code, told = ended(run_of)
    for one in [*out.glob("*.pem"), out / "current", out / "run.json"]:
        one.unlink(missing_ok=True)
    shutil.rmtree(out / "generations")
    (out / "owner").write_text((out / "owner").read_text().replace("configured", "imprinted", 1))
    with searching(work, OURS, LINK, device, "goes-back") as run_of:
        again, told = ended(run_of)
        said = run_of.err.read_text()
    check("a device that died behind its voucher finds its owner again", code == again == 0 and told.get("result") == "operational", said[-1500:])
    check("tells it of the voucher on record, and asks for no other one", "voucher on record" in said and len(maker.log(name)["vouchers"]) == 1, said[-1500:])


def remembered(told, port):
    """Every announcement is a belief of its own, of no weight, on which nothing else stands."""
    beliefs = told.get("beliefs", [])
    for one in (1, 4433, port):
        heard = [b for b in beliefs if f":{one}" in json.dumps(b) and "AN_Proxy" in json.dumps(b)]
        check(f"the flood that led to port {one} is on record as somebody's claim", heard and heard[0].get("strength") == "asserted",
              json.dumps(beliefs)[:2500])


# ---- what cannot be had ----

def refusals(work, device):
    def onboard(*more):
        return imprint("onboard", "brski", "--json", "--device", device, "--out", work / "refused", *more)
    nobody = onboard("--interface", "lo", "--search", 1)
    check("nobody is there", nobody.returncode == 6 and error_of(nobody).get("rule") == "BRSKI-SEARCH-NOBODY", nobody)
    nowhere = onboard("--interface", "nothing0")
    check("an interface that is not there", nowhere.returncode != 0 and error_of(nowhere).get("rule") == "BRSKI-DISCOVERY-INTERFACE", nowhere)
    both = onboard("--interface", "lo", "--registrar", "localhost:1")
    check("either a registrar or a search", both.returncode == 2, both)
    for arguments, code, rule in ((("--find", "nothing0"), None, "BRSKI-DISCOVERY-INTERFACE"), (("--find", "lo", "--registrar", "localhost:1"), 2, None),
                                  (("--coaps-find", "nothing0", "--coaps-listen", "127.0.0.1:0"), None, "BRSKI-DISCOVERY-INTERFACE"),
                                  (("--coaps-find", "lo"), 2, None), (("--coaps-find", "lo", "--coaps", "localhost:1"), 2, None)):
        proxy = imprint("proxy", "--json", *arguments)
        check(f"imprint proxy {' '.join(arguments)}", proxy.returncode == (code or proxy.returncode) != 0 and error_of(proxy).get("rule") in (rule, "CLI-OPTION"),
              proxy)
    alone = imprint("config", "show", "--json", env={"IMPRINT_BRSKI_ANNOUNCE": "eth0"})
    check("a registrar on loopback is not announced elsewhere", alone.returncode == 2 and "brski.announce" in alone.stderr, alone)
    off = imprint("serve", "--json", "--data", work / "no-such-link",
                  env={"IMPRINT_EST_LISTEN": "[::]:0", "IMPRINT_API_LISTEN": "127.0.0.1:0", "IMPRINT_BRSKI_ANNOUNCE": "nothing0"})
    check("a server that is to announce on no interface does not start", error_of(off).get("rule") == "BRSKI-DISCOVERY-INTERFACE", off)


def main():
    why = missing()
    if why:
        skip("searching on a link", why)
        return finish()
    with scratch("search") as folder, cable():
        work = Path(folder)
        certificates(work)
        for where, address in ((OURS, OUR_V6), (THEIRS, THEIR_V6)):
            run("ip", "-n", where, "address", "add", f"{address}/64", "dev", LINK, "nodad", check=True)
        owner = Owner(work / "owner")
        maker = Maker(work, owner_data=owner.data)
        devices = maker.make(5)
        owner.wants(devices[0].parent)
        try:
            with inside(OURS):
                refusals(work, devices[0])
            with inside(THEIRS):
                maker.start()
            owner.knows(maker)
            with avahi(work) as env:
                serve_announced(work, owner, env)
                serving(owner, THEIRS)
                led_by_avahi(work, owner, maker, env, devices[0])
                owner.stop()
            serving(owner, THEIRS, announce=LINK, IMPRINT_EST_COAPS=f"[{THEIR_V6}]:0", IMPRINT_EST_COAPS_JOIN=f"[{THEIR_V6}]:0")
            by_coap(work, owner, maker, devices[1])
            found_for_constrained(work, owner, devices[3])
            goes_back(work, owner, maker, devices[4])
            whole_onboarding(work, owner, devices[2])
        finally:
            owner.stop()
            maker.stop()
    left = run("ip", "netns", "list").stdout
    check("nothing is left of it", not any(one in left for one in (OURS, THEIRS, ROOM)), left)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
