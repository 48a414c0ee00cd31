#!/usr/bin/env python3
"""Several credentials in one onboarding by BRSKI: the voucher and the first one, the others by EST, over HTTPS and CoAPS, by the maker's cloud, and
from another owner's server. What was obtained is checked by openssl; curl and openssl play devices that the registrar has to refuse, or not."""
import base64
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from onboarding_suite import curl, serial  # noqa: E402
from players import Maker, Owner  # noqa: E402
from resale_suite import by_hand, masa  # noqa: E402
from common import IMPRINT, Site, check, contents, error_of, fault_of, finish, imprint, make_csr, make_key, must, openssl, scratch, serial_of  # noqa: E402

SERVER = {"IMPRINT_EST_COAPS": "127.0.0.1:0", "IMPRINT_EST_COAPS_JOIN": "127.0.0.1:0"}
NAMES = ("network", "broker", "logs")
LAMP = """
identity = "network"
[credentials.network]
lifetime_hours = 240
wanted_key = "p384"
[credentials.broker]
names = ["dns:{id}.broker.example"]
alt_names = ["dns:{id}.broker.example"]
lifetime_hours = 24
[credentials.logs]
label = "lamp-logging"
subject = "CN={id}.logs"
common_names = ["{id}.logs"]
"""
LABELS = ("lamp", "lamp-broker", "lamp-logging")


def vouchers(maker, device):
    return len(maker.log(serial(device))["vouchers"])


def take(owner, device, out, profile, *more, **how):
    return owner.take(device, out, "--profile", profile, *more, **how)


def told(owner, device, out):
    """Whether both sides have on record that the device has its owner's certificate."""
    stage = owner.query(f"SELECT stage FROM pledges WHERE serial = '{serial(device)}'")
    return (out / "credentials" / "network" / "owner").read_text().splitlines()[1] == "configured" and stage == [("enrolled",)]


def faults(out, names=NAMES):
    return [f for f in (fault_of(out / "credentials" / n) for n in names) if f]


def text_of(certificate):
    return openssl("x509", "-in", certificate, "-noout", "-subject", "-ext", "subjectAltName").stdout.decode()


def good_for(certificate, seconds):
    return openssl("x509", "-in", certificate, "-noout", "-checkend", seconds, good=False).returncode == 0


def pinned_by(work, maker, owner_file):
    """The certificate that the voucher in a device's record pins, as openssl finds it signed below the maker's root."""
    lines = Path(owner_file).read_text().splitlines()
    said = openssl("cms", "-verify", "-inform", "DER", "-CAfile", maker.root, "-purpose", "any", data=base64.b64decode(lines[3]), good=False).stdout
    voucher = json.loads(said)["ietf-voucher:voucher"] if said else {}
    out = work / "pinned.pem"
    out.write_bytes(openssl("x509", "-inform", "DER", data=base64.b64decode(voucher.get("pinned-domain-cert", ""))).stdout)
    return out, voucher


# ---- one onboarding ----

def whole(work, maker, owner, device, profile):
    out = work / "whole"
    done = take(owner, device, out, profile)
    check("one command obtains the voucher and all three", done.returncode == 0, done.stderr)
    check("each is whole, and openssl finds it below its anchors", not faults(out), faults(out))
    folder = out / "credentials"
    pin, voucher = pinned_by(work, maker, folder / "network" / "owner")
    paths = [openssl("verify", "-CAfile", pin, "-untrusted", folder / n / "chain.pem", folder / n / "cert.pem", good=False).returncode for n in NAMES]
    check("openssl finds all three below what the voucher pins", paths == [0, 0, 0] and voucher.get("serial-number") == serial(device), (paths, voucher))
    keys = {openssl("pkey", "-in", folder / n / "key.pem", "-pubout").stdout for n in NAMES}
    check("each has a key of its own, and none is the IDevID's",
          len(keys) == 3 and openssl("pkey", "-in", device / "idevid-key.pem", "-pubout").stdout not in keys)
    kinds = [openssl("pkey", "-in", folder / n / "key.pem", "-noout", "-text").stdout.decode() for n in NAMES]
    check("of the type that the profile wants", "P-384" in kinds[0] and "P-256" in kinds[1], kinds)
    check("each has its names", text_of(folder / "network" / "cert.pem").strip().endswith(device.name) and
          f"{device.name}.broker.example" in text_of(folder / "broker" / "cert.pem") and f"{device.name}.logs" in text_of(folder / "logs" / "cert.pem"))
    check("each has its lifetime", good_for(folder / "network" / "cert.pem", 90000) and not good_for(folder / "broker" / "cert.pem", 90000))
    by_profile = [[c["serial"] for c in json.loads(must("ca", "list", "--profile", f"lamp/{n}", "--json", "--data", owner.data))["certificates"]]
                  for n in NAMES]
    check("each is on record under its part of the profile", all(serial_of(folder / n / "cert.pem") in s for n, s in zip(NAMES, by_profile)), by_profile)
    check("the device is told which is which", [c["label"] for c in json.loads(done.stdout or "{}").get("credentials", [])] == list(LABELS), done.stdout)
    check("its owner is on record, and the registrar has heard of it", told(owner, device, out), owner.query("SELECT serial, stage FROM pledges"))
    check("nothing of the way is left", not (out / "obtaining").exists())
    check("one voucher was enough", vouchers(maker, device) == 1, vouchers(maker, device))
    runs = [json.loads((folder / n / "run.json").read_text())["protocol"] for n in NAMES]
    check("the first came by BRSKI, the others by EST", runs == ["brski", "est", "est"], runs)
    before = {n: contents(folder / n) for n in NAMES}
    again = take(owner, device, out, profile)
    check("once more: all is there, nothing is asked for", again.returncode == 0 and vouchers(maker, device) == 1 and
          before == {n: contents(folder / n) for n in NAMES}, again.stderr)
    return out


def later(work, maker, owner, device, out, profile):
    """What comes after: renewals by EST, and a credential that the profile has got since."""
    folder, est = out / "credentials", ["--server", owner.est, "--out", out, "--profile", profile]
    before = {n: contents(folder / n) for n in NAMES}
    done = imprint("onboard", "est", *est, "--credential", "broker", "--renew")
    check("EST renews one of them by itself", done.returncode == 0 and contents(folder / "broker") != before["broker"] and
          all(contents(folder / n) == before[n] for n in ("network", "logs")), done.stderr)
    done = imprint("onboard", "est", *est, "--renew")
    check("and all", done.returncode == 0 and all(contents(folder / n) != before[n] for n in NAMES) and not faults(out), done.stderr)
    text = profile.read_text() + "[credentials.late]\nlifetime_hours = 2\n"
    profile.write_text(text)
    must("profile", "remove", "lamp", "--data", owner.data)
    must("profile", "add", profile, "--data", owner.data)
    check("the registrar takes the profile as it is now", taken(work, owner, "lamp-late"))
    done = take(owner, device, out, profile)
    check("a credential that the profile gets later is added", done.returncode == 0 and not faults(out, (*NAMES, "late")), done.stderr)
    check("without another voucher", vouchers(maker, device) == 1)
    profile.write_text(LAMP)
    must("profile", "remove", "lamp", "--data", owner.data)
    must("profile", "add", profile, "--data", owner.data)


def taken(work, owner, label):
    """The running server takes a profile within two seconds."""
    for _ in range(100):
        if curl(f"https://{owner.registrar}/.well-known/est/{label}/cacerts", "-k", work=work)[0] == 200:
            return True
        threading.Event().wait(0.1)
    return False


# ---- who may ask under the labels ----

def est(work, owner, label, der, who):
    return curl(f"https://{owner.registrar}/.well-known/est/{label}/simpleenroll", *who, "-H", "Content-Type: application/pkcs10",
                body=base64.encodebytes(der), work=work)


def gate(work, maker, owner, device):
    who = ["--cert", device / "idevid-chain.pem", "--key", device / "idevid-key.pem", "-k"]
    got = [est(work, owner, label, make_csr(make_key(work / f"gate-{label}"), device.name), who) for label in LABELS]
    check("curl: without a voucher no label opens", all(g[0] == 403 and b"BRSKI-EST-EARLY" in g[2] for g in got), got)
    by_hand(work, owner, device)
    for label, name in zip(LABELS, (device.name, device.name, f"{device.name}.logs")):
        status, _, said = est(work, owner, label, make_csr(make_key(work / f"open-{label}"), name), who)
        check(f"curl: with one that is accepted, {label} does", status == 200, (status, said[:200]))
    status, _, said = est(work, owner, "other", make_csr(make_key(work / "open-other"), device.name), who)
    check("but no label of others", status == 403 and b"SITE-LABEL" in said, (status, said[:200]))


# ---- attempts that end on the way ----

def taken_up_again(work, maker, owner, device, profile):
    out, wrong = work / "again", work / "wrong" / "lamp.toml"
    wrong.parent.mkdir()
    wrong.write_text(LAMP.replace('names = ["dns:{id}.broker', 'names = ["dns:{id}.elsewhere', 1))
    done = take(owner, device, out, wrong)
    why = error_of(done)
    check("names that the site does not give end the attempt, which says where", done.returncode == 3 and "broker" in json.dumps(why) and
          "SITE-NAMES" in done.stderr, done.stderr)
    own = out / "obtaining" / "network"
    check("nothing is shown; the voucher and the first one wait", not (out / "credentials").exists() and fault_of(own) is None and (own / "owner").exists())
    before = serial_of(own / "cert.pem")
    done = take(owner, device, out, profile)
    check("the right command goes on where that ended", done.returncode == 0 and not faults(out), done.stderr)
    check("with the voucher and the first one of before", vouchers(maker, device) == 1 and
          serial_of(out / "credentials" / "network" / "cert.pem") == before, vouchers(maker, device))


def voucher_on_record(work, maker, owner, device, profile):
    """The first certificate is refused: there is a voucher and nothing else."""
    out, wrong = work / "on-record", work / "wrong" / "lamp.toml"
    wrong.write_text(LAMP.replace("wanted_key", 'names = ["dns:elsewhere.example"]\nwanted_key', 1))
    done = take(owner, device, out, wrong)
    own = out / "obtaining" / "network"
    check("the owner is on record, and no certificate", done.returncode != 0 and (own / "owner").exists() and not (own / "cert.pem").exists(), done.stderr)
    owner.stop()
    assert owner.start(env=SERVER, log=work / "site.log"), "Bail out! the server does not start again"  # on other ports
    done = take(owner, device, out, profile)
    check("the voucher is not asked for again, wherever the owner is by now", done.returncode == 0 and vouchers(maker, device) == 1 and not faults(out),
          (vouchers(maker, device), done.stderr))
    check("and the registrar hears how it ended, where it is now", told(owner, device, out), owner.query("SELECT serial, stage FROM pledges"))


def sold_on_the_way(work, maker, owner, device, profile):
    """The owner of the voucher on record is nobody's any more."""
    out, wrong = work / "sold", work / "wrong" / "lamp.toml"
    first = Owner(work / "first")
    first.knows(maker)
    must("profile", "add", profile, "--data", first.data)
    first.wants(device.parent)
    first.start(log=work / "first.log")
    try:
        done = take(first, device, out, wrong)
        check("the first owner's voucher is there", done.returncode != 0 and (out / "obtaining" / "network" / "owner").exists(), done.stderr)
    finally:
        first.stop()
    masa(maker, "device", "release", serial(device))
    done = take(owner, device, out, profile, "--timeout", "4")
    check("the second owner's is asked for, and its past keeps the device waiting", done.returncode != 0 and
          vouchers(maker, device) == 2 and not (out / "credentials").exists(), done.stderr)
    must("device", "clear", device.name, "--reason", "bought", "--data", owner.data)
    done = take(owner, device, out, profile)
    pin = pinned_by(work, maker, out / "credentials" / "network" / "owner")[0] if done.returncode == 0 else None
    check("cleared, all is the second owner's by that voucher", done.returncode == 0 and not faults(out) and
          serial_of(pin) == serial_of(owner.anchors) and vouchers(maker, device) == 2, done.stderr)


# ---- other ways ----

def proxy_before(work, port):
    """A stateless join proxy before this port of the registrar's, and where devices go."""
    out = work / "proxy.json"
    with open(out, "wb") as said:
        process = subprocess.Popen([IMPRINT, "proxy", "--json", "--coaps", f"127.0.0.1:{port}", "--coaps-listen", "127.0.0.1:0", "--stateless",
                                    "--coaps-answers", "127.0.0.1:0"], stdout=said, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    for _ in range(100):
        if out.stat().st_size or process.poll() is not None:
            break
        threading.Event().wait(0.05)
    return process, json.loads(out.read_text().splitlines()[0])["port"]


def constrained(work, maker, owner, devices, profile):
    join = json.loads(owner.endpoints().read_text())["coaps_join"]
    signer = work / "firmware.pem"
    text = (maker.masa_folder / "signer.pem").read_text()
    signer.write_text(text[text.index("-----BEGIN CERTIFICATE"):])
    proxy, port_of_proxy = proxy_before(work, int(join.rsplit(":", 1)[1]))
    for how, port, device in (("directly", owner.coaps_port, devices[0]), ("through a stateless join proxy", port_of_proxy, devices[1])):
        out = work / f"coaps-{port}"
        done = take(owner, device, out, profile, "--maker-anchors", signer, registrar=f"coaps://127.0.0.1:{port}")
        check(f"over CoAPS, {how}: all three", done.returncode == 0 and not faults(out), done.stderr)
        modes = [json.loads((out / "credentials" / n / "run.json").read_text())["mode"] for n in NAMES] if done.returncode == 0 else []
        check(f"over CoAPS, {how}: no run went another way", modes == ["coaps"] * 3 and vouchers(maker, device) == 1, modes)
    proxy.terminate()
    proxy.wait(timeout=20)
    end = json.loads((work / "proxy.json").read_text().splitlines()[-1])
    check("the proxy has carried it", end.get("datagrams_up", 0) > 20, end)


def by_cloud(work, maker, owner, devices, profile):
    where = ["--cloud", f"https://localhost:{maker.port}", "--cloud-anchors", maker.root]
    masa(maker, "device", "owner", serial(devices[0]), "--registrar", f"https://{owner.registrar}")
    done = take(owner, devices[0], work / "cloud", profile, *where, "--redirect-inside")
    check("sent on by the maker's cloud: all three", done.returncode == 0 and not faults(work / "cloud"), done.stderr)
    masa(maker, "customer", "add", "home", "--certificate", owner.anchors)
    masa(maker, "device", "transfer", serial(devices[1]), "--to", "home")
    masa(maker, "device", "owner", serial(devices[1]), "--est", f"https://{owner.registrar}", "--pin", owner.anchors)
    owner.stop()
    assert owner.start(env={**SERVER, "IMPRINT_BRSKI_VOUCHER_FIRST": "false", "IMPRINT_EST_LISTEN": f"127.0.0.1:{owner.port}"},
                       log=work / "site.log"), "Bail out! the server does not start again"
    out = work / "est-domain"
    done = take(owner, devices[1], out, profile, *where, "--redirect-inside")
    check("an owner without a registrar, by est-domain: all three", done.returncode == 0 and not faults(out), done.stderr)
    masa(maker, "device", "transfer", serial(devices[2]), "--to", "home")
    masa(maker, "device", "owner", serial(devices[2]), "--est", f"https://{owner.registrar}", "--pin", owner.anchors)
    done = take(owner, devices[2], work / "guarded", profile, *where)
    check("who may not be sent to this machine is not", done.returncode != 0 and not (work / "guarded" / "credentials").exists(), done.stderr)


def other_site(work, maker, owner, device):
    """The building's credential comes from another owner's EST server, which takes who has a certificate of ours."""
    other = Site(work / "other")
    folder = work / "meters"
    folder.mkdir()
    (folder / "building-ca.pem").write_bytes(other.anchors.read_bytes())
    profile = folder / "lamp.toml"

    def write(port):
        profile.write_text(f'identity = "network"\n[credentials.network]\n[credentials.building]\nserver = "https://localhost:{port}"\n'
                           'anchors = "building-ca.pem"\n')
    out = work / "meter"
    try:
        assert other.start(), "Bail out! the other server does not start"
        write(other.port)
        done = take(owner, device, out, profile)
        check("a server that does not know the device: nothing is shown", done.returncode != 0 and "building" in done.stderr and
              not (out / "credentials").exists(), done.stderr)
        (work / "other" / "makers").mkdir(exist_ok=True)
        (work / "other" / "makers" / "site.pem").write_bytes(owner.anchors.read_bytes())
        must("device", "add", device.name, "--idevid", out / "obtaining" / "network" / "cert.pem", "--data", other.data)
        other.stop()
        assert other.start(), "Bail out! the other server does not start"
        write(other.port)
        done = take(owner, device, out, profile)
        check("once it does, the same command goes on", done.returncode == 0 and not faults(out, ("network", "building")), done.stderr)
        folder = out / "credentials"
        check("with anchors of its own, and the voucher of before", contents(folder / "building")["anchors.pem"] == other.anchors.read_bytes() !=
              contents(folder / "network")["anchors.pem"] and vouchers(maker, device) == 1, vouchers(maker, device))
        asked = json.loads(must("ca", "show", serial_of(folder / "building" / "cert.pem"), "--json", "--data", other.data))
        check("the other owner saw the first credential, and no IDevID",
              asked["certificate"]["identity"] == f"certificate CN={device.name} of CN=Imprint Owner CA", asked["certificate"])
    finally:
        other.stop()


# ---- what does not go together ----

def refusals(work, owner, device, whole_out, profile):
    at = ["--registrar", owner.registrar]
    cases = (
        ("--cert without --key", ["--cert", device / "idevid.pem", *at], "CLI-OPTION", "give both"),
        ("anchors of a cloud that is not there", ["--cloud-anchors", owner.anchors, *at], "CLI-OPTION", "--cloud as well"),
        ("a cloud over CoAPS", ["--cloud", "coaps://localhost:1", "--cloud-anchors", owner.anchors], "CLI-OPTION", "https://"),
        ("CMS over CoAPS", ["--registrar", "coaps://localhost:1", "--form", "cms"], "CLI-OPTION", "COSE alone"),
        ("what CMS holds, in JWS", ["--form", "jws", "--content-type", "data", *at], "CLI-OPTION", "only CMS"),
        ("a quirk that no registrar has", ["--quirk", "odd", *at], "CLI-OPTION", "base64-bodies"),
        ("a label beside a profile", ["--profile", profile, "--label", "x", *at], "PROFILE-OPTIONS", "the profile says"),
        ("a subject beside a profile", ["--profile", profile, "--subject", "CN=x", *at], "PROFILE-OPTIONS", "the profile says"),
        ("beliefs of a whole set", ["--profile", profile, "--beliefs", *at], "PROFILE-OPTIONS", "run of its own"))
    for name, arguments, rule, words in cases:
        done = imprint("onboard", "brski", "--json", "--device", device, "--out", work / "refused", *arguments)
        check(f"{name}: refused, and said why", done.returncode == 2 and error_of(done).get("rule") == rule and words in done.stderr, done.stderr)
    check("and nothing is made", not (work / "refused").exists())
    done = imprint("onboard", "brski", "--json", "--device", device, "--out", whole_out, *at)
    check("a folder of several credentials does not begin again with one", done.returncode == 7 and "--profile" in done.stderr, done.stderr)
    single = work / "single"
    shutil.copytree(whole_out / "credentials" / "network", single, symlinks=True)
    done = take(owner, device, single, profile)
    check("nor one of a single credential with several", done.returncode == 7 and "without --profile" in done.stderr, done.stderr)


def main():
    with scratch("brski-profile") as folder:
        work = Path(folder)
        owner = Owner(work / "site")
        maker = Maker(work, "lamps", owner_data=owner.data)
        devices = maker.make(9, "--label", "lamp")
        bulbs = maker.make(2, "--label", "bulb", first=20)
        maker.start()
        owner.knows(maker)
        for made in (devices, bulbs):
            owner.wants(made[0].parent)
        profile, bulb = work / "lamp.toml", work / "bulb.toml"
        profile.write_text(LAMP)
        bulb.write_text('identity = "network"\n' + "".join(f"[credentials.{name}]\n" for name in NAMES))
        (work / "other.toml").write_text("[credentials.only]\n")
        for one in (profile, bulb, work / "other.toml"):
            must("profile", "add", one, "--data", owner.data)
        assert owner.start(env=SERVER, log=work / "site.log"), "Bail out! the server does not start"
        try:
            out = whole(work, maker, owner, devices[0], profile)
            refusals(work, owner, devices[0], out, profile)
            gate(work, maker, owner, devices[1])
            taken_up_again(work, maker, owner, devices[2], profile)
            voucher_on_record(work, maker, owner, devices[3], profile)
            sold_on_the_way(work, maker, owner, devices[4], profile)
            constrained(work, maker, owner, bulbs, bulb)
            other_site(work, maker, owner, devices[5])
            later(work, maker, owner, devices[0], out, profile)
            by_cloud(work, maker, owner, devices[6:9], profile)
            check("the audit log holds, one entry a certificate", owner.audit_holds())
        finally:
            if not all(__import__("common").tests):
                print("# " + (work / "site.log").read_text()[-2000:].replace("\n", "\n# "))
            owner.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
