#!/usr/bin/env python3
"""The names of nodes of an Autonomic Control Plane (RFC 8994 section 6.2.2, RFC 8995 section 5.9.2): csrattrs give one to each device with a MASA, its
request has it, and so has its certificate, also after a renewal. openssl reads csrattrs, requests and certificates; curl is the EST client that does
otherwise. The address is computed here once more, by RFC 8994 section 6.11."""
import base64
import hashlib
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from onboarding_suite import curl  # noqa: E402
from players import Maker, Owner  # noqa: E402
from tail_suite import report, request, who, with_voucher  # noqa: E402
from common import check, fault_of, finish, imprint, must, openssl, scratch  # noqa: E402

DOMAIN, RSUB = "acp.example.com", "area51.research"
SUBDOMAIN = f"{RSUB}.{DOMAIN}"
GRAMMAR = re.compile(rf"([0-9a-f]{{32}})\+{re.escape(RSUB)}@{re.escape(DOMAIN)}")


def in_asn1(certificate):
    """The AcpNodeNames in a certificate's subjectAltName, by openssl's own parser of ASN.1."""
    parsed = openssl("asn1parse", "-in", certificate).stdout.decode().splitlines()
    at = next((n for n, line in enumerate(parsed) if "X509v3 Subject Alternative Name" in line), None)
    if at is None:
        return []
    octets = bytes.fromhex(next(line for line in parsed[at:] if "OCTET STRING" in line).rsplit(":", 1)[1])
    inner = openssl("asn1parse", "-inform", "DER", data=octets).stdout.decode()
    return re.findall(r"OBJECT\s+:(?:1\.3\.6\.1\.5\.5\.7\.8\.10|id-on-AcpNodeName)\s.*?\n.*?IA5STRING\s+:(\S+)", inner, re.S)


def expected(device):
    """The address that the device is to have: fd, 40 bits of the routing-subdomain, zone 0, and 63 bits of its maker's name and its key."""
    text = openssl("x509", "-in", device / "idevid.pem", "-noout", "-ext", "authorityKeyIdentifier").stdout.decode()
    issuer = bytes.fromhex(re.search(r"((?:[0-9A-F]{2}:)+[0-9A-F]{2})", text)[1].replace(":", ""))
    serial = re.search(r"serialNumber ?= ?([^,\n]+)", openssl("x509", "-in", device / "idevid.pem", "-noout", "-subject").stdout.decode())[1].strip()
    sub = SUBDOMAIN.encode()
    spki = openssl("pkey", "-pubin", "-outform", "DER", data=openssl("x509", "-in", device / "idevid.pem", "-noout", "-pubkey").stdout).stdout
    node = len(issuer).to_bytes(8, "big") + issuer + len(serial).to_bytes(8, "big") + serial.encode() + hashlib.sha256(spki).digest()
    digest = bytearray(hashlib.sha256(len(sub).to_bytes(8, "big") + sub + node).digest()[:8])
    digest[7] &= 0xfe
    return "fd" + hashlib.sha256(sub).hexdigest()[:10] + "0000" + bytes(digest).hex()


def acp_names(certificate, what):
    found = in_asn1(certificate)
    check(f"{what}: one AcpNodeName, by its grammar", len(found) == 1 and GRAMMAR.fullmatch(found[0]), found)
    return found


def onboard(owner, device, out, *more, **how):
    done = owner.take(device, out, *more, **how)
    check(f"{device.name}: onboards itself", done.returncode == 0, done.stderr)
    check(f"{device.name}: what it holds belongs together", fault_of(out) is None, fault_of(out))
    return done


def ours(work, owner, devices):
    addresses = set()
    for device in devices:
        out = work / f"held-{device.name}"
        onboard(owner, device, out)
        name = acp_names(out / "cert.pem", device.name)
        if name:
            check(f"{device.name}: the address is its own", name[0].split("+")[0] == expected(device), (name, expected(device)))
            addresses.add(name[0])
    check("no two devices share one", len(addresses) == len(devices), addresses)
    device, out = devices[0], work / f"held-{devices[0].name}"
    before = in_asn1(out / "cert.pem")
    renewed = imprint("onboard", "est", "--json", "--server", f"https://{owner.registrar}", "--out", out, "--renew", timeout=60)
    check("a renewal goes well", renewed.returncode == 0, renewed.stderr)
    check("and keeps the name", in_asn1(out / "cert.pem") == before, in_asn1(out / "cert.pem"))
    fresh = work / "once-more"
    onboard(owner, device, fresh)
    check("a device that forgot everything gets the same one", in_asn1(fresh / "cert.pem") == before, in_asn1(fresh / "cert.pem"))
    return before


def with_its_own_names(work, owner, device):
    out = work / "own-names"
    onboard(owner, device, out, "--san", f"dns:{device.name}")
    text = openssl("x509", "-in", out / "cert.pem", "-noout", "-ext", "subjectAltName").stdout.decode()
    check("a name that it asks for itself stands beside it", f"DNS:{device.name}" in text and len(acp_names(out / "cert.pem", "beside its own")) == 1, text)


def over_coaps(work, owner, device):
    where = f"coaps://127.0.0.1:{owner.coaps_port}"
    silent = owner.take(device, work / "coaps-silent", registrar=where)
    check("over CoAPS a device that does not ask is told that it has to", "SITE-ACP-NAME" in silent.stderr or "SITE-ACP-NAME" in refusals(owner), silent.stderr)
    onboard(owner, device, work / "coaps", "--csrattrs", registrar=where)
    acp_names(work / "coaps" / "cert.pem", "over CoAPS, with --csrattrs")


def refusals(owner):
    return str([e for e in json.loads(must("audit", "list", "--json", "--data", owner.data))["audit"] if "SITE-ACP-NAME" in str(e)])


def enrol(work, owner, device, csr):
    body = base64.b64encode(openssl("req", "-in", csr, "-outform", "DER").stdout)
    return curl(f"https://{owner.registrar}/.well-known/est/simpleenroll", *who(device), "-H", "Content-Type: application/pkcs10", body=body, work=work)


def by_hand(work, maker, owner, device):
    """curl and openssl in the device's place: what csrattrs say goes into the request, or is left out, or is another's."""
    check("by hand: the voucher, and its report", with_voucher(work, maker, owner, device) and report(work, owner, device) == 200)
    status, _, body = curl(f"https://{owner.registrar}/.well-known/est/csrattrs", *who(device), work=work)
    wishes = openssl("asn1parse", "-inform", "DER", data=base64.b64decode(body)).stdout.decode() if status == 200 else ""
    check("csrattrs ask for extensions, a subjectAltName among them", "Extension Request" in wishes and "X509v3 Subject Alternative Name" in wishes, (status, wishes))
    octets = bytes.fromhex(re.search(r"OCTET STRING\s+\[HEX DUMP\]:([0-9A-F]+)", wishes)[1])
    name = re.search(rb"[0-9a-f]{32}\+[^@]+@acp\.example\.com", octets)[0].decode()
    check("it has the node's name", GRAMMAR.fullmatch(name) and name.startswith(expected(device)), name)
    _, _, stranger = curl(f"https://{owner.registrar}/.well-known/est/csrattrs", "-k", work=work)
    check("without a certificate nobody gets a name", b"acp.example" not in base64.b64decode(stranger or b""), stranger)
    key = request(work, device, "hand")
    for what, san in (("without it", None), ("with another's", f"otherName:1.3.6.1.5.5.7.8.10;IA5STRING:{'fd' + '0' * 30}+{RSUB}@{DOMAIN}"),
                      ("in another string type", f"otherName:1.3.6.1.5.5.7.8.10;UTF8:{name}"), ("as csrattrs have it", f"otherName:1.3.6.1.5.5.7.8.10;IA5STRING:{name}")):
        csr = work / "hand.csr"
        openssl("req", "-new", "-batch", "-key", key, "-subj", f"/CN={device.name}", "-out", csr, *(["-addext", f"subjectAltName={san}"] if san else []))
        status, _, body = enrol(work, owner, device, csr)
        if what == "as csrattrs have it":
            pem = openssl("pkcs7", "-inform", "DER", "-print_certs", data=base64.b64decode(body)).stdout if status == 200 else b""
            (work / "hand.pem").write_bytes(pem)
            check(f"a request {what} is answered", status == 200 and in_asn1(work / "hand.pem") == [name], (status, body[:200]))
        else:
            check(f"a request {what} is refused", status == 403 and b"SITE-ACP-NAME" in body, (status, body[:300]))


def main():
    with scratch("acp") as folder:
        work = Path(folder)
        config = work / "imprint.toml"
        config.write_text(f'[brski]\nacp_domain = "{DOMAIN}"\nacp_rsub = "{RSUB}"\n')
        owner = Owner(work / "site", config=config)
        maker = Maker(work, "lamps", owner_data=owner.data)
        devices = maker.make(5)
        maker.start()
        owner.knows(maker)
        owner.wants(work / "lamps-devices-1")
        try:
            check("the server starts", owner.start(env={"IMPRINT_EST_COAPS": "127.0.0.1:0"}))
            ours(work, owner, devices[:2])
            with_its_own_names(work, owner, devices[2])
            over_coaps(work, owner, devices[3])
            by_hand(work, maker, owner, devices[4])
        finally:
            owner.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
