#!/usr/bin/env python3
"""Full disks, the server's and the device's: no certificate without its record, nothing half-installed, and no harm afterwards."""
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from common import (IMPRINT, Answer, Site, check, client_context, contents, enrolment, error_of, fault_of, finish, installed, leftovers,
                    make_csr, make_key, scratch, serial_of, skip)

PAGE = 4096


@contextmanager
def small_disk(path, kib):
    """A tmpfs of this size, or None where we may not mount, neither as root nor with sudo."""
    path.mkdir()
    size = f"size={kib}k,mode=700,uid={os.geteuid()}"
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    may = not as_root or shutil.which("sudo") is not None
    mounted = may and subprocess.run([*as_root, "mount", "-t", "tmpfs", "-o", size, "tmpfs", str(path)],
                                     capture_output=True, check=False).returncode == 0
    try:
        yield path if mounted else None
    finally:
        if mounted:
            subprocess.run([*as_root, "umount", "-l", str(path)], check=True)


def fill(path, leave_pages=0):
    """Takes all space but these pages."""
    with open(path, "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * PAGE)
        except OSError:
            pass
    size = path.stat().st_size // PAGE * PAGE
    os.truncate(path, max(0, size - leave_pages * PAGE))


def post(site, request):
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as raw:
        with client_context(site.anchors).wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(request)
            return Answer(tls)


def enrol_until_full(site, work, names):
    """Enrols one after the other until two in a row fail; what each client said."""
    said = {}
    failures = 0
    for name in names:
        said[name] = site.onboard(work / "out" / name, "--device", work / "factory" / name, "--timeout", "3")
        failures = 0 if said[name].returncode == 0 else failures + 1
        if failures == 2 or not site.up():
            break
    return said


def afterwards(site, work, names, said):
    """What holds once there is space again: records, certificates, and the devices that had to go away."""
    strange = [n for n in said if installed(work / "out" / n) and serial_of(work / "out" / n / "cert.pem") not in site.certificates(n)]
    check("no device holds a certificate that is not on record", not strange, strange)
    failed = []
    for name in [n for n in said if said[n].returncode != 0] + names[-2:]:
        result = site.onboard(work / "out" / name, "--device", work / "factory" / name)
        why = result.stderr[-300:] if result.returncode else fault_of(work / "out" / name)
        failed += [(name, why)] if why else []
    check("with space again, those who were sent away and new ones enrol", not failed, failed)
    many = {n: len(site.certificates(n)) for n in said if len(site.certificates(n)) != 1}
    check("and each device has one certificate on record", not many, many)
    check("the audit log holds, one entry a certificate", site.audit_holds())


def server_disk(work):
    with small_disk(work / "disk", 1280) as disk:
        if disk is None:
            skip("the server's disk is full", "mounting a tmpfs needs root or sudo")
            return
        site = Site(disk / "data")
        names = site.devices("D", 40, work / "factory")
        try:
            assert site.start(), "Bail out! the server does not start"
            token = site.token("by-hand")
            by_hand = enrolment(make_csr(make_key(work / "by-hand.pem"), "by-hand"), ("by-hand", token))
            first = site.onboard(work / "out" / names[0], "--device", work / "factory" / names[0])
            check("a device enrols while there is space", first.returncode == 0, first.stderr)
            fill(disk / "ballast", 24)
            said = {names[0]: first, **enrol_until_full(site, work, names[1:30])}
            refused = {n: r for n, r in said.items() if r.returncode != 0}
            check("on a full disk enrolments end", refused, "all of them succeeded")
            check("with exit 1 or, still waiting for a 503's Retry-After, 5",
                  {r.returncode for r in refused.values()} <= {1, 5}, [(n, r.returncode, r.stderr[-300:]) for n, r in refused.items()])
            check("and nothing installed", not any(installed(work / "out" / n) for n in refused))
            told = post(site, by_hand)
            check("a request by hand is told 503 with a Retry-After", told.status == 503 and "retry-after" in told.headers, told)
            check("the server stays up", site.up(), site.server and site.server.returncode)
            check("/healthz answers", site.health() in (200, 503), site.health())
            patient = subprocess.Popen([IMPRINT, *site.onboarding(work / "out" / names[30], "--device", work / "factory" / names[30],
                                                                  "--attempts", "5", "--timeout", "20")],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(1)
            check("a client with more attempts is still at it", patient.poll() is None, patient.returncode)
            (disk / "ballast").unlink()
            check("and enrols once there is space", patient.wait(timeout=25) == 0, patient.returncode)
            check("the request by hand, sent again, gets its certificate", post(site, by_hand).status == 200)
            check("/healthz says ok again", site.health() == 200, site.health())
            afterwards(site, work, names, said)
            check("SIGTERM ends the server with code 0", site.stop() == 0)
        finally:
            site.stop()


def file_limit(work):
    """RLIMIT_FSIZE sends SIGXFSZ, whose default is the end: a limit is to be an error of a write, like a full disk."""
    site = Site(work / "limited")
    names = site.devices("L", 30, work / "factory-limited")
    try:
        if not check("a server whose files may have 256 KiB starts", site.start(limit_kib=256)):
            return
        results = []
        for name in names:
            results.append(site.onboard(work / "limited-out" / name, "--device", work / "factory-limited" / name, "--timeout", "3"))
            if results[-1].returncode != 0:
                break
        check("it reaches its limit", results[-1].returncode != 0, "all enrolments succeeded")
        check("and stays up", site.up(), f"ended with {site.server.returncode}; -25 is SIGXFSZ")
        site.stop()
        strange = [n for n in names if installed(work / "limited-out" / n) and
                   serial_of(work / "limited-out" / n / "cert.pem") not in site.certificates(n)]
        check("no device holds a certificate that is not on record", not strange, strange)
        check("the audit log holds, one entry a certificate", site.audit_holds())
    finally:
        site.stop()


def device_disk(work):
    site = Site(work / "roomy")
    name = site.devices("S", 1, work / "factory-small")[0]
    with small_disk(work / "flash", 128) as flash:
        if flash is None:
            skip("the device's disk is full", "mounting a tmpfs needs root or sudo")
            return
        try:
            assert site.start(), "Bail out! the server does not start"
            out = flash / "device"
            fill(flash / "ballast")
            early = site.onboard(out, "--device", work / "factory-small" / name)
            check("a device whose disk is full does not enrol: exit 1, nothing installed",
                  early.returncode == 1 and not installed(out), (early.returncode, early.stderr))
            (flash / "ballast").unlink()
            first = site.onboard(out, "--device", work / "factory-small" / name)
            check("with space it does", first.returncode == 0 and not fault_of(out), first.stderr)
            before = contents(out)
            codes, broken, rules = [], [], []
            for pages in range(0, 8):  # a renewal writes seven files: each time another one is the first without space
                fill(flash / "ballast", pages)
                result = site.onboard(out, "--renew")
                codes.append(result.returncode)
                rules.append(error_of(result).get("error"))
                if fault_of(out) or (result.returncode != 0 and contents(out) != before):
                    broken.append((pages, fault_of(out) or "changed"))
                (flash / "ballast").unlink()
                if result.returncode == 0:
                    break
            check("renewals on a full disk, full at every save in turn: the old files stay whole", not broken, broken)
            check("each of them ends with exit 1", codes and set(codes) <= {0, 1} and codes.count(1) >= 3, list(zip(codes, rules)))
            check("and says that a file could not be written",
                  all(r and ("write" in r or "folder" in r or "key" in r or "file" in r) for r, c in zip(rules, codes) if c), rules)
            last = site.onboard(out, "--renew")
            check("with space a renewal works", last.returncode == 0 and not fault_of(out) and contents(out) != before, last.stderr)
            check("no private key and no half-written file of a failed renewal is left behind", not leftovers(out), leftovers(out))
            check("what is installed is on record", serial_of(out / "cert.pem") in site.certificates(name), site.certificates(name))
        finally:
            site.stop()


def in_own_namespace():
    """Mounts then vanish with the last process of the suite, even if it is killed."""
    if os.geteuid() == 0 and "IMPRINT_OWN_MOUNTS" not in os.environ:
        if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0:
            os.environ["IMPRINT_OWN_MOUNTS"] = "1"
            os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])


def main():
    in_own_namespace()
    print("# seed: none; the disks fill in order")
    with scratch("disk") as folder:
        work = Path(folder)
        server_disk(work)
        file_limit(work)
        device_disk(work)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
