#!/usr/bin/env python3
"""`imprint onboard est --watch`: renewal after renewal with certificates of seconds, a server that goes and comes back, kill -9,
signals, the service manager's protocol, the command after a renewal, and a clock that jumps."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "faults"))
from common import (IMPRINT, Site, check, fake_clock, fault_of, finish, imprint, leftovers, must, scratch,  # noqa: E402
                    serial_of, skip)

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 60
LIFETIME_S = 16
CONFIG = f"""
[profiles.default]
lifetime_s = {LIFETIME_S}
[profiles.long]
lifetime_hours = 720
"""


def until(condition, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


class Watch:
    """One process of the command, with what it says and what it tells its service manager."""

    def __init__(self, site, work, name, *arguments, env=None):
        self.out = work / name
        self.log = work / f"{name}.log"
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = work / f"{name}.{time.monotonic_ns()}.sock"
        self.manager.bind(str(path))
        self.told = []
        threading.Thread(target=self.listen, daemon=True).start()
        self.before = self.serial()
        self.command = [IMPRINT, "onboard", "est", "--server", site.est, "--out", str(self.out), "--watch", "--timeout", "10",
                        *map(str, arguments)]
        env = dict(os.environ, NOTIFY_SOCKET=str(path), WATCHDOG_USEC="400000", **(env or {}))
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def listen(self):
        while True:
            self.told.append(self.manager.recv(4096).decode())

    def heard(self):
        return list(self.told)

    def text(self):
        return self.log.read_text()

    def says(self, what, seconds=WAIT_S, count=1):
        return until(lambda: self.text().count(what) >= count, seconds)

    def serial(self):
        return serial_of(self.out / "cert.pem") if (self.out / "cert.pem").exists() else None

    def renews(self, since_start=False, seconds=WAIT_S):
        before = self.before if since_start else self.serial()
        return until(lambda: self.serial() not in (None, before), seconds)

    def send(self, number):
        self.process.send_signal(number)

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None


def hook(work, name, text):
    path = work / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def usage(work):
    base = ["onboard", "est", "--server", "https://localhost:1", "--out", work / "none"]
    for words in (["--renew-before", "30d"], ["--on-renew", "true"], ["--watch", "--renew-before", "soon"],
                  ["--watch", "--renew-at", "2"], ["--watch", "--renew-at", "nan"], ["--watch", "--renew-at", "0.5", "--renew-before", "1d"], ["--same-key"]):
        out = imprint(*base, "--fingerprint", "00" * 32, *words)
        check(f"{' '.join(words)} is a usage error", out.returncode == 2, out.stderr)
    check("and nothing was made", not (work / "none").exists())


def renewing(site, work, lamps):
    log = work / "hook.txt"
    tell = hook(work, "tell", f'echo "$1 $IMPRINT_SERIAL $IMPRINT_FOLDER $(test -n "$NOTIFY_SOCKET" && echo leaks)" >>{log}\n')
    watch = Watch(site, work, "first", "--device", lamps / "lamp-0001", "--anchors", site.anchors, "--on-renew", f"{tell} a;b")
    try:
        check("it onboards, and is ready then", until(lambda: "READY=1" in watch.heard()), watch.text())
        first = watch.serial()
        check("the folder is whole", fault_of(watch.out) is None, fault_of(watch.out))
        check("the next renewal is told", watch.says("next renewal 2") and any(t.startswith("STATUS=next renewal 2") for t in watch.heard()),
              watch.text())
        check("the manager hears that it lives", until(lambda: watch.heard().count("WATCHDOG=1") > 2))
        check("it renews", watch.renews(), watch.text())
        check("and again", watch.renews(), watch.text())
        check("the command ran once for each certificate, as words and with its variables",
              until(lambda: [line.split()[1] for line in log.read_text().splitlines()][-1:] == [watch.serial()])
              and all(line.split() == ["a;b", line.split()[1], str(watch.out)] for line in log.read_text().splitlines())
              and len({line for line in log.read_text().splitlines()}) == len(log.read_text().splitlines())
              and log.read_text().split()[1] == first, log.read_text())
        out = imprint("onboard", "est", "--server", site.est, "--out", watch.out, "--watch", "--json")
        check("a second one on the same folder is a conflict", out.returncode == 7 and "WATCH-IN-USE" in out.stderr, out.stderr)
    finally:
        code = watch.end()
    check("SIGTERM ends it with 0", code == 0, code)
    check("the manager is told", until(lambda: "STOPPING=1" in watch.heard()), watch.heard())
    check("nothing is left over", fault_of(watch.out) is None and not leftovers(watch.out), leftovers(watch.out))
    return watch.out


def server_gone(site, work, lamps):
    watch = Watch(site, work, "gone", "--device", lamps / "lamp-0002", "--anchors", site.anchors)
    try:
        check("another one onboards", until(lambda: "READY=1" in watch.heard()), watch.text())
        site.stop()
        check("without the server its failures are told, with the next attempt",
              watch.says("renewal failed (2 in a row), tries again in"), watch.text())
        check("the end of the certificate is told", watch.says("WATCH-EXPIRED"), watch.text())
        check("once", watch.text().count("WATCH-EXPIRED") == 1)
        check("and it goes on", watch.says("has been expired since") and watch.process.poll() is None, watch.text())
        before = watch.serial()
        check("the server comes back", site.start(env={"IMPRINT_EST_LISTEN": f"127.0.0.1:{site.port}"}))
        check("the device enrols anew with its IDevID", until(lambda: watch.serial() != before), watch.text())
        check("and renews as before", watch.renews(), watch.text())
        check("the folder is whole after it", fault_of(watch.out) is None, fault_of(watch.out))
    finally:
        code = watch.end(signal.SIGINT)
    check("SIGINT ends it with 0", code == 0, code)


def killed(site, work, folder):
    log = work / "killed.txt"
    tell = hook(work, "tell-killed", f'echo "$IMPRINT_SERIAL" >>{log}\n')
    wrong = []
    for delay in (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2):
        watch = Watch(site, work, "first", "--on-renew", tell)  # expired or due: it renews or tries to at once
        time.sleep(delay)
        watch.process.kill()
        watch.process.wait()
        fault = fault_of(folder)
        wrong += [fault] if fault else []
    check("kill -9 at any time leaves a whole folder", not wrong, wrong)
    watch = Watch(site, work, "first", "--device", work / "lamps" / "lamp-0001", "--on-renew", tell)
    try:
        check("afterwards it renews", watch.renews(since_start=True), watch.text())
        check("and the command is run for what is installed",
              until(lambda: log.exists() and log.read_text().split()[-1:] == [watch.serial()]), log.exists() and log.read_text())
    finally:
        code = watch.end()
    check("it ends well", code == 0 and fault_of(folder) is None, (code, fault_of(folder)))


def signals_and_hooks(site, work):
    bad = hook(work, "bad", "exit 3\n")
    watch = Watch(site, work, "calm", "--device", work / "clocks" / "clock-0001", "--anchors", site.anchors, "--on-renew", bad)
    try:
        check("a command that fails is told, and not fatal", watch.says("WATCH-HOOK") and watch.says("exit code 3")
              and watch.says("next renewal"), watch.text())
        serial = watch.serial()
        watch.send(signal.SIGHUP)
        check("SIGHUP has it look at once", watch.says("looks now") and watch.says("next renewal", count=2), watch.text())
        check("nothing was due", watch.serial() == serial)
    finally:
        code = watch.end()
    check("it ends with 0 again", code == 0, code)

    slow = hook(work, "slow", "sleep 100\n")
    watch = Watch(site, work, "calm", "--label", "long", "--renew-before", "720h", "--on-renew", slow, "--on-renew-timeout", "1")
    try:
        check("with a longer --renew-before it renews at once", watch.renews(since_start=True), watch.text())
        check("a command that takes too long is ended", watch.says("took too long"), watch.text())
        serial = watch.serial()
        check("a certificate that is shorter than --renew-before is not renewed in a row",
              watch.says("next renewal", count=3) and watch.serial() == serial, watch.text())
    finally:
        watch.end()


def clock(site, work):
    if fake_clock("2026-01-01 00:00:00") is None:
        skip("a clock that jumps", "no libfaketime (Debian: faketime)")
        return
    file = work / "clock.txt"
    file.write_text("+0\n")
    env = dict(fake_clock("2026-01-01 00:00:00"), FAKETIME_TIMESTAMP_FILE=str(file), FAKETIME_NO_CACHE="1")
    del env["FAKETIME"]
    watch = Watch(site, work, "clock", "--device", work / "clocks" / "clock-0002", "--anchors", site.anchors, env=env)
    try:
        check("with a clock of its own it waits", watch.says("next renewal"), watch.text())
        serial = watch.serial()
        file.write_text("+25d\n")
        check("a jump ahead is noticed, without a signal", until(lambda: watch.serial() != serial), watch.text())
        file.write_text("-300d\n")
        watch.send(signal.SIGHUP)
        check("a jump back ends nothing", watch.says("looks now") and watch.process.poll() is None, watch.text())
    finally:
        code = watch.end()
    check("and it ends as ever", code == 0, code)


def units(work):
    tool = shutil.which("systemd-analyze")
    for unit in ("imprint.service", "imprint-renew@.service"):
        text = (ROOT / "contrib" / "systemd" / unit).read_text()
        check(f"{unit} starts what there is", re.search(r"^ExecStart=/usr/bin/imprint (serve|onboard est) ", text, re.M)
              and "Type=notify" in text and "NoNewPrivileges=yes" in text)
        if tool is None:
            skip(f"systemd-analyze verifies {unit}", "no systemd-analyze (Debian: systemd)")
            continue
        copy = work / unit.replace("@", "@lamp")
        copy.write_text(text.replace("/usr/bin/imprint", IMPRINT))
        out = subprocess.run([tool, "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60)
        said = [line for line in (out.stdout + out.stderr).splitlines() if unit.split(".")[0].rstrip("@") in line]
        check(f"systemd-analyze verifies {unit}", out.returncode == 0 and not said, out.stdout + out.stderr)


def serve_tells(site, work):
    path = work / "serve.sock"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(path))
    manager.settimeout(20)
    told = []

    def hears(what):
        while what not in told:
            told.append(manager.recv(4096).decode())
        return True
    try:
        check("the server starts under a service manager", site.start(env={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "400000"}))
        check("it says that it is ready, and alive", hears("READY=1") and hears("WATCHDOG=1"), told)
        site.stop()
        check("and that it stops", hears("STOPPING=1"), told)
    except TimeoutError:
        check("the server tells its service manager", False, told)


def main():
    with scratch("watch") as folder:
        work = Path(folder)
        (work / "imprint.toml").write_text(CONFIG)
        usage(work)
        units(work)
        site = Site(work / "site", work / "imprint.toml")
        lamps = work / "lamps"
        site.devices("lamp", 2, lamps)
        must("factory", "make", "--data", site.data, "--model", "clock", "--label", "long", "--count", 2, "--out", work / "clocks")
        must("device", "import", "--data", site.data, work / "clocks" / "manifest.jsonl")
        serve_tells(site, work)
        if not check("the server starts", site.start()):
            return finish()
        try:
            first = renewing(site, work, lamps)
            killed(site, work, first)
            signals_and_hooks(site, work)
            clock(site, work)
            server_gone(site, work, lamps)
        finally:
            site.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
