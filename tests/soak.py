#!/usr/bin/env python3
"""`./dev soak [MINUTES]`: what is too long for `./test`. Three parts share the time: exploration with large bounds, fleets
of many seeds, and every fuzz target. Says what it did; exit code 1 if anything was found. Figures belong, with their
date, into docs/measured.md.
"""
import argparse
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# From small to large: the time decides how far it comes.
BOUNDS = [
    ["--loss", "1", "--dup", "0", "--crash", "1", "--failure", "1"],
    ["--loss", "1", "--dup", "1", "--crash", "1", "--failure", "0"],
    ["--loss", "1", "--dup", "0", "--crash", "2", "--replay", "1", "--failure", "0"],
    ["--loss", "2", "--dup", "1", "--crash", "1", "--replay", "1", "--failure", "1"],
]
SEEDS_AT_ONCE = 50


def run(command, seconds):
    """The exit code, or None if the time was over first."""
    print("+", " ".join(Path(c).name if c.startswith("/") else c for c in command), flush=True)
    try:
        return subprocess.run(command, cwd=ROOT, timeout=max(1, seconds)).returncode
    except subprocess.TimeoutExpired:
        return None


def explore(until):
    for bounds, protocol in itertools.product(BOUNDS, ("est", "brski")):
        if time.monotonic() >= until:
            print(f"  not reached: {protocol} {' '.join(bounds)}")
            continue
        code = run([str(ROOT / f"build/tests/explore_{protocol}"), *bounds], until - time.monotonic())
        if code in (None, 3):  # 3: more states than it may keep
            print(f"  not finished: {protocol} {' '.join(bounds)}")
        elif code != 0:
            return False
    return True


def simulate(until):
    seed = 1000
    while time.monotonic() < until:
        if run([str(ROOT / "build/tests/sim_est"), "--seed", str(seed), "--seeds", str(SEEDS_AT_ONCE)], 3600) != 0:
            return False
        seed += SEEDS_AT_ONCE
    print(f"  {seed - 1000} seeds")
    return True


def fuzz(until):
    targets = sorted((ROOT / "build-asan/fuzz").glob("fuzz_*"))
    each = max(5, int((until - time.monotonic()) / max(1, len(targets))))
    env = dict(os.environ, FUZZ_SECONDS=str(each))
    return subprocess.run([sys.executable, "tests/run.py", "fuzz/"], cwd=ROOT, env=env).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    share = parser.parse_args().minutes * 60 / 3
    good = True
    for part in (explore, simulate, fuzz):
        good = part(time.monotonic() + share) and good
    print("soak: nothing found" if good else "soak: FOUND SOMETHING, see above")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
