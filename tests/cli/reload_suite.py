#!/usr/bin/env python3
"""SIGHUP: a running server takes its configuration again, whole or not at all, while it goes on serving."""
import http.client
import signal
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "faults"))
from common import Answer, Site, check, client_context, enrolment, finish, make_csr, make_key, openssl, scratch  # noqa: E402

GOOD = "[policy]\nunknown = 'refuse'\n[profiles.default]\nlifetime_hours = 24\n"
WITH_LAMPS = GOOD.replace("24", "72") + "[profiles.lamps]\n"
BAD = "[policy]\nunknwon = 'queue'\n[profiles.tables]\n"


def status(site, path):
    api = http.client.HTTPSConnection("localhost", site.port, context=client_context(site.anchors), timeout=10)
    api.request("GET", path)
    return api.getresponse().status


def becomes(wanted, ask):
    for _ in range(100):
        if ask() == wanted:
            return True
        time.sleep(0.05)
    return False


def main():
    with scratch("reload") as folder:
        work = Path(folder)
        config = work / "imprint.toml"
        config.write_text(GOOD)
        site = Site(work / "site", config)
        token = site.token("dev-1")
        if not check("the server starts", site.start()):
            return finish()
        try:
            run(site, config, work, token)
        finally:
            code = site.stop()
        check("it ends with 0", code == 0, code)
    return finish()


def run(site, config, work, token):
    def lamps():
        return status(site, "/.well-known/est/lamps/cacerts")

    check("a label that the configuration does not have is not found", lamps() == 404, lamps())

    # A connection from before: what it asks later is answered by the configuration of that time.
    raw = socket.create_connection(("localhost", site.port), timeout=10)
    early = client_context(site.anchors).wrap_socket(raw, server_hostname="localhost")

    config.write_text(WITH_LAMPS)
    site.server.send_signal(signal.SIGHUP)
    check("after SIGHUP the new profile is served", becomes(200, lamps), lamps())

    config.write_text(BAD)
    site.server.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    check("a configuration with a mistake changes nothing", lamps() == 200, lamps())
    check("and nothing of it is taken", status(site, "/.well-known/est/tables/cacerts") == 404)
    check("the server goes on", site.up() and site.health() == 200, site.health())

    key = make_key(work / "key.pem")
    early.sendall(enrolment(make_csr(key, "dev-1"), ("dev-1", token)))
    answer = Answer(early)
    if check("a connection from before is served on", answer.status == 200, answer):
        answer.certificate(work)
        lasts = openssl("x509", "-in", work / "answer.pem", "-noout", "-checkend", 48 * 3600, good=False)
        check("and its certificate lasts as long as the new configuration says", lasts.returncode == 0, lasts.stdout)
    early.close()

    config.write_text(GOOD)
    site.server.send_signal(signal.SIGHUP)
    check("a profile that has gone is not served any more", becomes(404, lamps), lamps())

    # What the pepper seals is in memory, too: half of it would be of another one.
    pepper = site.data / "pepper"
    before = pepper.read_text()
    pepper.write_text("x" * 43 + "\n")
    config.write_text(WITH_LAMPS)
    site.server.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    check("with another pepper nothing is taken", lamps() == 404, lamps())
    pepper.write_text(before)
    site.server.send_signal(signal.SIGHUP)
    check("with the one of before it is", becomes(200, lamps), lamps())
    config.write_text(GOOD)
    site.server.send_signal(signal.SIGHUP)
    becomes(404, lamps)

    # Less than the time after which the server ends any idle connection.
    raw = socket.create_connection(("localhost", site.port), timeout=20)
    idle = client_context(site.anchors).wrap_socket(raw, server_hostname="localhost")
    openssl("req", "-x509", "-key", make_key(work / "maker.key"), "-subj", "/CN=Maker", "-out", work / "maker.pem")
    config.write_text(GOOD.replace("[profiles", f"makers = ['{work / 'maker.pem'}']\n[profiles"))
    site.server.send_signal(signal.SIGHUP)
    try:
        ended = idle.recv(1) == b""
    except TimeoutError:
        ended = False
    check("a connection from before another maker was trusted ends", ended)
    idle.close()


if __name__ == "__main__":
    sys.exit(main())
