#!/usr/bin/env python3
"""The data folder under a running server: one server a folder, parts that go missing, bad files, strangers."""
import http.client
import signal
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "faults"))
from common import (Answer, Site, check, client_context, enrolment, finish, imprint, make_csr, make_key,  # noqa: E402
                    must, openssl, scratch)


def becomes(ask, seconds=20):
    for _ in range(seconds * 10):
        if ask():
            return True
        time.sleep(0.1)
    return False


def ask_est(site, request):
    raw = socket.create_connection(("localhost", site.port), timeout=10)
    stream = client_context(site.anchors).wrap_socket(raw, server_hostname="localhost")
    stream.sendall(request)
    answer = Answer(stream)
    stream.close()
    return answer


def get(port, path, token):
    api = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    api.request("GET", path, headers={"Authorization": "Bearer " + token})
    return api.getresponse().read().decode()


def main():
    with scratch("folder") as folder:
        work = Path(folder)
        config = work / "imprint.toml"
        config.write_text("[policy]\nunknown = 'refuse'\n")
        site = Site(work / "site", config)
        log = work / "log"
        if not check("the server starts", site.start(log=log)):
            return finish()
        try:
            taken(work)
            second_server(site)
            strangers(site, work)
            revocation(site, work, log)
            lost_part(site, log)
            restart_wanted(site, config, log)
        finally:
            code = site.stop()
        check("it ends with 0", code == 0, code)
        check("and takes its own endpoints.json along", not site.endpoints().exists())
    return finish()


def taken(work):
    """A port that somebody else has."""
    other = Site(work / "other")
    for key, rule in (("EST", "SERVE-EST-LISTEN"), ("API", "SERVE-API-LISTEN")):
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
            env = {"IMPRINT_EST_LISTEN": "127.0.0.1:0", "IMPRINT_API_LISTEN": "127.0.0.1:0"}
            env[f"IMPRINT_{key}_LISTEN"] = f"127.0.0.1:{port}"
            out = imprint(*other.options(), "serve", env=env)
        check(f"a port in use is named with its address ({key})",
              out.returncode == 7 and rule in out.stderr and f"127.0.0.1 port {port}" in out.stderr, out)


def second_server(site):
    before = site.endpoints().read_text()
    out = imprint(*site.options(), "serve", env={"IMPRINT_EST_LISTEN": "127.0.0.1:0", "IMPRINT_API_LISTEN": "127.0.0.1:0"},
                  timeout=20)
    check("a second server on the folder is a conflict", out.returncode == 7 and "DATA-IN-USE" in out.stderr, out)
    check("the first one's endpoints.json stays", site.endpoints().exists() and site.endpoints().read_text() == before)
    check("and the first one serves on", site.health() == 200)
    out = imprint("demo", "--once", "--devices", "1", "--data", site.data)
    check("demo keeps off", out.returncode == 3 and "DEMO-FOLDER" in out.stderr, out)


def strangers(site, work):
    key = make_key(work / "stranger.pem")
    answers = [ask_est(site, enrolment(make_csr(key, f"nobody-{n}"))).status for n in range(3)]
    answers += [ask_est(site, enrolment(make_csr(key, "nobody"), ("nobody", "wrong"))).status]
    check("strangers get 401", answers == [401] * 4, answers)
    device = site.token("known")
    answer = ask_est(site, enrolment(make_csr(make_key(work / "known.pem"), "known"), ("known", device)))
    check("who is known gets a certificate", answer.status == 200, answer)
    check("one run is kept: not the strangers'", becomes(lambda: site.query("SELECT device FROM runs") == [("known",)]),
          site.query("SELECT device, rule FROM runs"))
    metrics = get(site.api_port, "/metrics", (site.data / "admin.token").read_text().strip())
    check("the strangers are counted", any(line.startswith("imprint_onboardings_total") and "SITE-UNKNOWN" in line
                                           for line in metrics.splitlines()), metrics)


def revocation(site, work, log):
    """A bad maker's file must not hold back a revocation."""
    bad = site.data / "makers" / "cut.pem"
    bad.write_bytes(site.anchors.read_bytes()[:100])
    check("a bad file of a maker is in the log", becomes(lambda: str(bad) in log.read_text()), log.read_text())
    serial = site.certificates("known")[0]
    out = imprint("ca", "revoke", serial, *site.options())
    check("offline commands work on, and name the file", out.returncode == 0 and str(bad) in out.stderr, out)

    def listed():
        crl = ask_est(site, b"GET /.well-known/imprint/crl HTTP/1.1\r\nHost: localhost\r\n\r\n").body
        return serial.upper() in openssl("crl", "-inform", "DER", "-noout", "-text", data=crl).stdout.decode().upper()
    check("and the certificate is on the revocation list", becomes(listed))
    bad.unlink()


def lost_part(site, log):
    key = (site.data / "ca" / "key.pem").read_bytes()
    chain = site.data / "ca" / "chain.pem"
    away = site.data / "chain.away"
    chain.rename(away)
    check("a running server says that a part has gone", becomes(lambda: "ca/chain.pem is missing" in log.read_text()),
          log.read_text())
    check("and makes no other", not chain.exists() and (site.data / "ca" / "key.pem").read_bytes() == key)
    site.server.send_signal(signal.SIGHUP)
    check("nor when it reads its configuration again", becomes(lambda: "DATA-PART" in log.read_text())
          and not chain.exists(), log.read_text())
    check("it goes on with what it has", site.health() == 200)
    away.rename(chain)


def restart_wanted(site, config, log):
    config.write_text("[policy]\nunknown = 'refuse'\n[est]\nthreads = 3\nmax_connections = 7\n")
    site.server.send_signal(signal.SIGHUP)
    check("a key that needs a restart is named", becomes(lambda: "est.threads has changed" in log.read_text()
                                                          and "est.max_connections has changed" in log.read_text()),
          log.read_text())
    check("another is not", "policy.unknown has changed" not in log.read_text())
    must("device", "list", *site.options())


if __name__ == "__main__":
    sys.exit(main())
