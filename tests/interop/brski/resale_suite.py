#!/usr/bin/env python3
"""A device changes hands: its first owner, a second one that is refused, the maker's release, a past that a person has to let pass, a transfer, and
the end. And devices that ask their maker's default registrar where their owner is."""
import base64
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from onboarding_suite import ROOT, b64, cms_sign, curl, der, serial  # noqa: E402
from players import MEDIA, Maker, Owner  # noqa: E402
from common import IMPRINT, check, fault_of, finish, must, openssl, scratch  # noqa: E402


def masa(maker, *words):
    return must("masa", *words, "--folder", maker.masa_folder)


def by_hand(work, owner, device):
    """A device by hand, as far as its report on the voucher. What asks for a certificate after it."""
    shown = openssl("s_client", "-connect", owner.registrar, "-showcerts", data=b"", good=False).stdout.decode()
    registrar = work / "registrar.pem"
    registrar.write_text(shown[shown.index("-----BEGIN"):shown.index("-----END") + 25] + "\n")
    who = ["--cert", device / "idevid-chain.pem", "--key", device / "idevid-key.pem", "-k"]
    url = f"https://{owner.registrar}"
    request = {"ietf-voucher-request:voucher": {"assertion": "proximity", "created-on": "2026-11-23T00:00:00Z", "serial-number": serial(device),
                                                "nonce": b64(b"sixteen octets.!"), "proximity-registrar-cert": b64(der(registrar))}}
    status, _, answer = curl(f"{url}{ROOT}/requestvoucher", "-H", f"Content-Type: {MEDIA['cms']}", "-H", f"Accept: {MEDIA['cms']}", *who,
                             body=cms_sign(request, device / "idevid.pem", device / "idevid-key.pem"), work=work)
    check("a device by hand gets a voucher", status == 200, (status, answer[:300]))
    curl(f"{url}{ROOT}/voucher_status", *who, "-H", "Content-Type: application/json", body=b'{"version":1,"status":true}', work=work)
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", work / "own.key")
    csr = openssl("req", "-new", "-batch", "-key", work / "own.key", "-subj", f"/CN={device.name}", "-outform", "DER").stdout
    return lambda: curl(f"{url}/.well-known/est/simpleenroll", *who, "-H", "Content-Type: application/pkcs10", body=base64.encodebytes(csr), work=work)


QUICK = {"IMPRINT_POLICY_RETRY_AFTER_S": "1"}  # a device that waits comes every second


def held_for(owner, number):
    return [row[0] for row in owner.query(f"SELECT held FROM pledges WHERE serial = '{number}'")]


def begin(owner, device, out):
    """Our own device, which waits as long as it is told to."""
    return subprocess.Popen([IMPRINT, "onboard", "brski", "--json", "--device", str(device), "--out", str(out), "--registrar", owner.registrar,
                             "--attempts", "1", "--timeout", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for(client, seen):
    end = time.monotonic() + 40
    while client.poll() is None and time.monotonic() < end and not seen():
        time.sleep(0.1)


def held(work, maker, owner, device):
    """Our own device with a past: it waits, and goes on where it stood when a person clears it."""
    number, out = serial(device), work / "held"
    given = len(json.loads(masa(maker, "log", number, "--json"))["vouchers"])
    runs = "SELECT total(json_extract(summary, '$.counts.round_trips')) FROM runs WHERE rule = 'BRSKI-EST-HELD'"  # one run counts them all
    before = owner.query(runs)[0][0]
    client = begin(owner, device, out)
    wait_for(client, lambda: owner.query(runs)[0][0] >= before + 2)
    check("our own device is held, and comes again", client.poll() is None and not (out / "cert.pem").exists(), client.poll())
    check("for its past", held_for(owner, number) == ["BRSKI-LOG-DOMAIN"], held_for(owner, number))
    waiting = owner.query("SELECT count(*) FROM pending WHERE state = 'waiting'")
    check("and is in no list of those that wait for approval", waiting == [(0,)], waiting)
    must("device", "clear", device.name, "--reason", "bought from the first", "--data", owner.data)
    said = client.communicate(timeout=60)[1]
    check("a person's word lets it on", client.returncode == 0 and (out / "cert.pem").exists(), said)
    now = len(json.loads(masa(maker, "log", number, "--json"))["vouchers"])
    check("with the voucher that it had: it did not begin anew", now == given + 1, (given, now))


def resale(work, maker, first, second, device):
    number = serial(device)
    done = first.take(device, work / "first")
    check("the first owner takes the device", done.returncode == 0, done.stderr)
    refused = second.take(device, work / "early")
    check("the second one is refused", refused.returncode != 0 and not (work / "early" / "owner").exists(), refused.stderr)
    claims = json.loads(masa(maker, "log", "--refused", "--json"))["refused"]
    check("and the MASA has the claim on record", [c["rule"] for c in claims if c["serial"] == number] == ["MASA-CLAIMED"], claims)
    masa(maker, "device", "release", number)
    enrol = by_hand(work, second, device)
    status, head, said = enrol()
    check("its past keeps it waiting for a person", status == 202 and "retry-after: 1" in head.lower(), (status, head, said[:300]))
    must("device", "clear", device.name, "--reason", "bought from the first", "--data", second.data)
    status, _, said = enrol()
    check("until one lets it on", status == 200, (status, said[:300]))
    must("device", "clear", device.name, "--hold", "--reason", "stolen", "--data", second.data)
    check("who may take that back", enrol()[0] == 202)
    enrol = by_hand(work, second, device)
    check("another voucher does not end a hold", enrol()[0] == 202 and held_for(second, number) == ["BRSKI-HELD"], held_for(second, number))
    second.stop()
    second.start(env=QUICK, log=work / "second.log")
    check("nor does the registrar's own", by_hand(work, second, device)()[0] == 202 and held_for(second, number) == ["BRSKI-HELD"])
    must("device", "clear", device.name, "--reason", "found again", "--data", second.data)
    held(work, maker, second, device)
    audit = json.loads(must("audit", "list", "--json", "--data", second.data))
    actions = [e["action"] for e in audit.get("audit", audit.get("entries", []))]
    check("both are in the audit log", "pledge.cleared" in actions and "pledge.held" in actions, actions[-8:])
    second.stop()
    second.start(env=QUICK | {"IMPRINT_BRSKI_LOG_STRANGERS": "true"}, log=work / "second.log")
    done = second.take(device, work / "second")
    check("an owner that buys used devices takes it with its past", done.returncode == 0, done.stderr)
    check("what it holds is the second owner's", fault_of(work / "second") is None, fault_of(work / "second"))
    shutil.rmtree(work / "first")
    back = first.take(device, work / "first")
    check("after a reset the first owner does not get it back", back.returncode != 0, back.stdout)
    log = json.loads(masa(maker, "log", number, "--json"))["vouchers"]
    check("the MASA's log has both domains", len({e["domain_id"] for e in log}) == 2, log)


def transfer(work, maker, first, second, device):
    number = serial(device)
    masa(maker, "device", "transfer", number, "--to", "second")
    refused = first.take(device, work / "not-mine")
    check("what is sold to the second is not the first's", refused.returncode != 0 and "MASA-OWNER" in masa(maker, "log", "--refused"), refused.stderr)
    done = second.take(device, work / "sold")
    check("and is the second's", done.returncode == 0, done.stderr)
    masa(maker, "device", "transfer", number, "--to", "first")
    client = begin(first, device, work / "given-back")
    wait_for(client, lambda: held_for(first, number) == ["BRSKI-LOG-DOMAIN"])
    check("given back, its past is the first's concern", client.poll() is None and held_for(first, number) == ["BRSKI-LOG-DOMAIN"],
          (client.poll(), held_for(first, number)))
    client.kill()
    said = client.communicate()[1]
    check("who has to look before it gets a certificate", not (work / "given-back" / "cert.pem").exists(), said)
    masa(maker, "device", "retire", number)
    for name, owner in (("first", first), ("second", second)):
        gone = owner.take(device, work / f"gone-{name}")
        check(f"retired: the {name} gets it no more", gone.returncode != 0, gone.stdout)
    check("by its rule", "MASA-RETIRED" in masa(maker, "log", "--refused"))
    check("the maker's audit log holds", json.loads(masa(maker, "log", "--verify", "--json"))["ok"])


def cloud(work, maker, second, devices):
    url = f"https://localhost:{maker.port}"

    def ask(device, name, *more):
        return second.take(device, work / name, "--cloud", url, "--cloud-anchors", maker.root, "--redirect-inside", *more)
    waits = ask(devices[0], "unsaid", "--timeout", "4")
    told = (work / "lamps-masa.log").read_text()
    check("while nobody has said, a device waits", waits.returncode != 0 and '"status":"202"' in told, waits.stderr + told[-300:])
    masa(maker, "device", "owner", serial(devices[0]), "--registrar", f"https://{second.registrar}")
    done = ask(devices[0], "sent-on")
    check("a device is sent to its owner's registrar", done.returncode == 0, done.stderr)
    check("and belongs to it", fault_of(work / "sent-on") is None, fault_of(work / "sent-on"))
    masa(maker, "device", "owner", serial(devices[1]), "--nobody")
    gone = ask(devices[1], "nobody")
    check("without an owner it gets nothing", gone.returncode != 0 and "404" in gone.stderr, gone.stderr)
    masa(maker, "device", "transfer", serial(devices[2]), "--to", "second")
    masa(maker, "device", "owner", serial(devices[2]), "--est", f"https://{second.registrar}", "--pin", second.anchors)
    request = {"ietf-voucher-request:voucher": {"assertion": "proximity", "serial-number": serial(devices[2]), "nonce": b64(b"sixteen octets.!"),
                                                "proximity-registrar-cert": b64(der(maker.masa_folder / "tls.pem"))}}
    status, _, voucher = curl(f"{url}{ROOT}/requestvoucher", "--cacert", maker.root, "--cert", devices[2] / "idevid-chain.pem", "--key",
                              devices[2] / "idevid-key.pem", "-H", f"Content-Type: {MEDIA['cms']}", work=work,
                              body=cms_sign(request, devices[2] / "idevid.pem", devices[2] / "idevid-key.pem"))
    found = openssl("cms", "-verify", "-inform", "DER", "-CAfile", maker.root, "-purpose", "any", data=voucher, good=False).stdout
    inner = json.loads(found)["ietf-voucher:voucher"] if status == 200 and found else {}
    check("an owner without a registrar: openssl gets a voucher with its EST server", inner.get("est-domain") == f"https://{second.registrar}",
          (status, voucher[:200]))
    check("that pins its CA", base64.b64decode(inner.get("pinned-domain-cert", "")) == der(second.anchors), inner)
    status, _, said = curl(f"{url}{ROOT}/requestvoucher", "--cacert", maker.root, "-H", f"Content-Type: {MEDIA['cms']}", work=work,
                           body=cms_sign(request, devices[2] / "idevid.pem", devices[2] / "idevid-key.pem"))
    check("without its IDevID in the handshake it is no device", status in (400, 403), (status, said[:200]))


def main():
    with scratch("resale") as folder:
        work = Path(folder)
        first, second = Owner(work / "a"), Owner(work / "b")
        maker = Maker(work, "lamps", owner_data=first.data)
        devices = maker.make(5)
        maker.start()
        masa(maker, "customer", "add", "first", "--certificate", first.anchors)
        masa(maker, "customer", "add", "second", "--certificate", second.anchors)
        for owner, log in ((first, "first.log"), (second, "second.log")):
            owner.knows(maker)
            owner.wants(devices[0].parent)
            owner.start(env=QUICK, log=work / log)
        try:
            resale(work, maker, first, second, devices[0])
            transfer(work, maker, first, second, devices[1])
            cloud(work, maker, second, devices[2:5])
        finally:
            for owner in (first, second):
                owner.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
