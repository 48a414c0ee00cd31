#!/usr/bin/env python3
"""Vouchers and voucher requests of others, judged by `imprint voucher`: each is made and checked by a library of its own.

CMS by the openssl command, COSE by pycose and cbor2, JWS by jwcrypto; certificates by the cryptography package. What is good has to be
good for both, what was changed for neither; what is well signed and still wrong is refused by us for what is wrong.

The packages are brought by tests/interop/est/peers.sh into .peers/vouchers; this script runs with the Python of that folder."""
import base64
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".peers" / "vouchers" / "bin" / "python3"
sys.path.insert(0, str(ROOT / "tests" / "faults"))
from common import IMPRINT, check, error_of, finish, imprint, openssl, scratch, skip  # noqa: E402

try:
    import cbor2
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
    from cryptography.x509.oid import NameOID
    from jwcrypto import jwk, jws
    from pycose.headers import KID, Algorithm
    from pycose.keys import EC2Key, OKPKey
    from pycose.messages import Sign1Message
except ImportError:
    if PYTHON.exists() and Path(sys.executable) != PYTHON:
        os.execv(PYTHON, [str(PYTHON), __file__])
    why = ROOT / ".peers" / "vouchers.missing"
    skip("pycose and jwcrypto", why.read_text().strip() if why.exists() else "run tests/interop/est/peers.sh vouchers")
    sys.exit(finish())

# Now: openssl writes into CMS when it signed, by the clock.
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0, tzinfo=None)
DAY = datetime.timedelta(days=1)


def moment(**after):
    return (NOW + datetime.timedelta(**after)).isoformat()


AT = moment() + "Z"
CMC_RA = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.28")
MASA_URL = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.32")
CLIENT = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.2")
VOUCHER_TYPE = "1.2.840.113549.1.9.16.1.40"
SERIAL = "lamp-1"
FORMS = ("cms", "cose", "jws")
# draft-ietf-anima-rfc8366bis section 9, written down here once more: what differs from the product's table is found.
VOUCHER = {"assertion": 1, "created-on": 2, "domain-cert-revocation-checks": 3, "expires-on": 4, "idevid-issuer": 5, "last-renewal-date": 6,
           "nonce": 7, "pinned-domain-cert": 8, "pinned-domain-pubk": 9, "pinned-domain-pubk-sha256": 10, "serial-number": 11}
REQUEST = {"assertion": 1, "created-on": 2, "idevid-issuer": 5, "nonce": 7, "prior-signed-voucher-request": 9, "proximity-registrar-cert": 10,
           "proximity-registrar-pubk-sha256": 11, "proximity-registrar-pubk": 12, "serial-number": 13}
ASSERTIONS = {"verified": 0, "logged": 1, "proximity": 2, "agent-proximity": 3}


class Party:
    """A key with its certificate, and those above it."""

    def __init__(self, work, name, issuer=None, key=None, serial=None, usages=(), is_ca=False, ends=NOW + 30 * DAY,
                 masa_url=True):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if serial:
            attributes.insert(0, x509.NameAttribute(NameOID.SERIAL_NUMBER, serial))
        subject = x509.Name(attributes)
        by = issuer or self
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(by.certificate.subject if issuer else subject)
                   .public_key(self.key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(NOW - DAY)
                   .not_valid_after(ends).add_extension(x509.BasicConstraints(is_ca, None), critical=True)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False))
        if issuer:
            builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), critical=False)
        if serial and masa_url:
            builder = builder.add_extension(x509.UnrecognizedExtension(MASA_URL, b"\x16\x0cmasa.example"), critical=False)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        hash_of = None if isinstance(by.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        self.certificate = builder.sign(by.key, hash_of)
        self.chain = [self] + (issuer.chain if issuer else [])
        self.pem = work / f"{name}.pem"
        self.pem.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        self.key_pem = work / f"{name}.key"
        self.key_pem.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.chain_pem = work / f"{name}.chain"
        self.chain_pem.write_bytes(b"".join(one.certificate.public_bytes(Encoding.PEM) for one in self.chain[1:]))

    @property
    def der(self):
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def spki(self):
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# ---- making and checking, by libraries of others ----

def encoded(form, kind, leaves):
    """The data model: bytes stay bytes until here."""
    if form == "cose":
        sids = VOUCHER if kind == "voucher" else REQUEST
        values = {sids[name]: ASSERTIONS.get(value, value) if name == "assertion" else value for name, value in leaves.items()}
        return cbor2.dumps({2451 if kind == "voucher" else 2501: values})
    text = {name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in leaves.items()}
    return json.dumps({"ietf-voucher:voucher" if kind == "voucher" else "ietf-voucher-request:voucher": text}).encode()


def sign_cms(work, content, by, content_type=VOUCHER_TYPE, more=()):
    chain = ["-certfile", by.chain_pem] if by.chain[1:] and "-nocerts" not in more else []
    made = openssl("cms", "-sign", "-binary", "-nodetach", "-nosmimecap", "-econtent_type", content_type, "-outform", "DER", "-signer", by.pem,
                   "-inkey", by.key_pem, *(() if "-md" in more else ("-md", "sha256")), *chain, *more, data=content)
    return made.stdout


def cose_key(by, public=False):
    if isinstance(by.key, ed25519.Ed25519PrivateKey):
        x = by.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return OKPKey(crv="ED25519", x=x, d=b"" if public else by.key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
    size = (by.key.curve.key_size + 7) // 8
    numbers = by.key.public_key().public_numbers()
    curve = {256: "P_256", 384: "P_384", 521: "P_521"}[by.key.curve.key_size]
    private = b"" if public else by.key.private_numbers().private_value.to_bytes(size, "big")
    return EC2Key(crv=curve, x=numbers.x.to_bytes(size, "big"), y=numbers.y.to_bytes(size, "big"), d=private)


def cose_algorithm(by):
    return "EDDSA" if isinstance(by.key, ed25519.Ed25519PrivateKey) else {256: "ES256", 384: "ES384", 521: "ES512"}[by.key.curve.key_size]


def sign_cose(content, by, bag=True, tag=True, key_id=b""):
    message = Sign1Message(phdr={Algorithm: cose_algorithm(by), **({KID: key_id} if key_id else {})}, uhdr={}, payload=content)
    message.key = cose_key(by)
    if not bag:
        return message.encode(tag=tag)
    parts = cbor2.loads(message.encode(tag=False))
    parts[1] = {32: [one.der for one in by.chain]}  # x5bag, as in draft-ietf-anima-constrained-voucher
    return cbor2.dumps(cbor2.CBORTag(18, parts) if tag else parts)


def sign_jws(content, by, header=None, key=None):
    token = jws.JWS(content)
    if header is None:
        header = {"alg": cose_algorithm(by).replace("EDDSA", "EdDSA"), "typ": "voucher-jws+json",
                  "x5c": [base64.b64encode(one.der).decode() for one in by.chain]}
    token.allowed_algs = ["ES256", "ES384", "ES512", "EdDSA", "HS256"]
    token.add_signature(key or jwk.JWK.from_pem(by.key_pem.read_bytes()), None, json.dumps(header), None)
    flat = json.loads(token.serialize(compact=False))
    return json.dumps({"payload": flat["payload"], "signatures": [{"protected": flat["protected"], "signature": flat["signature"]}]}).encode()


def signed(work, form, kind, leaves, by):
    content = encoded(form, kind, leaves)
    return sign_cms(work, content, by) if form == "cms" else sign_cose(content, by) if form == "cose" else sign_jws(content, by)


def library_takes(work, form, message, by):
    """Whether the library of this form verifies the signature by this party."""
    if form == "cms":
        (work / "check.der").write_bytes(message)
        return openssl("cms", "-verify", "-binary", "-inform", "DER", "-in", work / "check.der", "-CAfile", by.chain[-1].pem, "-purpose", "any",
                       "-no_check_time", "-out", os.devnull, good=False).returncode == 0
    try:
        if form == "cose":
            parts = cbor2.loads(message)
            parts = parts.value if isinstance(parts, cbor2.CBORTag) else parts
            found = Sign1Message.from_cose_obj([parts[0], {}, parts[2], parts[3]], True)
            found.key = cose_key(by, public=True)
            return bool(found.verify_signature())
        token = jws.JWS()
        token.allowed_algs = ["ES256", "ES384", "ES512", "EdDSA"]
        token.deserialize(message.decode(), jwk.JWK.from_pem(by.certificate.public_bytes(Encoding.PEM)))
        return bool(token.is_valid)
    except Exception:  # whatever a library says of what it does not take
        return False


# ---- ours ----

class Judge:
    """`imprint voucher verify`, with what the device knows."""

    def __init__(self, work, anchors):
        self.work = work
        self.anchors = anchors
        self.count = 0

    def file(self, message):
        self.count += 1
        path = self.work / f"artifact-{self.count}"
        path.write_bytes(message)
        return path

    def verify(self, message, *more):
        out = imprint("voucher", "verify", "--json", self.file(message), "--anchors", self.anchors.pem, "--at", AT, *more)
        verdict = json.loads(out.stdout) if out.stdout.strip() else {}
        return out.returncode, error_of(out).get("rule", ""), verdict


def device_options(form, nonce):
    return ("--serial", SERIAL, "--nonce", nonce.hex() if form == "cose" else base64.b64encode(nonce).decode())


def inspect(path):
    out = imprint("voucher", "inspect", "--json", path)
    return json.loads(out.stdout) if out.returncode == 0 else {}


class World:
    def __init__(self, work):
        self.work = work
        self.maker = Party(work, "Maker", is_ca=True)
        self.masa = Party(work, "MASA", self.maker)
        self.idevid = Party(work, "Lamp", self.maker, serial=SERIAL)
        self.domain = Party(work, "Domain", is_ca=True)
        self.registrar = Party(work, "Registrar", self.domain, usages=[CMC_RA, CLIENT])
        self.office = Party(work, "Office", self.domain, usages=[CLIENT])
        self.other_maker = Party(work, "Other", is_ca=True)
        self.stranger = Party(work, "Stranger", self.other_maker, serial=SERIAL)
        self.old_lamp = Party(work, "OldLamp", self.maker, serial="lamp-0", masa_url=False)
        self.late_registrar = Party(work, "LateRegistrar", self.domain, usages=[CMC_RA], ends=NOW - DAY / 2)
        self.nonce = bytes(range(16))
        self.judge = Judge(work, self.maker)

    def voucher(self, **changes):
        out = {"assertion": "logged", "created-on": AT, "nonce": self.nonce, "serial-number": SERIAL, "pinned-domain-cert": self.domain.der,
               "domain-cert-revocation-checks": False}
        for name, value in changes.items():
            out[name.replace("_", "-")] = value
        return {name: value for name, value in out.items() if value is not None}

    def pvr(self, **changes):
        out = {"assertion": "proximity", "created-on": AT, "nonce": self.nonce, "serial-number": SERIAL,
               "proximity-registrar-cert": self.registrar.der}
        for name, value in changes.items():
            out[name.replace("_", "-")] = value
        return {name: value for name, value in out.items() if value is not None}

    def rvr(self, prior, **changes):
        out = {"assertion": "proximity", "created-on": AT, "nonce": self.nonce, "serial-number": SERIAL, "prior-signed-voucher-request": prior}
        for name, value in changes.items():
            out[name.replace("_", "-")] = value
        return {name: value for name, value in out.items() if value is not None}


def expect(world, title, message, rule, code, *more):
    found = world.judge.verify(message, *more)
    check(f"{title}: {rule or 'taken'}", found[0] == code and found[1] == rule, found)


def good_vouchers(world, form):
    options = device_options(form, world.nonce)
    message = signed(world.work, form, "voucher", world.voucher(), world.masa)
    check(f"{form}: the library takes its own voucher", library_takes(world.work, form, message, world.masa))
    code, rule, verdict = world.judge.verify(message, *options)
    check(f"{form}: so do we, with nothing left unchecked", code == 0 and verdict.get("holds") and verdict.get("complete") and
          verdict["form"] == form, (code, rule, verdict))
    seen = inspect(world.judge.file(message))
    said = {leaf["name"]: leaf["value"] for leaf in seen.get("leaves", [])}
    wanted = {name: base64.b64encode(value).decode() if isinstance(value, bytes) else str(value).lower() if isinstance(value, bool) else value
              for name, value in world.voucher().items()}
    check(f"{form}: every leaf is read as it was written", said == wanted, (said, wanted))
    check(f"{form}: the signer and what came along are named", seen.get("signer") == "CN=MASA" and
          [one["subject"] for one in seen.get("certificates", []) if one["signed"]] == ["CN=MASA"] and len(seen["certificates"]) == 2, seen)
    nonceless = signed(world.work, form, "voucher", world.voucher(nonce=None, expires_on=moment(minutes=20) + ".5+00:00"), world.masa)
    expect(world, f"{form}, without a nonce", nonceless, "", 0, *options)
    spki = signed(world.work, form, "voucher", world.voucher(pinned_domain_cert=None, pinned_domain_pubk=world.registrar.spki), world.masa)
    expect(world, f"{form}, with a key pinned", spki, "", 0, *options)
    extension = world.maker.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    issuer = bytes.fromhex("041830168014") + extension
    named = signed(world.work, form, "voucher", world.voucher(idevid_issuer=issuer), world.masa)
    expect(world, f"{form}, with the IDevID's issuer", named, "", 0, *options, "--idevid", world.idevid.pem)
    code, rule, verdict = world.judge.verify(named, *options)
    check(f"{form}: without the IDevID that is left open, and said", code == 0 and verdict.get("complete") is False, (code, rule, verdict))
    expect(world, f"{form}, with the issuer of others", named, "BRSKI-VOUCHER-ISSUER", 4, *options, "--idevid", world.stranger.pem)


def bad_vouchers(world, form):
    options = device_options(form, world.nonce)

    def made(by=world.masa, **changes):
        return signed(world.work, form, "voucher", world.voucher(**changes), by)
    for title, message, rule, code in (
            ("of another maker", made(world.stranger), "BRSKI-VOUCHER-SIGNER", 4),
            ("of the registrar", made(world.registrar), "BRSKI-VOUCHER-SIGNER", 4),
            ("of a device of the same maker", made(world.idevid), "BRSKI-VOUCHER-SIGNER-DEVICE", 4),
            ("of a device that names no MASA", made(world.old_lamp), "BRSKI-VOUCHER-SIGNER-DEVICE", 4),
            ("for another device", made(serial_number="lamp-2"), "BRSKI-VOUCHER-SERIAL", 4),
            ("for no device", made(serial_number=None), "BRSKI-VOUCHER-SERIAL", 4),
            ("for another request", made(nonce=bytes(16)), "BRSKI-VOUCHER-NONCE", 4),
            ("from tomorrow", made(created_on=moment(days=1) + "Z"), "BRSKI-VOUCHER-CREATED", 4),
            ("that is over", made(nonce=None, expires_on=moment(seconds=-1) + "Z"), "BRSKI-VOUCHER-EXPIRED", 4),
            ("that is over, by its offset", made(nonce=None, expires_on=moment(minutes=59, seconds=59) + "+01:00"), "BRSKI-VOUCHER-EXPIRED", 4),
            ("that asserts what nobody knows", made(assertion=9 if form == "cose" else "sworn"), "BRSKI-VOUCHER-ASSERTION", 3),
            ("that pins nobody", made(pinned_domain_cert=None), "BRSKI-VOUCHER-PIN", 3),
            ("that pins no certificate", made(pinned_domain_cert=b"no certificate"), "BRSKI-VOUCHER-PIN", 3)):
        expect(world, f"{form}, {title}", message, rule, code, *options)
    for title, message in (("a nonce that is too short", made(nonce=bytes(3))), ("a date that is none", made(created_on="yesterday")),
                           ("a serial number that is a number", made(serial_number=7)),
                           ("a truth that is a number", made(domain_cert_revocation_checks=7)),
                           ("cut short", made()[:-40]), ("something behind it", made() + b"\0")):
        expect(world, f"{form}, {title}", message, "BRSKI-ARTIFACT", 4, *options)


def changed_vouchers(world, form):
    """Single bits: what the library does not take any more we do not take either."""
    options = device_options(form, world.nonce)
    message = signed(world.work, form, "voucher", world.voucher(), world.masa)
    worse = []
    for at in range(7, len(message), max(1, len(message) // 40)):
        changed = bytearray(message)
        changed[at] ^= 1 << (at % 8)
        code, rule, _ = world.judge.verify(bytes(changed), *options)
        if code not in (0, 3, 4) or (code == 0 and not library_takes(world.work, form, bytes(changed), world.masa)):
            worse.append((at, code, rule))
    check(f"{form}: of 40 with one bit changed, none is taken that the library refuses", not worse, worse)


def requests(world, form):
    def made(leaves, by):
        return signed(world.work, form, "request", leaves, by)
    pvr = made(world.pvr(), world.idevid)
    rvr = made(world.rvr(pvr), world.registrar)
    expect(world, f"{form}, a device's request", pvr, "", 0)
    expect(world, f"{form}, a registrar's request", rvr, "", 0)
    check(f"{form}: the library takes both", library_takes(world.work, form, pvr, world.idevid) and
          library_takes(world.work, form, rvr, world.registrar))
    nothing = made(world.rvr(pvr, prior_signed_voucher_request=None, nonce=None), world.registrar)
    found = world.judge.verify(nothing)
    unknown = [one["rule"] for one in found[2].get("checks", []) if one["outcome"] == "unknown"]
    check(f"{form}: a request without a nonce, and nobody says who asks", found[0] == 0 and unknown == ["BRSKI-RVR-REGISTRAR"] and
          found[2].get("complete") is False, found)
    alone = world.judge.verify(made(world.rvr(pvr, prior_signed_voucher_request=None), world.registrar))
    named = [one for one in alone[2].get("checks", []) if one["rule"] == "BRSKI-RVR-NO-PRIOR"]
    check(f"{form}: that the device's own request is missing is said", alone[0] == 0 and named and named[0]["outcome"] == "skipped" and
          "nothing shows" in named[0]["detail"], alone)
    wrong_issuer = bytes.fromhex("041830168014") + bytes(20)
    for title, message, rule, code in (
            ("a device's request by another", made(world.pvr(), world.registrar), "BRSKI-PVR-SIGNER", 4),
            ("a device's request by a stranger's device", made(world.pvr(), world.stranger), "BRSKI-PVR-SIGNER", 4),
            ("a device's request for another", made(world.pvr(serial_number="lamp-2"), world.idevid), "BRSKI-PVR-SERIAL", 4),
            ("a device's request without a nonce", made(world.pvr(nonce=None), world.idevid), "BRSKI-PVR-NONCE", 4),
            ("a device's request that saw no certificate", made(world.pvr(proximity_registrar_cert=b"none"), world.idevid), "BRSKI-PVR-PROXIMITY", 4),
            ("a device's request that asserts less", made(world.pvr(assertion="logged"), world.idevid), "BRSKI-PVR-PROXIMITY", 4),
            ("a request by an office", made(world.rvr(pvr), world.office), "BRSKI-RVR-CMCRA", 3),
            ("a request by a registrar of before", made(world.rvr(pvr), world.late_registrar), "BRSKI-RVR-CHAIN", 4),
            ("a request with another nonce", made(world.rvr(pvr, nonce=bytes(16)), world.registrar), "BRSKI-RVR-NONCE", 3),
            ("a request for another device", made(world.rvr(pvr, serial_number="lamp-2"), world.registrar), "BRSKI-RVR-SERIAL", 3),
            ("a request for no device", made(world.rvr(pvr, serial_number=None), world.registrar), "BRSKI-RVR-SERIAL", 4),
            ("a request for a device of another CA", made(world.rvr(pvr, idevid_issuer=wrong_issuer), world.registrar), "BRSKI-RVR-ISSUER", 3),
            ("a request with a voucher in it", made(world.rvr(signed(world.work, form, "voucher", world.voucher(), world.masa)),
                                                    world.registrar), "BRSKI-RVR-PRIOR", 4),
            ("a request with nonsense in it", made(world.rvr(b"\x30\x03abc"), world.registrar), "BRSKI-RVR-PRIOR", 4),
            ("a request with another device's in it", made(world.rvr(made(world.pvr(), world.stranger)), world.registrar), "BRSKI-PVR-SIGNER", 4),
            ("a request of a registrar in the middle", made(world.rvr(made(world.pvr(proximity_registrar_cert=world.office.der), world.idevid)),
                                                            world.registrar), "BRSKI-RVR-PROXIMITY", 4)):
        expect(world, f"{form}, {title}", message, rule, code)
    if form == "cms":
        body = made(world.rvr(pvr), world.registrar)
        expect(world, "cms, a registrar's request whose signature is another", body[:-1] + bytes([body[-1] ^ 1]), "BRSKI-RVR-SIGNATURE", 4)
        body = made(world.pvr(), world.idevid)
        expect(world, "cms, a device's request whose signature is another", body[:-1] + bytes([body[-1] ^ 1]), "BRSKI-PVR-SIGNATURE", 4)
    one, other = world.judge.file(pvr), world.judge.file(rvr)
    found = json.loads(imprint("voucher", "diff", "--json", one, other).stdout)
    states = {d["name"]: (d["same"], bool(d["a"]), bool(d["b"])) for d in found["differences"]}
    check(f"{form}: diff finds the device's request in the registrar's, and what differs", found["b_holds_a"] and not found["a_holds_b"] and
          states["nonce"] == (True, True, True) and states["proximity-registrar-cert"] == (False, True, False) and
          states["prior-signed-voucher-request"] == (False, False, True) and states["(signer)"][0] is False, found)
    by_request = imprint("voucher", "verify", "--json", world.judge.file(signed(world.work, form, "voucher", world.voucher(), world.masa)),
                         "--anchors", world.maker.pem, "--at", AT, "--request", one)
    check(f"{form}: a voucher is held against the device's request itself", by_request.returncode == 0 and
          json.loads(by_request.stdout)["complete"], by_request)
    seen = inspect(other)
    check(f"{form}: inspect explains the request in the request", (seen.get("prior") or {}).get("signer") == f"CN=Lamp,serialNumber={SERIAL}" or
          (seen.get("prior") or {}).get("signer") == f"serialNumber={SERIAL},CN=Lamp", seen.get("prior"))


def cms_alone(world):
    options = device_options("cms", world.nonce)
    content = encoded("cms", "voucher", world.voucher())
    legacy = sign_cms(world.work, content, world.masa, "1.2.840.113549.1.7.1")
    expect(world, "cms, as id-data", legacy, "", 0, *options)
    hole = sign_cms(world.work, content, world.masa, more=("-noattr",))
    check("openssl takes a voucher without signed attributes", library_takes(world.work, "cms", hole, world.masa))
    expect(world, "cms, without signed attributes", hole, "BRSKI-ARTIFACT", 4, *options)
    mixed = sign_cms(world.work, content, world.masa)
    of_type = bytes.fromhex("060b2a864886f70d0109100128")
    mixed = mixed.replace(of_type, of_type[:-1] + b"\x27", 1)
    check("openssl takes one whose content is said to be another", library_takes(world.work, "cms", mixed, world.masa))
    expect(world, "cms, with another type of content", mixed, "BRSKI-ARTIFACT", 4, *options)
    expect(world, "cms, by SHA-1", sign_cms(world.work, content, world.masa, more=("-md", "sha1")), "BRSKI-ARTIFACT", 4, *options)
    bare = sign_cms(world.work, content, world.masa, more=("-nocerts",))
    expect(world, "cms, without certificates", bare, "BRSKI-VOUCHER-SIGNATURE", 4, *options)
    own = imprint("voucher", "verify", "--json", world.judge.file(bare), "--anchors", world.masa.pem, "--at", AT, *options)
    check("cms: that one holds for whoever has the MASA's certificate", own.returncode == 0, own)
    expect(world, "cms, by its key identifier", sign_cms(world.work, content, world.masa, more=("-keyid",)), "", 0, *options)
    stronger = sign_cms(world.work, content.replace(b'"logged"', b'"verified"'), world.masa, more=("-md", "sha384"))
    expect(world, "cms, by SHA-384", stronger, "", 0, *options)
    for name, size in (("2048", 2048), ("3072", 3072)):
        big = Party(world.work, f"MASA-RSA{name}", world.maker, key=rsa.generate_private_key(65537, size))
        message = sign_cms(world.work, content, big)
        check(f"openssl takes RSA {name}", library_takes(world.work, "cms", message, big))
        expect(world, f"cms, RSA {name}", message, "", 0, *options)
        expect(world, f"cms, RSA {name}, for another", sign_cms(world.work, content.replace(b"lamp-1", b"lamp-2"), big), "BRSKI-VOUCHER-SERIAL", 4,
               *options)
    lamp = Party(world.work, "Lamp-RSA", world.maker, serial=SERIAL, key=rsa.generate_private_key(65537, 2048))
    asker = Party(world.work, "Registrar-RSA", world.domain, usages=[CMC_RA], key=rsa.generate_private_key(65537, 2048))
    pvr = sign_cms(world.work, encoded("cms", "request", world.pvr(proximity_registrar_cert=asker.der)), lamp)
    expect(world, "cms, a device's request, RSA", pvr, "", 0)
    expect(world, "cms, a registrar's request, RSA", sign_cms(world.work, encoded("cms", "request", world.rvr(pvr)), asker), "", 0)
    pinned = world.voucher(pinned_domain_cert=world.registrar.der, domain_cert_revocation_checks=True)
    found = world.judge.verify(sign_cms(world.work, encoded("cms", "voucher", pinned), world.masa), *options)
    asked = [one["outcome"] for one in found[2].get("checks", []) if one["rule"] == "BRSKI-VOUCHER-REVOCATION"]
    check("cms: a voucher that wants its certificate checked says so", found[0] == 0 and asked == ["unknown"] and
          found[2]["complete"] is False, found)
    early = imprint("voucher", "verify", "--json", world.judge.file(sign_cms(world.work, encoded("cms", "voucher", world.voucher(created_on=None)),
                                                                              world.masa)), "--anchors", world.maker.pem, "--at",
                    moment(minutes=-30) + "Z", *options)
    check("cms: a voucher that openssl signed half an hour later is not taken", early.returncode == 4 and
          error_of(early).get("rule") == "BRSKI-VOUCHER-SIGNING-TIME", early)
    late = imprint("voucher", "verify", "--json", world.judge.file(legacy), "--anchors", world.maker.pem, "--at", moment(days=365) + "Z", *options)
    check("cms: after the MASA's time it is refused", late.returncode == 4 and error_of(late).get("rule") == "BRSKI-VOUCHER-SIGNER-TIME", late)
    timeless = imprint("voucher", "verify", "--json", world.judge.file(legacy), "--anchors", world.maker.pem, "--no-time", *options)
    check("cms: a device without a clock takes it", timeless.returncode == 0, timeless)
    for title, text in (("PEM", b"-----BEGIN CMS-----\n" + base64.encodebytes(legacy) + b"-----END CMS-----\n"),
                        ("base64", base64.b64encode(legacy)), ("lines of base64", base64.encodebytes(legacy)),
                        ("hexadecimal", legacy.hex().encode() + b"\n")):
        expect(world, f"cms, in {title}", text, "", 0, *options)
    piped = subprocess.run([IMPRINT, "voucher", "inspect", "-", "--json"], input=legacy, capture_output=True, timeout=30)
    check("cms, on standard input", piped.returncode == 0 and json.loads(piped.stdout)["kind"] == "voucher", piped)
    nowhere = imprint("voucher", "inspect", world.work / "nothing")
    check("a file that is not there", nowhere.returncode == 6, nowhere)


def cose_alone(world):
    options = device_options("cose", world.nonce)
    content = encoded("cose", "voucher", world.voucher())
    for curve, name in ((ec.SECP384R1(), "ES384"), (ec.SECP521R1(), "ES512")):
        by = Party(world.work, f"MASA-{name}", world.maker, key=ec.generate_private_key(curve))
        message = sign_cose(content, by)
        check(f"pycose takes {name}", library_takes(world.work, "cose", message, by))
        expect(world, f"cose, {name}", message, "", 0, *options)
    by = Party(world.work, "MASA-EdDSA", world.maker, key=ed25519.Ed25519PrivateKey.generate())
    expect(world, "cose, EdDSA", sign_cose(content, by), "", 0, *options)
    expect(world, "cose, without its tag", sign_cose(content, world.masa, tag=False), "", 0, *options)
    stripped = sign_cose(content, world.masa, bag=False)
    expect(world, "cose, without certificates", stripped, "BRSKI-VOUCHER-SIGNATURE", 4, *options)
    own = imprint("voucher", "verify", "--json", world.judge.file(stripped), "--anchors", world.masa.pem, "--at", AT, *options)
    check("cose: that one holds for whoever has the MASA's certificate", own.returncode == 0, own)
    names = cbor2.dumps({"ietf-voucher:voucher": {name: ASSERTIONS[value] if name == "assertion" else value
                                                  for name, value in world.voucher().items()}})
    expect(world, "cose, with names", sign_cose(names, world.masa), "", 0, *options)
    numbered = cbor2.loads(content)[2451]
    numbered["nonce"] = numbered.pop(7)
    numbered[cbor2.CBORTag(47, 2451 + 11)] = numbered.pop(11)
    expect(world, "cose, with names, numbers and an absolute number", sign_cose(cbor2.dumps({2451: numbered}), world.masa), "", 0, *options)
    twice = cbor2.loads(content)[2451]
    twice["nonce"] = twice[7]
    expect(world, "cose, a leaf by number and by name", sign_cose(cbor2.dumps({2451: twice}), world.masa), "BRSKI-ARTIFACT", 4, *options)
    unknown = cbor2.loads(content)[2451]
    unknown[99] = {"a": [1, {2: b"3"}]}
    unknown[100] = [1.5, float("inf"), cbor2.undefined, cbor2.CBORSimpleValue(99), cbor2.CBORTag(55799, -1.1e300)]
    expect(world, "cose, with leaves that nobody knows", sign_cose(cbor2.dumps({2451: unknown}), world.masa), "", 0, *options)
    open_ended = bytes.fromhex("bf" "18" "63") + bytes.fromhex("9f01bf6161f5ffff") + bytes.fromhex("ff")  # {99: [1, {"a": true}]}, all without counts
    longer = cbor2.dumps({2451: {**cbor2.loads(content)[2451], 99: 0}})
    at = longer.index(bytes.fromhex("186300"))
    expect(world, "cose, with one whose lengths are open", sign_cose(longer[:at + 2] + open_ended + longer[at + 3:], world.masa), "", 0, *options)
    wide = longer[:at + 2] + bytes.fromhex("1b0000000000000000") + longer[at + 3:]
    expect(world, "cose, with one whose number is wider than it has to be", sign_cose(wide, world.masa), "", 0, *options)
    parts = cbor2.loads(sign_cose(content, world.masa, tag=False))
    for title, changed in (("its algorithm unprotected", [b"", {**parts[1], 1: -7}, parts[2], parts[3]]),
                           ("a payload that is elsewhere", [parts[0], parts[1], None, parts[3]]),
                           ("critical labels", [cbor2.dumps({1: -7, 2: [99], 99: 1}), parts[1], parts[2], parts[3]]),
                           ("a MAC for an algorithm", [cbor2.dumps({1: 5}), parts[1], parts[2], parts[3]])):
        expect(world, f"cose, {title}", cbor2.dumps(cbor2.CBORTag(18, changed)), "BRSKI-ARTIFACT", 4, *options)
    empty = [parts[0], parts[1], parts[2], bytes(64)]
    expect(world, "cose, a signature of zeros", cbor2.dumps(cbor2.CBORTag(18, empty)), "BRSKI-VOUCHER-SIGNATURE", 4, *options)


def jws_alone(world):
    options = device_options("jws", world.nonce)
    content = encoded("jws", "voucher", world.voucher())
    chain = [base64.b64encode(one.der).decode() for one in world.masa.chain]
    for curve, name in ((ec.SECP384R1(), "ES384"), (ec.SECP521R1(), "ES512")):
        by = Party(world.work, f"JWS-{name}", world.maker, key=ec.generate_private_key(curve))
        expect(world, f"jws, {name}", sign_jws(content, by), "", 0, *options)
    by = Party(world.work, "JWS-EdDSA", world.maker, key=ed25519.Ed25519PrivateKey.generate())
    expect(world, "jws, EdDSA", sign_jws(content, by), "", 0, *options)
    expect(world, "jws, without typ", sign_jws(content, world.masa, {"alg": "ES256", "x5c": chain}), "", 0, *options)
    expect(world, "jws, of another typ", sign_jws(content, world.masa, {"alg": "ES256", "typ": "JWT", "x5c": chain}), "BRSKI-ARTIFACT", 4, *options)
    public = jwk.JWK(kty="oct", k=base64.urlsafe_b64encode(world.masa.spki).decode().rstrip("="))
    mac = sign_jws(content, world.masa, {"alg": "HS256", "x5c": chain}, public)
    expect(world, "jws, with the public key as a MAC's", mac, "BRSKI-ARTIFACT", 4, *options)
    good = json.loads(sign_jws(content, world.masa))
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "x5c": chain}).encode()).decode().rstrip("=")
    unsigned = {"payload": good["payload"], "signatures": [{"protected": header, "signature": ""}]}
    expect(world, "jws, unsigned", json.dumps(unsigned).encode(), "BRSKI-ARTIFACT", 4, *options)
    one = good["signatures"][0]
    flat = {"payload": good["payload"], "protected": one["protected"], "signature": one["signature"]}
    expect(world, "jws, flattened", json.dumps(flat).encode(), "BRSKI-ARTIFACT", 4, *options)
    expect(world, "jws, compact", f"{one['protected']}.{good['payload']}.{one['signature']}".encode(), "BRSKI-ARTIFACT", 4, *options)
    counter = json.loads(sign_jws(content, world.registrar))
    both = {"payload": good["payload"], "signatures": [one, counter["signatures"][0]]}
    expect(world, "jws, countersigned by the registrar (BRSKI-PRM)", json.dumps(both).encode(), "", 0, *options)
    alone = {"payload": good["payload"], "signatures": [counter["signatures"][0]]}
    expect(world, "jws, by the registrar alone", json.dumps(alone).encode(), "BRSKI-VOUCHER-SIGNER", 4, *options)
    header = base64.urlsafe_b64encode(json.dumps({"alg": "ML-DSA-44"}).encode()).decode().rstrip("=")
    newer = {"payload": good["payload"], "signatures": [{"protected": header, "signature": "AAAA"}, one]}
    expect(world, "jws, with one of an algorithm to come beside it", json.dumps(newer).encode(), "", 0, *options)
    lent = {"payload": good["payload"], "signatures": [{"protected": one["protected"], "signature": counter["signatures"][0]["signature"]}]}
    expect(world, "jws, the MASA's header over the registrar's signature", json.dumps(lent).encode(), "BRSKI-VOUCHER-SIGNATURE", 4, *options)
    repeated = content.replace(b'{"assertion"', b'{"nonce": "AAAAAAAAAAA=", "assertion"')
    expect(world, "jws, a leaf twice", sign_jws(repeated, world.masa), "BRSKI-ARTIFACT", 4, *options)
    text = content.replace(b'"domain-cert-revocation-checks": false', b'"domain-cert-revocation-checks": "false"')
    expect(world, "jws, a truth as text", sign_jws(text, world.masa), "", 0, *options)


def main():
    with scratch("vouchers") as folder:
        world = World(Path(folder))
        for form in FORMS:
            good_vouchers(world, form)
            bad_vouchers(world, form)
            changed_vouchers(world, form)
            requests(world, form)
        cms_alone(world)
        cose_alone(world)
        jws_alone(world)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
