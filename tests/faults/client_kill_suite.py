#!/usr/bin/env python3
"""kill -9 of the real client at random moments of enrolment and renewal: its folder is always whole, and it ends operational.

Whole: nothing is installed, or key, certificate, chain and anchors belong together and verify with openssl. The server gives one
certificate for a device's first enrolment, however often the device died while it asked.
"""
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from common import IMPRINT, Site, check, contents, fault_of, finish, installed, leftovers, scratch, serial_of

SEED = int(os.environ.get("SEED", "20261121"))
KILLS = int(os.environ.get("KILLS", "40"))
DEVICES = 1 + max(4, KILLS // 2)


class Killer:
    """Kills the client at random moments of a run; how long a run takes is learnt on the way, since machines differ."""

    def __init__(self, site, rng, typical):
        self.site, self.rng, self.typical, self.hits = site, rng, typical, 0

    def run(self, out, *arguments):
        client = subprocess.Popen([IMPRINT, *self.site.onboarding(out, *arguments)], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(self.rng.uniform(0.1, 1.0) * self.typical)
        client.kill()
        hit = client.wait(timeout=10) == -9
        self.hits += hit
        self.typical *= 1.1 if hit else 0.6


def timed(site, out, *arguments):
    begin = time.monotonic()
    result = site.onboard(out, *arguments)
    if result.returncode != 0:
        raise SystemExit(f"Bail out! the client fails without a kill: {result.stderr[-500:]}")
    return time.monotonic() - begin


def enrolments(site, rng, work, names):
    typical = min(timed(site, work / f"out-{n}", "--device", work / "factory" / names[0]) for n in range(3))
    killer, broken = Killer(site, rng, typical), []
    for n in range(KILLS // 2):
        name = rng.choice([name for name in names[1:] if not installed(work / name)])
        out = work / name
        killer.run(out, "--device", work / "factory" / name)
        if installed(out) and fault_of(out):
            broken.append((n, fault_of(out)))
    check(f"{KILLS // 2} kills during enrolment: the folder is whole or nothing is installed", not broken, broken)
    check("a good part of them hit a running client", killer.hits >= KILLS // 10,
          f"{killer.hits} of {KILLS // 2}, a run takes {typical:.3f} s")
    failed = []
    for name in [name for name in names[1:] if not installed(work / name)]:
        result = site.onboard(work / name, "--device", work / "factory" / name)
        why = result.stderr[-300:] if result.returncode else fault_of(work / name)
        if why:
            failed.append((name, why))
    check("a later run ends operational, every time", not failed, failed)
    counts = {name: len(site.certificates(name)) for name in names[1:]}
    check("and each device has one certificate on record", set(counts.values()) == {1}, counts)
    strange = [n for n in names[1:] if serial_of(work / n / "cert.pem") not in site.certificates(n)]
    check("which is the one that is installed", not strange, strange)


def renewals(site, rng, work, names):
    typical = min(timed(site, work / "out-0", "--renew") for _ in range(3))
    killer, broken, changed = Killer(site, rng, typical), [], 0
    for n in range(KILLS - KILLS // 2):
        name = names[1 + n % (len(names) - 1)]
        before = contents(work / name)
        mode = rng.choice(["--same-key", "--new-key"])
        killer.run(work / name, "--renew", mode)
        why = fault_of(work / name)
        if why:
            broken.append((n, mode, why))
        changed += contents(work / name) != before
    check(f"{KILLS - KILLS // 2} kills during renewal: the folder is whole", not broken, broken)
    check("a good part of them hit a running client", killer.hits >= KILLS // 10, f"{killer.hits} kills, {changed} renewed before")
    failed = []
    for name in names[1:]:
        before = serial_of(work / name / "cert.pem")
        result = site.onboard(work / name, "--renew")
        why = result.stderr[-300:] if result.returncode else fault_of(work / name)
        if why or serial_of(work / name / "cert.pem") == before:
            failed.append((name, why or "not renewed"))
    check("a later renewal ends operational, every time", not failed, failed)
    strange = [n for n in names[1:] if serial_of(work / n / "cert.pem") not in site.certificates(n)]
    check("and what is installed is on record", not strange, strange)
    left = {n: leftovers(work / n) for n in names[1:] if leftovers(work / n)}
    check("no private key and no half-written file of a killed run is left behind", not left, left)


def main():
    rng = random.Random(SEED)
    print(f"# seed {SEED}")
    with scratch("client-kill", on_disk=True) as folder:
        work = Path(folder)
        site = Site(work / "data")
        names = site.devices("C", DEVICES, work / "factory")
        try:
            assert site.start(), "Bail out! the server does not start"
            enrolments(site, rng, work, names)
            renewals(site, rng, work, names)
            check("the audit log holds, one entry a certificate", site.audit_holds())
        finally:
            site.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
