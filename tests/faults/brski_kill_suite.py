#!/usr/bin/env python3
"""kill -9 of the real device, registrar and MASA at any moment of onboardings by BRSKI: nobody is left half imprinted, and all get there.

Of a device: either nothing is installed, or key, certificate, chain and anchors belong together and `owner` says who its owner is. Of the
registrar: what it answered is on record, one certificate a device. Of the MASA: its log has each voucher that a device or registrar holds.
"""
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop" / "brski"))
from players import Maker, Owner  # noqa: E402
from common import IMPRINT, check, fault_of, finish, imprint, installed, leftovers, openssl, scratch, serial_of  # noqa: E402

SEED = int(os.environ.get("SEED", "20261123"))
KILLS = int(os.environ.get("KILLS", "40"))
ROUNDS = max(2, KILLS // 10)
AT_ONCE = 5
FORMS = ("cms", "jws", "cose")


def half_imprinted(out):
    """Nothing, or what is wrong with a device's folder after the power went."""
    out = Path(out)
    owner = out / "owner"
    if owner.exists():
        text = owner.read_text(errors="replace")
        if not text.startswith("imprint owner 1\n") or "-----END CERTIFICATE-----" not in text:
            return f"{out}: owner is cut: {text[:80]!r}"
        if owner.stat().st_mode & 0o077:
            return f"{out}: others may read owner"
    if installed(out):
        if not owner.exists():
            return f"{out}: a certificate, and nobody is its owner"
        return fault_of(out)
    return None


def holds(site, maker, devices, rows=True):
    """Whether the books of both sides belong together."""
    wrong = []
    if imprint("audit", "verify", "--data", site.data).returncode != 0:
        wrong.append("the owner's audit log")
    for table in site.query("SELECT count(*), count(DISTINCT serial) FROM certificates WHERE device IS NOT NULL"):
        if table[0] != table[1]:
            wrong.append(f"certificates {table}")
    for name, vouched in site.query("SELECT serial, vouchered FROM pledges"):
        entries = maker.log(name)["vouchers"]
        if vouched and not entries:
            wrong.append(f"{name}: a voucher that is in no log")
    return wrong


def firmware(work, maker):
    """What a device has of its maker if it speaks COSE: nothing comes along there, so it has to know the MASA's own certificate."""
    path = work / "firmware.pem"
    if not path.exists():
        signer = openssl("x509", "-in", maker.masa_folder / "signer.pem").stdout
        path.write_bytes(Path(maker.root).read_bytes() + signer)
    return str(path)


class Device:
    anchors = None  # of devices that speak COSE

    def __init__(self, folder, out, form):
        self.folder, self.out, self.form = Path(folder), Path(out), form

    def command(self, site, *more):
        return [IMPRINT, "onboard", "brski", "--json", "--device", str(self.folder), "--out", str(self.out), "--registrar", site.registrar,
                "--form", self.form, "--timeout", "30", *(["--maker-anchors", Device.anchors] if self.form == "cose" else []), *more]

    def begin(self, site, attempts=1):
        return subprocess.Popen(self.command(site, "--attempts", str(attempts)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def finish(self, site, attempts=1):
        """Until it is operational; what went wrong, or nothing."""
        done = subprocess.run(self.command(site, "--attempts", str(attempts)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode and "BRSKI-CONFIGURED" not in done.stderr:
            return done.stderr[-400:]
        return half_imprinted(self.out) or (None if installed(self.out) else "nothing is installed")


def kills_of_devices(site, maker, rng, work, folders):
    first = Device(folders[0], work / "first", "cms")
    begin = time.monotonic()
    why = first.finish(site)
    if why:
        raise SystemExit(f"Bail out! the device fails without a kill: {why}")
    typical, hits, broken, stages = time.monotonic() - begin, 0, [], {}
    devices = [Device(f, work / "out" / f.name, FORMS[n % 3]) for n, f in enumerate(folders[1:])]
    for n in range(KILLS):
        left = [d for d in devices if not installed(d.out)]
        if not left:
            break
        one = rng.choice(left)
        client = one.begin(site)
        # Some moments are looked for, since they are short: the owner is on record, a request is under way.
        watch = rng.choice((None, "owner", "pending/asked", "pending", "cert.pem"))
        if watch:
            end = time.monotonic() + 3 * typical
            while not (one.out / watch).exists() and time.monotonic() < end and client.poll() is None:
                time.sleep(0.0003)
        else:
            time.sleep(rng.uniform(0.05, 1.0) * typical)
        client.kill()
        hit = client.wait(timeout=10) == -9
        hits += hit
        typical *= 1.05 if hit else 0.8
        stage = "installed" if installed(one.out) else "owner" if (one.out / "owner").exists() else "nothing"
        stages[stage] = stages.get(stage, 0) + hit
        if half_imprinted(one.out):
            broken.append((n, watch, half_imprinted(one.out)))
    check(f"{KILLS} kills of a device: nothing is left half imprinted", not broken, broken)
    check("a good part of them hit one that ran", hits >= KILLS // 5, f"{hits} kills, {stages}")
    check("and some came between the voucher and the certificate", stages.get("owner", 0) > 0, stages)
    # Whoever has its voucher on record goes back with it, and asks for no other one.
    between = {d.folder.name: len(maker.log(d.folder.name)["vouchers"]) for d in devices if (d.out / "owner").exists() and not installed(d.out)}
    failed = [(d.out.name, d.form, why) for d in devices if (why := d.finish(site))]
    check("a later run ends operational, every time", not failed, failed)
    asked = {name: (had, has) for name, had in between.items() if (has := len(maker.log(name)["vouchers"])) != had}
    check("and those that had their voucher asked for no other one", not asked, (asked, between))
    counts = {d.folder.name: len(site.certificates(d.folder.name)) for d in devices}
    check("each has one certificate on record, however often it died", set(counts.values()) == {1}, counts)
    strange = [d.out.name for d in devices if installed(d.out) and serial_of(d.out / "cert.pem") not in site.certificates(d.folder.name)]
    check("which is the one that is installed", not strange, strange)
    left = {d.out.name: leftovers(d.out) for d in devices if leftovers(d.out)}
    check("no private key and no half-written file is left behind", not left, left)
    again = [(d.out.name, r.returncode) for d in devices[:3] if (r := imprint(*d.command(site)[1:])).returncode == 0 or "BRSKI-CONFIGURED" not in r.stderr]
    check("and none of them starts again", not again, again)
    check("the books of owner and maker belong together", not (wrong := holds(site, maker, devices)), wrong)


def wait_for_some(devices, stage, wanted):
    for _ in range(2000):
        if sum((d.out / stage).exists() for d in devices) >= wanted:
            return
        time.sleep(0.002)


def kills_of_servers(site, maker, rng, work, folders, who):
    """Several devices at once, and their registrar or their MASA dies in the middle of it."""
    broken, busy, everyone = [], 0, []
    for n in range(ROUNDS):
        batch = [Device(f, work / f"{who}-{n}" / f.name, FORMS[(n + i) % 3]) for i, f in enumerate(folders[n * AT_ONCE:(n + 1) * AT_ONCE])]
        everyone += batch
        clients = [d.begin(site) for d in batch]
        # The MASA is wanted until the vouchers are there, the registrar until the end.
        early = who == "masa"
        first = n == 0 and not early  # as soon as one has its voucher, so that the others are in the middle
        stage = "owner" if early or first else rng.choice(("owner", "cert.pem", "run.json"))
        wait_for_some(batch, stage, 1 if first else rng.randrange(0 if early else 1, 3 if early else AT_ONCE))
        time.sleep(0 if first else rng.uniform(0, 0.02))
        victim = site.server if who == "registrar" else maker.server
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        codes = [c.wait(timeout=60) for c in clients]
        busy += any(codes)
        broken += [half_imprinted(d.out) for d in batch if half_imprinted(d.out)]
        if imprint("audit", "verify", "--data", site.data).returncode != 0:
            broken.append((n, "audit"))
        if who == "registrar":
            if not site.start(log=work / "site.log"):
                raise SystemExit("Bail out! the registrar does not start again")
        else:
            maker.start()
            site.knows(maker)  # on another port by now
            site.server.send_signal(signal.SIGHUP)
            time.sleep(0.3)
    check(f"{ROUNDS} kills of the {who}: no device is half imprinted, and the audit log holds", not broken, broken)
    check("some of them came in the middle", busy > 0, busy)
    failed = [(d.out.name, d.form, why) for d in everyone if (why := d.finish(site, attempts=3))]
    check(f"after them everybody gets there (the {who} is back)", not failed, failed)
    counts = {d.folder.name: len(site.certificates(d.folder.name)) for d in everyone}
    check("each has one certificate on record", set(counts.values()) == {1}, counts)
    check("the books of owner and maker belong together", not (wrong := holds(site, maker, everyone)), wrong)
    lost = [d.folder.name for d in everyone if not maker.log(d.folder.name)["vouchers"]]
    check("the MASA has a voucher of each in its log", not lost, lost)


def main():
    rng = random.Random(SEED)
    print(f"# seed {SEED}")
    os.environ.setdefault("IMPRINT_LOG_LEVEL", "error")
    with scratch("brski-kill", on_disk=True) as folder:
        work = Path(folder)
        site = Owner(work / "site")
        maker = Maker(work, "lamps", owner_data=site.data)
        own, each = 1 + max(6, KILLS // 4), ROUNDS * AT_ONCE
        folders = maker.make(own + 2 * each)
        maker.start()
        site.knows(maker)
        site.wants(folders[0].parent)
        Device.anchors = firmware(work, maker)
        try:
            assert site.start(log=work / "site.log"), "Bail out! the server does not start"
            kills_of_devices(site, maker, rng, work, folders[:own])
            kills_of_servers(site, maker, rng, work, folders[own:own + each], "registrar")
            kills_of_servers(site, maker, rng, work, folders[own + each:], "masa")
            check("the registrar ends with code 0", site.stop() == 0)
        finally:
            site.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
