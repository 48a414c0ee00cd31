#!/usr/bin/env python3
"""A change with an Idempotency-Key is made once, also when the server is killed with SIGKILL in the middle and the asker
asks again: what is on disk, the answer and the audit log say the same. TAP on stdout."""
import http.client
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMPRINT = os.environ.get("IMPRINT", str(ROOT / "build" / "imprint"))
ROUNDS = 8
CHANGES = 24  # of each round
tests = []


def check(name, good, why=""):
    tests.append(bool(good))
    print(f"{'ok' if good else 'not ok'} {len(tests)} - {name}", flush=True)
    if not good:
        print(f"#   {str(why)[:500]}", flush=True)


def start(data):
    endpoints = data / "endpoints.json"
    endpoints.unlink(missing_ok=True)
    environment = os.environ | {"IMPRINT_EST_LISTEN": "127.0.0.1:0", "IMPRINT_API_LISTEN": "127.0.0.1:0"}
    server = subprocess.Popen([IMPRINT, "serve", "--data", str(data)], env=environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    for _ in range(300):
        if endpoints.exists() and server.poll() is None:
            return server, int(json.loads(endpoints.read_text())["api"].rsplit(":", 1)[1])
        time.sleep(0.1)
    sys.exit("the server does not start")


def ask(port, token, key, device):
    """Status and answer; None if the server went in between."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", "/v1/devices", json.dumps({"id": device}),
                           {"Authorization": "Bearer " + token, "Content-Type": "application/json", "Idempotency-Key": f'"{key}"'})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None


def main():
    rng = random.Random(11)
    with tempfile.TemporaryDirectory(prefix="imprint-once-") as folder:
        data = Path(folder) / "data"
        subprocess.run([IMPRINT, "init", "--data", str(data)], check=True, capture_output=True)
        token = (data / "admin.token").read_text().strip()
        answers, unanswered, wrong = {}, 0, []
        for i in range(ROUNDS):
            server, port = start(data)
            names = [f"dev-{i}-{n}" for n in range(CHANGES)]
            got = {}

            def work(part):
                for name in part:
                    got[name] = ask(port, token, "key-" + name, name)

            threads = [threading.Thread(target=work, args=(names[n::4],)) for n in range(4)]
            for thread in threads:
                thread.start()
            wanted = rng.randrange(1, CHANGES)
            while len(got) < wanted:
                time.sleep(0.001)
            server.send_signal(signal.SIGKILL)
            server.wait()
            for thread in threads:
                thread.join()
            server, port = start(data)
            for name in names:
                again = ask(port, token, "key-" + name, name)
                if again is None or again[0] != 201 or (got[name] is not None and got[name] != again):
                    wrong.append((name, got[name], again))
                answers[name] = again
                unanswered += got[name] is None
            server.send_signal(signal.SIGKILL)
            server.wait()
        check(f"{ROUNDS * CHANGES} changes, asked for again after a kill, have one answer each", not wrong, wrong[:3])
        check("some had no answer before the kill, and some had", 0 < unanswered < ROUNDS * CHANGES, unanswered)
        server, port = start(data)
        late = [n for n in answers if ask(port, token, "key-" + n, n) != answers[n]]
        check("and the same one after another restart", not late, late)
        other = ask(port, token, "key-dev-0-0", "another")
        check("the key with another request is refused", other is not None and other[0] == 422 and b"API-KEY-REUSED" in other[1], other)
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=20)
        database = sqlite3.connect(f"file:{data}/imprint.db?mode=ro", uri=True)
        made = database.execute("SELECT count(*), count(DISTINCT subject) FROM audit WHERE action = 'device.added'").fetchone()
        database.close()
        check("the audit log has one entry a device", made == (ROUNDS * CHANGES, ROUNDS * CHANGES), made)
        audit = subprocess.run([IMPRINT, "audit", "verify", "--data", str(data)], capture_output=True, text=True)
        check("and its chain is whole", audit.returncode == 0, audit.stderr)
    print(f"1..{len(tests)}")
    return 0 if all(tests) else 1


if __name__ == "__main__":
    sys.exit(main())
