#!/usr/bin/env python3
"""kill -9 of a device at random moments of an onboarding with three credentials: all of them are there, or none is shown; the same
command ends with all, and asks for nothing that it has obtained before."""
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from common import IMPRINT, Site, check, fault_of, finish, must, scratch, serial_of

SEED = int(os.environ.get("SEED", "20261122"))
KILLS = int(os.environ.get("KILLS", "24"))
NAMES = ("network", "broker", "logs")
LAMP = 'identity = "network"\n' + "".join(f"[credentials.{name}]\n" for name in NAMES)


def shown(out):
    return sorted(p.name for p in (out / "credentials").iterdir()) if (out / "credentials").exists() else []


def onboarding(site, work, name):
    return site.onboarding(work / name, "--device", work / "factory" / name, "--profile", work / "C.toml")


def kills(site, rng, work, names):
    begin = time.monotonic()
    must(*onboarding(site, work, names[0]))
    typical, hits, partly, broken = time.monotonic() - begin, 0, 0, []
    for n in range(KILLS):
        name = rng.choice([name for name in names[1:] if not shown(work / name)] or names[1:])
        device = subprocess.Popen([IMPRINT, *onboarding(site, work, name)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.05, 1.0) * typical)
        device.kill()
        hits += device.wait(timeout=10) == -9
        partly += (work / name / "obtaining").exists()
        there = shown(work / name)
        if there not in ([], sorted(NAMES)):
            broken.append((n, name, there))
        broken += [(n, name, fault_of(work / name / "credentials" / one)) for one in there if fault_of(work / name / "credentials" / one)]
    check(f"{KILLS} kills: all three credentials are shown, or none", not broken, broken)
    check("a good part of them hit a device on its way", hits >= KILLS // 4 and partly >= KILLS // 8, f"{hits} hits, {partly} on the way")


def goes_on(site, work, names):
    failed = []
    for name in names[1:]:
        # The note is there before what it speaks of: the power may have gone between the two.
        before = {one: serial_of(work / name / "obtaining" / one / "cert.pem") for one in NAMES
                  if all((work / name / "obtaining" / one / file).exists() for file in ("asked-for", "cert.pem"))}
        out = subprocess.run([IMPRINT, *onboarding(site, work, name)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        folder = work / name / "credentials"
        faults = [f for f in (fault_of(folder / one) for one in NAMES) if f] if shown(work / name) == sorted(NAMES) else [shown(work / name)]
        lost = [one for one in before if serial_of(folder / one / "cert.pem") != before[one]]
        left = (work / name / "obtaining").exists()
        if out.returncode or faults or lost or left:
            failed.append((name, out.stderr[-300:], faults, lost, left))
    check("the same command ends with all, and keeps what was obtained", not failed, failed)
    strange = [(n, one) for n in names[1:] for one in NAMES
               if serial_of(work / n / "credentials" / one / "cert.pem") not in site.certificates(n)]
    check("what is installed is on record", not strange, strange)


def main():
    rng = random.Random(SEED)
    print(f"# seed {SEED}")
    with scratch("profile-kill", on_disk=True) as folder:
        work = Path(folder)
        site = Site(work / "data")
        (work / "C.toml").write_text(LAMP)
        must("profile", "add", work / "C.toml", "--data", site.data)
        must("factory", "make", "--data", site.data, "--model", "C", "--count", 7, "--label", "C", "--out", work / "factory")
        must("device", "import", "--data", site.data, work / "factory" / "manifest.jsonl")
        names = [f"C-{n + 1:04}" for n in range(7)]
        try:
            assert site.start(), "Bail out! the server does not start"
            kills(site, rng, work, names)
            goes_on(site, work, names)
            check("the audit log holds, one entry a certificate", site.audit_holds())
        finally:
            site.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
