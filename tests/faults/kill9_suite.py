#!/usr/bin/env python3
"""kill -9 of the real server under load, again and again: what it answered is on record, what is on record is whole.

After each kill the server starts cleanly, the audit chain holds, and every certificate that a device received is in the
database. Devices go on where they were: those whose answer was lost ask again and get the same certificate.
"""
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMPRINT = os.environ.get("IMPRINT", "build/imprint")
ROUNDS = int(os.environ.get("KILLS", "30"))
DEVICES = 10
tests = []


def check(name, good, detail=""):
    tests.append(good)
    print(f"{'ok' if good else 'not ok'} {len(tests)} - {name}", flush=True)
    if not good and detail:
        print("# " + str(detail).replace("\n", "\n# "))


def run(*arguments, **options):
    return subprocess.run([IMPRINT, *arguments], capture_output=True, text=True, timeout=60, **options)


def start(data):
    endpoints = data / "endpoints.json"
    endpoints.unlink(missing_ok=True)
    env = dict(os.environ, IMPRINT_EST_LISTEN="127.0.0.1:0", IMPRINT_API_LISTEN="127.0.0.1:0", IMPRINT_LOG_LEVEL="error")
    log = open(data / "serve.log", "ab")
    server = subprocess.Popen([IMPRINT, "serve", "--data", str(data)], env=env, stdout=log, stderr=log)
    for _ in range(200):
        if endpoints.exists():
            return server, json.loads(endpoints.read_text())["est"]
        if server.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit("Bail out! the server does not start: " + (data / "serve.log").read_text()[-500:])


def onboard(work, device, est, data):
    """Starts one device; the result comes with wait()."""
    return subprocess.Popen([IMPRINT, "onboard", "est", "--device", str(work / "factory" / device), "--server", est,
                             "--anchors", str(data / "ca" / "chain.pem"), "--out", str(work / "out" / device),
                             "--attempts", "1", "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def serial_of(path):
    out = subprocess.run(["openssl", "x509", "-in", str(path), "-noout", "-serial"], capture_output=True, text=True)
    return out.stdout.strip().removeprefix("serial=").lower()


def wait_for_some(work, batch, wanted):
    """Until so many of the batch are done, at most 20 s: however fast the machine is, the kill hits the middle."""
    for _ in range(4000):
        if sum((work / "out" / name / "cert.pem").exists() for name in batch) >= wanted:
            return
        time.sleep(0.005)


def main():
    rng = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="imprint-kill9-") as folder:
        work = Path(folder)
        data = work / "data"
        assert run("init", "--data", str(data)).returncode == 0
        made = run("factory", "make", "--data", str(data), "--model", "K", "--count", str(DEVICES * ROUNDS), "--out", str(work / "factory"))
        assert made.returncode == 0, made.stderr
        imported = run("device", "import", "--data", str(data), str(work / "factory" / "manifest.jsonl"))
        assert imported.returncode == 0, imported.stderr
        names = sorted(p.name for p in (work / "factory").iterdir() if p.is_dir())
        killed_busy = 0
        lost = []
        broken = []
        for i in range(ROUNDS):
            server, est = start(data)
            batch = names[i * DEVICES:(i + 1) * DEVICES]
            clients = [onboard(work, name, est, data) for name in batch]
            wait_for_some(work, batch, rng.randrange(DEVICES))
            time.sleep(rng.uniform(0, 0.02))
            server.send_signal(signal.SIGKILL)
            server.wait()
            codes = [c.wait(timeout=60) for c in clients]
            killed_busy += any(codes) and not all(codes)
            audit = run("audit", "verify", "--data", str(data))
            if audit.returncode != 0:
                broken.append((i, audit.stderr))
            database = sqlite3.connect(f"file:{data}/imprint.db?mode=ro", uri=True)
            recorded = {bytes(row[0]).hex() for row in database.execute("SELECT serial FROM certificates")}
            entries = database.execute("SELECT count(*) FROM audit WHERE action = 'certificate.issued'").fetchone()[0]
            database.close()
            if entries != len(recorded):
                broken.append((i, f"{len(recorded)} certificates, {entries} audit entries"))
            for name in batch:
                certificate = work / "out" / name / "cert.pem"
                if certificate.exists() and serial_of(certificate) not in recorded:
                    lost.append(name)
        check(f"after {ROUNDS} kills the audit chain holds and has one entry a certificate", not broken, broken)
        check("every certificate that a device holds is on record", not lost, lost)
        check("some kills hit a busy server", killed_busy > 0, "no round had both finished and unfinished devices")

        server, est = start(data)
        left = [n for n in names if not (work / "out" / n / "cert.pem").exists()]
        for n in range(0, len(left), DEVICES):
            for client in [onboard(work, name, est, data) for name in left[n:n + DEVICES]]:
                client.wait(timeout=60)
        database = sqlite3.connect(f"file:{data}/imprint.db?mode=ro", uri=True)
        per_device = dict(database.execute("SELECT device, count(*) FROM certificates GROUP BY device"))
        database.close()
        missing = [n for n in names if not (work / "out" / n / "cert.pem").exists()]
        check(f"all {len(names)} devices are operational in the end", not missing, missing)
        twice = {d: n for d, n in per_device.items() if n != 1}
        check("and each got one certificate, however often it asked", not twice, twice)
        server.send_signal(signal.SIGTERM)
        check("SIGTERM ends the server with code 0", server.wait(timeout=20) == 0)
    print(f"1..{len(tests)}")
    return 0 if all(tests) else 1


if __name__ == "__main__":
    sys.exit(main())
