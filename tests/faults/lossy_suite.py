#!/usr/bin/env python3
"""EST over CoAPS through a relay that loses, doubles and holds back datagrams: every device ends enrolled, once, or says why.

The relay is real UDP on loopback, between the real client and the real server, in both directions alike.
"""
import os
import random
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from common import IMPRINT, Site, check, fault_of, finish, installed, scratch

SEED = int(os.environ.get("SEED", "20261122"))
DEVICES = int(os.environ.get("DEVICES", "16"))
AT_ONCE = 8


class Relay(threading.Thread):
    """Forwards between each client and the server; one socket towards the server for each client, as a NAT would have."""

    def __init__(self, server_port, seed, loss, copies, late):
        super().__init__(daemon=True)
        self.rng, self.loss, self.copies, self.late = random.Random(seed), loss, copies, late
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.port = self.front.getsockname()[1]
        self.server = ("127.0.0.1", server_port)
        self.backs, self.held, self.ends = {}, [], False
        self.seen = self.lost = self.doubled = self.delayed = 0

    def pass_on(self, send, datagram):
        self.seen += 1
        if self.rng.random() < self.loss:
            self.lost += 1
            return
        copies = 2 if self.rng.random() < self.copies else 1
        self.doubled += copies - 1
        for _ in range(copies):
            if self.rng.random() < self.late:
                self.delayed += 1
                self.held.append((time.monotonic() + self.rng.uniform(0.05, 1.5), send, datagram))
            else:
                send(datagram)

    def run(self):
        while not self.ends:
            ready, _, _ = select.select([self.front, *self.backs.values()], [], [], 0.02)
            for one in ready:
                try:
                    datagram, sender = one.recvfrom(65536)
                except ConnectionError:
                    continue
                if one is self.front:
                    if sender not in self.backs:
                        back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                        back.connect(self.server)
                        self.backs[sender] = back
                    self.pass_on(self.sender(self.backs[sender].send), datagram)
                else:
                    client = next(c for c, back in self.backs.items() if back is one)
                    self.pass_on(self.sender(lambda d, c=client: self.front.sendto(d, c)), datagram)
            now = time.monotonic()
            due = [h for h in self.held if h[0] <= now]
            self.held = [h for h in self.held if h[0] > now]
            for _, send, datagram in due:
                send(datagram)

    @staticmethod
    def sender(send):
        def quietly(datagram):
            try:
                send(datagram)
            except OSError:
                pass
        return quietly


def onboard_all(site, relay, work, names):
    """Each by a process of its own; the exit codes and the last words of all."""
    waiting, running, ended = list(names), {}, {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            name = waiting.pop(0)
            device = work / "factory" / name
            running[name] = subprocess.Popen(
                [IMPRINT, "onboard", "est", "--server", f"coaps://127.0.0.1:{relay.port}", "--anchors", site.anchors,
                 "--cert", device / "idevid-chain.pem", "--key", device / "idevid-key.pem", "--subject", f"CN={name}",
                 "--out", work / name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for name, process in list(running.items()):
            if process.poll() is not None:
                ended[name] = (process.returncode, process.stderr.read()[-400:])
                del running[name]
        time.sleep(0.05)
    return ended


def through(site, work, names, label, seed, **faults):
    relay = Relay(site.coaps_port, seed, **faults)
    relay.start()
    ended = onboard_all(site, relay, work, names)
    relay.ends = True
    relay.join()
    print(f"# {label}: seed {seed}, {relay.seen} datagrams, {relay.lost} lost, {relay.doubled} doubled, {relay.delayed} held back")
    failed = {n: words for n, (code, words) in ended.items() if code != 0 or not installed(work / n) or fault_of(work / n)}
    check(f"{label}: every device ends operational", not failed, failed)
    twice = {n: len(site.certificates(n)) for n in names if len(site.certificates(n)) != 1}
    check(f"{label}: each has one certificate on record", not twice, twice)
    return relay


def main():
    with scratch("lossy") as folder:
        work = Path(folder)
        site = Site(work / "data")
        names = site.devices("L", DEVICES, work / "factory")
        half = DEVICES // 2
        try:
            assert site.start(env={"IMPRINT_EST_COAPS": "127.0.0.1:0"}), "Bail out! the server does not start"
            relay = through(site, work, names[:half], "a good link", SEED, loss=0, copies=0, late=0)
            check("all of it went through the relay", relay.seen > 10 * half, relay.seen)
            relay = through(site, work, names[half:], "a tenth lost, doubled and held back", SEED + 1, loss=0.1, copies=0.1, late=0.1)
            check("the link was as bad as promised", relay.lost > 0 and relay.doubled > 0 and relay.delayed > 0)
            check("the audit log holds, one entry a certificate", site.audit_holds())
        finally:
            site.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
