#!/usr/bin/env python3
"""The EST behind a voucher, with globalsign/est and strongSwan: estclient enrols at our registrar with a device's IDevID once the voucher and the report
have opened the gate, and is refused before; strongSwan's pki renews and rekeys what a voucher led to; and a device that the maker's cloud sends to
estserver enrols there.

tests/interop/est/peers.sh brings globalsign/est. The voucher before is asked for with the openssl command and curl, as an EST client knows none.
strongSwan's pki enrols nobody with an IDevID: with --cert it posts to simplereenroll alone (its est.c, and what this suite sees on our side), which RFC
7030 section 4.2.2 has for certificates of the EST CA's. So it comes in where a device has its owner's certificate."""
import base64
import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from onboarding_suite import b64, cms_open, cms_sign, curl, der, serial  # noqa: E402
from players import MEDIA, Maker, Owner  # noqa: E402
from common import check, error_of, fault_of, finish, must, openssl, scratch, skip  # noqa: E402

ROOT = "/.well-known/brski"
PEERS = Path(__file__).resolve().parents[3] / ".peers" / "bin"


def run(*words, timeout=40):
    return subprocess.run([str(w) for w in words], capture_output=True, timeout=timeout)


def request(work, device, name):
    """Key and request of its own, in PEM and DER."""
    key, csr = work / f"{name}.key", work / f"{name}.csr"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    openssl("req", "-new", "-batch", "-key", key, "-subj", f"/CN={device.name}", "-out", csr)
    openssl("req", "-in", csr, "-outform", "DER", "-out", work / f"{name}.req")
    return key


def with_voucher(work, maker, owner, device):
    """Whether openssl and curl got the device a good voucher."""
    shown = openssl("s_client", "-connect", owner.registrar, "-showcerts", data=b"", good=False).stdout.decode()
    registrar = work / "registrar.pem"
    registrar.write_text(shown[shown.index("-----BEGIN"):shown.index("-----END") + 25] + "\n")
    asked = {"ietf-voucher-request:voucher": {"assertion": "proximity", "created-on": "2026-11-23T00:00:00Z", "serial-number": serial(device),
                                              "nonce": b64(b"sixteen octets.!"), "proximity-registrar-cert": b64(der(registrar))}}
    status, _, voucher = curl(f"https://{owner.registrar}{ROOT}/requestvoucher", *who(device), "-H", f"Content-Type: {MEDIA['cms']}", "-H",
                              f"Accept: {MEDIA['cms']}", body=cms_sign(asked, device / "idevid.pem", device / "idevid-key.pem"), work=work)
    return status == 200 and cms_open(voucher, maker.root) is not None


def who(device):
    return ["-k", "--cert", device / "idevid-chain.pem", "--key", device / "idevid-key.pem"]


def report(work, owner, device):
    return curl(f"https://{owner.registrar}{ROOT}/voucher_status", *who(device), "-H", "Content-Type: application/json",
                body=b'{"version":1,"status":true,"reason":"ok"}', work=work)[0]


# ---- an independent client, our registrar ----

def by_estclient(work, owner, device, name):
    out = work / f"{name}.pem"
    done = run(PEERS / "estclient", "enroll", "-server", owner.registrar, "-explicit", owner.anchors, "-timeout", "20s", "-csr", work / f"{name}.csr",
               "-certs", device / "idevid-chain.pem", "-key", device / "idevid-key.pem", "-out", out)
    return done, out


def maker_root(device):
    return device.parent / "maker-root.pem"


def tail(work, maker, owner, device, name, client):
    key = request(work, device, name)
    log = work / "site.log"

    def refused(when):
        at = len(log.read_text())
        done, out = client(work, owner, device, name)
        told = log.read_text()[at:]
        check(f"{name}: {when} it is refused", done.returncode != 0 and not (out.exists() and out.read_bytes()) and "BRSKI-EST-EARLY" in
              told + done.stderr.decode(errors="replace"), done.stderr.decode(errors="replace")[-400:] + told[-400:])
    refused("before a voucher")
    check(f"{name}: openssl and curl get the device's voucher", with_voucher(work, maker, owner, device))
    refused("before the report")
    check(f"{name}: the report is taken", report(work, owner, device) == 200)
    done, out = client(work, owner, device, name)
    check(f"{name}: then it enrols with the IDevID", done.returncode == 0 and out.exists(), done.stderr.decode(errors="replace")[-600:])
    if out.exists():
        issuers = work / f"{name}.issuers"
        _, _, bag = curl(f"https://{owner.registrar}/.well-known/est/cacerts", "-k", work=work)
        issuers.write_bytes(openssl("pkcs7", "-inform", "DER", "-print_certs", data=base64.b64decode(bag)).stdout)
        path = openssl("verify", "-CAfile", owner.anchors, "-untrusted", issuers, out, good=False)
        check(f"{name}: openssl finds the way to the owner's CA", path.returncode == 0, path.stderr.decode())
        same = openssl("x509", "-in", out, "-noout", "-pubkey").stdout == openssl("pkey", "-in", key, "-pubout").stdout
        check(f"{name}: it is for the client's own key", same)


# ---- strongSwan, our registrar ----

def by_pki(owner, csr, certificate, key, out):
    done = run("pki", "--est", "--url", f"https://{owner.registrar}", "--in", csr, "--cacert", owner.anchors, "--cert", certificate, "--key", key,
               "--outform", "pem")
    out.write_bytes(done.stdout)
    return done


def swan_refused(work, maker, owner, device):
    """With the IDevID, whose names the request has: nothing is wrong but that an IDevID is none of the owner's certificates."""
    csr = work / "swan-idevid.csr"
    openssl("x509", "-in", device / "idevid.pem", "-x509toreq", "-signkey", device / "idevid-key.pem", "-out", csr)
    check("strongSwan: openssl and curl get the device's voucher", with_voucher(work, maker, owner, device) and report(work, owner, device) == 200)
    done = by_pki(owner, csr, device / "idevid.pem", device / "idevid-key.pem", work / "swan-idevid.pem")
    log = done.stderr.decode(errors="replace")
    check("strongSwan shows the IDevID in TLS", "sending TLS client certificate" in log and device.name in log, log)
    check("and gets 403", done.returncode != 0 and "HTTP 403" in log, log)
    refused = [e for e in json.loads(must("audit", "list", "--json", "--data", owner.data))["audit"] if device.name in str(e) and "SITE-RENEWAL-FOREIGN" in str(e)]
    check("as it asks for the renewal of a certificate that is not the owner's", refused, must("audit", "list", "--json", "--data", owner.data)[-900:])
    status, _, _ = curl(f"https://{owner.registrar}/.well-known/est/simpleenroll", *who(device), "-H", "Content-Type: application/pkcs10",
                        body=base64.b64encode(openssl("req", "-in", csr, "-outform", "DER").stdout), work=work)
    check("curl posts the very same request to simpleenroll, with the same certificate, and is answered", status == 200, status)


def swan_renews(work, owner, name, subject, certificate, key):
    """Twice: for the same key, and for a new one. Both lead to the owner's CA, by openssl, which makes the requests, too: pki --req writes a name as
    PrintableString, and the one to be kept is UTF8String (RFC 7030 section 4.2.2: identical)."""
    issuers = work / f"swan-{name}.issuers"
    _, _, bag = curl(f"https://{owner.registrar}/.well-known/est/cacerts", "-k", work=work)
    issuers.write_bytes(openssl("pkcs7", "-inform", "DER", "-print_certs", data=base64.b64decode(bag)).stdout)
    for what in ("renews", "rekeys"):
        new = key
        if what == "rekeys":
            new = work / f"swan-{name}.key"
            new.write_bytes(run("pki", "--gen", "--type", "ecdsa", "--size", "256", "--outform", "pem").stdout)
        csr, out = work / f"swan-{name}-{what}.csr", work / f"swan-{name}-{what}.pem"
        openssl("req", "-new", "-batch", "-key", new, "-subj", subject, "-out", csr)
        done = by_pki(owner, csr, certificate, key, out)
        check(f"strongSwan {what} {name}", done.returncode == 0 and out.exists(), done.stderr.decode(errors="replace")[-700:])
        if done.returncode != 0:
            return
        same = openssl("x509", "-in", out, "-noout", "-pubkey").stdout == openssl("pkey", "-in", new, "-pubout").stdout
        path = openssl("verify", "-CAfile", owner.anchors, "-untrusted", issuers, out, good=False)
        check(f"strongSwan {what} {name}: for that key, below the owner's CA", same and path.returncode == 0, path.stderr.decode())
        certificate, key = out, new


def swan(work, maker, owner, devices, by_est):
    swan_refused(work, maker, owner, devices[0])
    held = work / "swan-device"
    done = owner.take(devices[1], held)
    check("our device onboards itself", done.returncode == 0, done.stderr)
    swan_renews(work, owner, "what our device got", f"/CN={devices[1].name}", held / "cert.pem", held / "key.pem")
    if by_est is not None:
        swan_renews(work, owner, "what estclient got", f"/CN={by_est.name}", work / "estclient.pem", work / "estclient.key")


# ---- our device, an independent server ----

def foreign_site(work, maker_anchor):
    """estserver with a CA of its own, knowing the device by its maker's root; (process, port) or None."""
    folder = work / "foreign"
    folder.mkdir()
    for name in ("ca", "tls"):
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / f"{name}.key")
    openssl("req", "-x509", "-new", "-key", folder / "ca.key", "-subj", "/CN=Foreign Root", "-days", "9", "-out", folder / "ca.pem", "-addext",
            "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-new", "-key", folder / "tls.key", "-subj", "/CN=localhost", "-out", folder / "tls.csr")
    (folder / "tls.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", folder / "tls.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "9", "-extfile",
            folder / "tls.ext", "-out", folder / "tls.pem")
    (folder / "config.json").write_text(
        f'{{"mock_ca": {{"certificates": "{folder}/ca.pem", "private_key": "{folder}/ca.key"}}, "tls": {{"listen_address": "127.0.0.1:0", '
        f'"certificates": "{folder}/tls.pem", "private_key": "{folder}/tls.key", "client_cas": ["{folder}/ca.pem", "{maker_anchor}"]}}}}')
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen([str(PEERS / "estserver"), "-config", str(folder / "config.json")], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    for _ in range(200):
        listens = run("ss", "-H", "-l", "-t", "-n", "-p").stdout.decode()
        port = re.search(rf":(\d+)\s+\S+\s+users:.*pid={server.pid},", listens)
        if port:
            return server, int(port.group(1)), folder
        threading.Event().wait(0.05)
    return server, 0, folder


def cloud_to_estserver(work, maker, owner, device, stranger):
    server, port, folder = foreign_site(work, maker_root(device))
    try:
        check("estserver listens", port != 0, (folder / "log").read_text()[-400:])
        must("masa", "customer", "add", "home", "--certificate", folder / "ca.pem", "--folder", maker.masa_folder)
        where = ["--cloud", f"https://localhost:{maker.port}", "--cloud-anchors", maker.root, "--redirect-inside"]
        for one, pin, out in ((stranger, owner.anchors, work / "misled"), (device, folder / "ca.pem", work / "foreign-device")):
            must("masa", "device", "owner", serial(one), "--est", f"https://localhost:{port}", "--pin", pin, "--folder", maker.masa_folder)
            done = owner.take(one, out, *where)
            log = (folder / "log").read_text()
            if one is stranger:
                check("a voucher that pins another owner: the device asks that server for nothing", error_of(done).get("rule") == "EST-SERVER-UNTRUSTED" and
                      not (out / "cert.pem").exists() and "simpleenroll" not in log, done.stderr[-500:] + log[-300:])
                continue
            check("sent there by the maker's cloud, our device enrols at estserver", done.returncode == 0, done.stderr[-700:] + log[-500:])
            check("estserver saw it enrol", "simpleenroll" in log, log[-400:])
            check("what the device holds belongs together", fault_of(out) is None, fault_of(out))
            path = openssl("verify", "-CAfile", folder / "ca.pem", out / "cert.pem", good=False)
            check("openssl finds the way to that server's CA", path.returncode == 0, path.stderr.decode())
    finally:
        server.terminate()
        server.wait(timeout=10)


def main():
    with scratch("tail") as folder:
        work = Path(folder)
        owner = Owner(work / "site")
        maker = Maker(work, "lamps", owner_data=owner.data)
        devices = maker.make(5)
        maker.start()
        owner.knows(maker)
        owner.wants(work / "lamps-devices-1")
        go = (PEERS / "estclient").exists() and (PEERS / "estserver").exists()
        try:
            check("the server starts", owner.start(env={"IMPRINT_LOG_LEVEL": "info"}, log=work / "site.log"))
            if go:
                tail(work, maker, owner, devices[0], "estclient", by_estclient)
                cloud_to_estserver(work, maker, owner, devices[1], devices[2])
            else:
                skip("globalsign/est", "no estclient; tests/interop/est/peers.sh brings it")
            if shutil.which("pki"):
                swan(work, maker, owner, devices[3:], devices[0] if go else None)
            else:
                skip("strongSwan", "no pki: apt install strongswan-pki")
        finally:
            owner.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
