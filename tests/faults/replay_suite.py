#!/usr/bin/env python3
"""The same key twice, the same request twice: never a second certificate for what was asked once.

A recorded enrolment is sent again over a new connection: linked to its session (RFC 7030 section 3.5) it is refused;
without a link it gets the certificate that is on record, never a new one, and nothing at all once that is no longer good.
"""
import base64
import socket
import sys
from pathlib import Path

from common import (Answer, Site, check, client_context, contents, enrolment, fake_clock, finish, make_csr, make_key, must,
                    scratch, skip)


def send(site, request, **how):
    """The answer to these bytes on a connection of their own; request may be made from the connection's channel binding."""
    anchors = how.pop("anchors", site.anchors)
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as raw:
        with client_context(anchors, **how).wrap_socket(raw, server_hostname="localhost") as tls:
            data = request(tls.get_channel_binding("tls-unique")) if callable(request) else request
            tls.sendall(data)
            return Answer(tls), data


def shared_key(site, work):
    tokens = {name: site.token(name) for name in ("twin-a", "twin-b")}
    key = make_key(work / "shared.pem")
    first, _ = send(site, enrolment(make_csr(key, "twin-a"), ("twin-a", tokens["twin-a"])))
    check("the first of two devices with one key gets its certificate", first.status == 200, first)
    second, _ = send(site, enrolment(make_csr(key, "twin-b"), ("twin-b", tokens["twin-b"])))
    check("the second is refused: 403, SITE-KEY-SHARED", second.status == 403 and "SITE-KEY-SHARED" in second.text, second)
    check("and has no certificate on record", site.certificates("twin-b") == [], site.certificates("twin-b"))
    other, _ = send(site, enrolment(make_csr(make_key(work / "own.pem"), "twin-b"), ("twin-b", tokens["twin-b"])))
    check("its token was not spent by that: with a key of its own it gets one", other.status == 200, other)


def other_hands(site, work):
    """A key that one device has by its IDevID is asked for with another device's token."""
    out = work / "device"
    site.onboard(out, "--device", work / "factory" / "R-0001").check_returncode()
    token = site.token("thief")
    answer, _ = send(site, enrolment(make_csr(out / "key.pem", "thief"), ("thief", token)))
    check("a key that the real client holds is not certified for another device",
          answer.status == 403 and "SITE-KEY-SHARED" in answer.text, answer)


def replayed(site, work):
    token = site.token("plain")
    request = enrolment(make_csr(make_key(work / "plain.pem"), "plain"), ("plain", token))
    first, _ = send(site, request)
    again = [send(site, request)[0] for _ in range(3)]
    same = [a.status == 200 and a.body == first.body for a in again]
    check("an enrolment that is replayed without a link gets the same certificate, byte for byte",
          first.status == 200 and all(same), [first, *again])
    check("and one certificate is on record", len(site.certificates("plain")) == 1, site.certificates("plain"))
    fresh, _ = send(site, enrolment(make_csr(make_key(work / "plain2.pem"), "plain"), ("plain", token)))
    check("the spent token with another key: 401", fresh.status == 401 and "SITE-TOKEN-SPENT" in fresh.text, fresh)
    wrong, _ = send(site, request.replace(base64.b64encode(f"plain:{token}".encode()), base64.b64encode(b"plain:guess")))
    check("the replayed request with a guessed token: 401", wrong.status == 401, wrong)
    return request, first


def linked(site, work):
    token = site.token("linked")
    key = make_key(work / "linked.pem")

    def request(binding):
        return enrolment(make_csr(key, "linked", base64.b64encode(binding).decode()), ("linked", token))
    first, data = send(site, request, tls12=True)
    check("a request that is linked by tls-unique gets its certificate", first.status == 200, first)
    for name, how in (("TLS 1.2", {"tls12": True}), ("TLS 1.3", {})):
        again, _ = send(site, data, **how)
        check(f"replayed over a new connection of {name}: 400, EST-LINKING", again.status == 400 and "EST-LINKING" in again.text, again)
    check("and one certificate is on record", len(site.certificates("linked")) == 1, site.certificates("linked"))


def renewal(site, work):
    """A renewal's bytes prove nothing without the handshake that carried them."""
    folders = [work / "renew-a", work / "renew-b"]
    for n, folder in enumerate(folders):
        site.onboard(folder, "--device", work / "factory" / f"R-{n + 2:04}").check_returncode()
    old = {name: work / f"old-{name}" for name in ("chain.pem", "key.pem")}
    for name, path in old.items():
        path.write_bytes(contents(folders[0])[name])
    request = enrolment(make_csr(make_key(work / "next.pem"), "R-0002"), operation="simplereenroll")
    first, _ = send(site, request, certificate=old["chain.pem"], key=old["key.pem"])
    check("a renewal with the certificate in the handshake is granted", first.status == 200, first)
    bare, _ = send(site, request)
    check("its bytes without the certificate: 403, EST-REENROLL-CERTIFICATE",
          bare.status == 403 and "EST-REENROLL-CERTIFICATE" in bare.text, bare)
    other, _ = send(site, request, certificate=folders[1] / "chain.pem", key=folders[1] / "key.pem")
    check("with another device's certificate: 403, EST-REENROLL-NAMES",
          other.status == 403 and "EST-REENROLL-NAMES" in other.text, other)
    again, _ = send(site, request, certificate=old["chain.pem"], key=old["key.pem"])
    check("with the same certificate: the same answer", again.status == 200 and again.body == first.body, again)
    check("and two certificates are on record: the first and its renewal", len(site.certificates("R-0002")) == 2,
          site.certificates("R-0002"))


def revoked(site, work):
    token = site.token("revoked")
    request = enrolment(make_csr(make_key(work / "revoked.pem"), "revoked"), ("revoked", token))
    first, _ = send(site, request)
    must("ca", "revoke", first.certificate(work), "--reason", "key_compromise", "--data", site.data)
    again, _ = send(site, request)
    check("replayed after its certificate was revoked: refused, the token is spent", again.status in (401, 403), again)
    check("and nothing new is on record", len(site.certificates("revoked")) == 1, site.certificates("revoked"))


def aged(site, request, first):
    """Years later the recorded token and request must not give a certificate either."""
    site.stop()
    for years, when in ((0.75, "2027-08-20 12:00:00"), (3, "2029-11-20 12:00:00")):
        name = f"the spent token and its request, replayed {years} years later, give no new certificate"
        clock = fake_clock(when)
        if clock is None:
            skip(name, "no libfaketime (Debian: faketime)")
            continue
        if not site.start(env=clock):
            check(name, False, "the server does not start")
            continue
        again, _ = send(site, request, anchors=None)
        site.stop()
        no_new = again.status in (401, 403) or (again.status == 200 and again.body == first.body)
        check(name, no_new and len(site.certificates("plain")) == 1, again)


def main():
    print("# seed: none; every request is written out")
    with scratch("replay") as folder:
        work = Path(folder)
        site = Site(work / "data")
        site.devices("R", 3, work / "factory")
        try:
            assert site.start(), "Bail out! the server does not start"
            shared_key(site, work)
            other_hands(site, work)
            request, first = replayed(site, work)
            linked(site, work)
            renewal(site, work)
            revoked(site, work)
            check("the audit log holds, one entry a certificate", site.audit_holds())
            aged(site, request, first)
        finally:
            site.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
