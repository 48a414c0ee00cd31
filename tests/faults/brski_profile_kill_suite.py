#!/usr/bin/env python3
"""kill -9 of a device at any moment of an onboarding by BRSKI with three credentials: all of them are in force, or none; the same command ends with
all, and asks for no certificate that it has, nor for another voucher."""
import os
import random
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop" / "brski"))
from players import Maker, Owner  # noqa: E402
from common import IMPRINT, check, fault_of, finish, leftovers, must, scratch, serial_of  # noqa: E402

SEED = int(os.environ.get("SEED", "20261124"))
KILLS = int(os.environ.get("KILLS", "36"))
NAMES = ("network", "broker", "logs")
LAMP = 'identity = "network"\n' + "".join(f"[credentials.{name}]\n" for name in NAMES)
FORMS = ("cms", "jws")
# Moments that are short are looked for: a voucher, a request under way, a certificate, the next one, all of them.
STAGES = (None, "obtaining/network/owner", "obtaining/network/pending/asked", "obtaining/network/current", "obtaining/broker",
          "obtaining/broker/pending/asked", "obtaining/broker/current", "obtaining/logs/pending/asked", "obtaining/logs/current", "credentials")


class Device:
    def __init__(self, folder, out, form):
        self.folder, self.out, self.form = Path(folder), Path(out), form

    def command(self, site, profile):
        return [IMPRINT, "onboard", "brski", "--json", "--device", str(self.folder), "--out", str(self.out), "--registrar", site.registrar,
                "--form", self.form, "--profile", str(profile), "--attempts", "1", "--timeout", "30"]

    def begin(self, site, profile):
        return subprocess.Popen(self.command(site, profile), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def finish(self, site, profile):
        """What went wrong, or nothing."""
        out = subprocess.run(self.command(site, profile), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        return out.stderr[-400:] if out.returncode else None

    @property
    def shown(self):
        return sorted(p.name for p in (self.out / "credentials").iterdir()) if (self.out / "credentials").exists() else []

    def wrong(self):
        """Nothing, or what is wrong with what is in force, and with the record of the owner."""
        if self.shown not in ([], sorted(NAMES)):
            return f"{self.out}: {self.shown}"
        owner = self.out / "obtaining" / "network" / "owner"
        if owner.exists() and "-----END CERTIFICATE-----" not in owner.read_text(errors="replace"):
            return f"{self.out}: owner is cut"
        return next((f for f in (fault_of(self.out / "credentials" / n) for n in self.shown) if f), None)

    def stage(self):
        way = self.out / "obtaining"
        if self.shown:
            return "all"
        got = sum((way / n / "current").exists() for n in NAMES)
        return f"{got} of 3" if got else "a voucher" if (way / "network" / "owner").exists() else "nothing"


def kills(site, rng, profile, devices):
    begin = time.monotonic()
    if why := devices[0].finish(site, profile):
        raise SystemExit(f"Bail out! the device fails without a kill: {why}")
    typical, hits, broken, stages = time.monotonic() - begin, 0, [], {}
    for n in range(KILLS):
        left = [d for d in devices[1:] if not d.shown]
        if not left:
            break
        one, watch = rng.choice(left), STAGES[n % len(STAGES)]
        client = one.begin(site, profile)
        if watch:
            end = time.monotonic() + 3 * typical
            while not os.path.lexists(one.out / watch) and time.monotonic() < end and client.poll() is None:
                time.sleep(0.0003)
        else:
            time.sleep(rng.uniform(0.05, 1.0) * typical)
        client.kill()
        hit = client.wait(timeout=10) == -9
        hits += hit
        stages[one.stage()] = stages.get(one.stage(), 0) + hit
        if one.wrong():
            broken.append((n, watch, one.wrong()))
    check("kills of a device on its way: all three credentials are in force, or none", not broken, broken)
    check("a good part of them hit one that ran", hits >= KILLS // 4, f"{hits} kills, {stages}")
    check("some came between the voucher and the first credential, and some between two", stages.get("a voucher", 0) > 0 and
          stages.get("1 of 3", 0) + stages.get("2 of 3", 0) > 0, stages)
    print(f"# {hits} kills: {stages}")


def goes_on(site, maker, profile, devices):
    failed, anew = [], []
    for one in devices[1:]:
        way = one.out / "obtaining"
        before = {n: serial_of(way / n / "cert.pem") for n in NAMES if (way / n / "current").exists() and not one.shown}
        recorded = (way / "network" / "owner").exists() or bool(one.shown)
        had = len(maker.log(one.folder.name)["vouchers"])
        why = one.finish(site, profile) or one.wrong() or (None if one.shown else "nothing is shown")
        lost = [n for n in before if not why and serial_of(one.out / "credentials" / n / "cert.pem") != before[n]]
        left = [str(x) for n in NAMES for x in leftovers(one.out / "credentials" / n)] + [str(way)] * way.exists()
        if why or lost or left:
            failed.append((one.out.name, why, lost, left))
        has = len(maker.log(one.folder.name)["vouchers"])
        if recorded and has != had:
            anew.append((one.out.name, recorded, had, has))
    check("the same command ends with all, keeps what was obtained, and leaves nothing else", not failed, failed)
    check("no voucher is asked for where one is on record", not anew, anew)
    once = {d.out.name: len(site.certificates(d.folder.name)) for d in devices}
    check("each device has three certificates on record, however often it died", set(once.values()) == {3}, once)
    strange = [(d.out.name, n) for d in devices for n in NAMES
               if d.shown and serial_of(d.out / "credentials" / n / "cert.pem") not in site.certificates(d.folder.name)]
    check("which are those in force", not strange, strange)
    again = [(d.out.name, why) for d in devices[:3] if (why := d.finish(site, profile))]
    check("and once more nothing is to be done", not again and {len(site.certificates(d.folder.name)) for d in devices} == {3}, again)


def main():
    rng = random.Random(SEED)
    print(f"# seed {SEED}")
    os.environ.setdefault("IMPRINT_LOG_LEVEL", "error")
    with scratch("brski-profile-kill", on_disk=True) as folder:
        work = Path(folder)
        site = Owner(work / "site")
        maker = Maker(work, "lamps", owner_data=site.data)
        profile = work / "C.toml"
        profile.write_text(LAMP)
        must("profile", "add", profile, "--data", site.data)
        folders = maker.make(1 + max(4, KILLS // 3), "--label", "C")
        maker.start()
        site.knows(maker)
        site.wants(folders[0].parent)
        devices = [Device(f, work / "out" / f.name, FORMS[n % len(FORMS)]) for n, f in enumerate(folders)]
        try:
            assert site.start(log=work / "site.log"), "Bail out! the server does not start"
            kills(site, rng, profile, devices)
            goes_on(site, maker, profile, devices)
            check("the audit log holds, one entry a certificate", site.audit_holds())
        finally:
            site.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
