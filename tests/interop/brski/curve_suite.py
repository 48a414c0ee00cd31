#!/usr/bin/env python3
"""Credentials on P-384 over CoAPS: a device's own key, its IDevID, and both; openssl s_client as the peer of our DTLS, with a certificate on P-384, and with
a curve that we do not offer. In DTLS 1.2 the curves that a client names are those of the server's certificate, too, so P-256 is always among them here."""
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from players import Maker, Owner  # noqa: E402
from common import check, fault_of, finish, openssl, scratch  # noqa: E402


def curve_of(certificate):
    text = openssl("x509", "-in", certificate, "-noout", "-text").stdout.decode()
    return re.search(r"NIST CURVE: (\S+)", text)[1]


def ours(work, owner, device, idevid, wanted):
    what = f"IDevID on {idevid}, own key on {wanted}"
    check(f"{what}: so it was made", curve_of(device / "idevid.pem") == idevid, device)
    out = work / f"{device.name}-{wanted}"
    done = owner.take(device, out, "--key-type", wanted.lower().replace("-", ""), registrar=f"coaps://127.0.0.1:{owner.coaps_port}")
    check(f"{what}: it onboards itself over CoAPS", done.returncode == 0, done.stderr)
    check(f"{what}: what it holds belongs together", fault_of(out) is None, fault_of(out))
    if done.returncode == 0:
        run = json.loads(done.stdout)
        check(f"{what}: operational over coaps", (run.get("result"), run.get("mode")) == ("operational", "coaps"), done.stdout[:500])
        check(f"{what}: its certificate is on that curve", curve_of(out / "cert.pem") == wanted)
        told = owner.query(f"SELECT stage FROM pledges WHERE serial = '{device.name}'")
        check(f"{what}: it reports with that certificate, and the registrar hears it", told == [("enrolled",)], told)


def by_openssl(owner, device, groups):
    """What openssl's DTLS client says of a handshake with this device's IDevID."""
    out = openssl("s_client", "-dtls1_2", "-connect", f"127.0.0.1:{owner.coaps_port}", "-cert", device / "idevid-chain.pem", "-key", device / "idevid-key.pem",
                  "-CAfile", owner.anchors, "-verify_return_error", "-curves", groups, data=b"", good=False)
    return out.stdout.decode(errors="replace")


def peers(owner, small, large):
    for device, groups, key in ((large, "P-384:P-256", "prime256v1"), (small, "P-256", "prime256v1")):
        said = by_openssl(owner, device, groups)
        check(f"openssl, {device.name}, {groups}: the handshake ends well on both sides", "Verify return code: 0 (ok)" in said and "Cipher    : ECDHE-ECDSA" in said, said[-1500:])
        check(f"openssl, {device.name}, {groups}: the group is the cheaper one", re.search(rf"Server Temp Key: ECDH, {key}", said), said[-1500:])
    said = by_openssl(owner, small, "P-521")
    check("openssl with P-521 alone: no suite in common", "Cipher is (NONE)" in said, said[-1500:])


def main():
    with scratch("curve") as folder:
        work = Path(folder)
        owner = Owner(work / "site")
        maker = Maker(work, "lamps", owner_data=owner.data)
        small = maker.make(2)
        large = maker.make(2, "--key-type", "p384", model="tower", first=11)
        maker.start()
        owner.knows(maker)
        owner.wants(work / "lamps-devices-1")
        owner.wants(work / "lamps-devices-11")
        try:
            check("the server starts", owner.start(env={"IMPRINT_EST_COAPS": "127.0.0.1:0"}))
            ours(work, owner, small[0], "P-256", "P-384")
            ours(work, owner, large[0], "P-384", "P-384")
            ours(work, owner, large[1], "P-384", "P-256")
            peers(owner, small[1], large[1])
        finally:
            owner.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
