#!/usr/bin/env python3
"""Profiles with several credentials: what `imprint profile` says and refuses, one onboarding that obtains all, each renewed, revoked
and asked for by itself, a credential of another site, and a device that is not ours (curl and openssl)."""
import base64
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "faults"))
from common import (Site, check, contents, error_of, fault_of, finish, imprint, make_csr, make_key, must, openssl,  # noqa: E402
                    scratch, serial_of)

LAMP = """
identity = "network"
[credentials.network]
lifetime_hours = 240
wanted_key = "p384"
[credentials.broker]
names = ["dns:{id}.broker.example"]
alt_names = ["dns:{id}.broker.example"]
lifetime_hours = 24
[credentials.logs]
label = "lamp-logging"
subject = "CN={id}.logs"
common_names = ["{id}.logs"]
"""

WRONG = {
    "unknown key": ("[credentials.a]\nlifetime_hous = 1\n", "did you mean credentials.a.lifetime_hours"),
    "a value of another type": ("[credentials.a]\nlabel = 1\n", "a text in quotes"),
    "two credentials and none that identifies": ("[credentials.a]\n[credentials.b]\n", "identity"),
    "an identity that is not there": ("identity = \"c\"\n[credentials.a]\n", "identity"),
    "an identity from elsewhere": ("identity = \"a\"\n[credentials.a]\nserver = \"https://x:1\"\n[credentials.b]\n", "identity"),
    "one label twice": ("identity = \"a\"\n[credentials.a]\n[credentials.b]\nlabel = \"wrong\"\n", "another credential has wrong"),
    "an EST operation as label": ("[credentials.a]\nlabel = \"cacerts\"\n", "operation"),
    "a server that is none": ("identity = \"a\"\n[credentials.a]\n[credentials.b]\nserver = \"ftp://x\"\n", "https://"),
    "anchors without a server": ("[credentials.a]\nanchors = \"x.pem\"\n", "server"),
    "no credentials": ("", "1 to 32"),
    "no TOML": ("[credentials.a\n", "wrong.toml:1"),
}


def names_of(certificate):
    return openssl("x509", "-in", certificate, "-noout", "-subject", "-ext", "subjectAltName").stdout.decode()


def certificates(site, profile):
    said = json.loads(must("ca", "list", "--profile", profile, "--json", "--data", site.data))
    return [one["serial"] for one in said["certificates"]]


def checking(work):
    for why, (text, wanted) in WRONG.items():
        file = work / "wrong.toml"
        file.write_text(text)
        out = imprint("profile", "check", file)
        check(f"{why}: refused, and said where", out.returncode == 2 and wanted in out.stderr, out.stderr)


def adding(work, site):
    (work / "lamp.toml").write_text(LAMP)
    must("profile", "add", work / "lamp.toml", "--data", site.data)
    listed = json.loads(must("profile", "list", "--json", "--data", site.data))["profiles"]
    labels = [one["label"] for one in listed[0]["credentials"]]
    check("a profile is added; the one that identifies comes first", labels == ["lamp", "lamp-broker", "lamp-logging"], labels)
    check("show gives the file again", must("profile", "show", "lamp", "--data", site.data) == LAMP)
    (work / "pump.toml").write_text("[credentials.only]\nlabel = \"lamp-broker\"\n")
    out = imprint("profile", "add", work / "pump.toml", "--data", site.data)
    check("another one with a label of it is refused", out.returncode == 7 and "lamp-broker" in out.stderr, out.stderr)
    out = imprint("profile", "show", "pump", "--data", site.data)
    check("what is not there is not found", out.returncode == 6 and "PROFILE-UNKNOWN" in out.stderr, out)


def onboard(site, work, out, *arguments):
    return site.onboard(out, "--profile", work / "lamp.toml", *arguments)


def onboarding(work, site):
    must("device", "add", "lamp-1", "--label", "lamp", "--token-file", work / "token", "--data", site.data)
    out = onboard(site, work, work / "lamp-1", "--user", "lamp-1", "--password-file", work / "token")
    check("a one-time token obtains all three", out.returncode == 0, out.stderr)
    folder = work / "lamp-1" / "credentials"
    check("each is whole", all(fault_of(folder / n) is None for n in ("network", "broker", "logs")),
          [fault_of(folder / n) for n in ("network", "broker", "logs")])
    keys = {openssl("pkey", "-in", folder / n / "key.pem", "-pubout").stdout for n in ("network", "broker", "logs")}
    check("each has a key of its own", len(keys) == 3)
    key = openssl("pkey", "-in", folder / "network" / "key.pem", "-noout", "-text").stdout.decode()
    check("of the type that the profile wants", "P-384" in key, key)
    check("each has its names", "dns:" not in names_of(folder / "network" / "cert.pem").lower()
          and "lamp-1.broker.example" in names_of(folder / "broker" / "cert.pem")
          and "lamp-1.logs" in names_of(folder / "logs" / "cert.pem"))
    check("each has its lifetime", openssl("x509", "-in", folder / "broker" / "cert.pem", "-noout", "-checkend", 90000,
                                           good=False).returncode == 1
          and openssl("x509", "-in", folder / "network" / "cert.pem", "-noout", "-checkend", 90000, good=False).returncode == 0)
    check("nothing of the way is left", not (work / "lamp-1" / "obtaining").exists())
    again = onboard(site, work, work / "lamp-1")
    check("once more: all is there already, nothing is asked for",
          again.returncode == 0 and len(certificates(site, "lamp/broker")) == 1, again.stderr)
    return folder


def by_themselves(work, site, folder):
    before = {n: contents(folder / n) for n in ("network", "broker", "logs")}
    out = onboard(site, work, work / "lamp-1", "--credential", "broker", "--renew")
    check("one is renewed", out.returncode == 0 and contents(folder / "broker") != before["broker"], out.stderr)
    check("the others stay as they are", all(contents(folder / n) == before[n] for n in ("network", "logs")))
    old = serial_of(folder / "broker" / "cert.pem")
    must("ca", "revoke", old, "--reason", "key_compromise", "--data", site.data)
    out = onboard(site, work, work / "lamp-1", "--renew")
    check("a revoked one is not renewed, and says why",
          out.returncode == 3 and "credential broker" in out.stderr and "SITE-REVOKED" in out.stderr, out.stderr)
    check("but the others are", all(contents(folder / n) != before[n] for n in ("network", "logs")))
    out = onboard(site, work, work / "lamp-1", "--credential", "broker")
    check("a new one is obtained in its place", out.returncode == 0 and serial_of(folder / "broker" / "cert.pem") != old, out.stderr)
    check("it is whole", fault_of(folder / "broker") is None, fault_of(folder / "broker"))
    out = onboard(site, work, work / "lamp-1", "--credential", "none")
    check("a credential that the profile has not is refused", out.returncode == 2 and "PROFILE-OPTIONS" in out.stderr, out.stderr)
    out = onboard(site, work, work / "lamp-1", "--label", "x")
    check("and options that the profile decides", out.returncode == 2 and "the profile says" in out.stderr, out.stderr)


def est(site, work, label, der, certificate, key, operation="simpleenroll"):
    """curl's status, and the certificate if there is one."""
    body, answer = work / "body", work / "answer"
    body.write_bytes(base64.encodebytes(der))
    said = subprocess.run(["curl", "-s", "-o", answer, "-w", "%{http_code}", "--cacert", site.anchors, "--cert", certificate, "--key", key,
                           "-H", "Content-Type: application/pkcs10", "--data-binary", f"@{body}",
                           f"https://localhost:{site.port}/.well-known/est/{label}/{operation}"], capture_output=True, text=True, timeout=30)
    if said.stdout == "200":
        pem = openssl("pkcs7", "-inform", "DER", "-print_certs", data=base64.b64decode(answer.read_bytes())).stdout
        (work / "got.pem").write_bytes(pem)
    return said.stdout, answer.read_text(errors="replace")


def by_others(work, site, folder):
    """curl and openssl hold the credentials of lamp-1."""
    network = folder / "network"
    der = make_csr(make_key(work / "k1"), "lamp-1")
    status, said = est(site, work, "lamp-broker", der, network / "chain.pem", network / "key.pem")
    check("curl: the one that identifies obtains another", status == "200", said)
    check("which is issued for the right profile", serial_of(work / "got.pem") in certificates(site, "lamp/broker"))
    der = make_csr(make_key(work / "k2"), "lamp-1")
    status, said = est(site, work, "lamp", der, folder / "broker" / "chain.pem", folder / "broker" / "key.pem")
    check("curl: another one does not obtain the one that identifies", status == "403" and "SITE-CREDENTIAL" in said, said)
    status, said = est(site, work, "lamp-logging", der, folder / "broker" / "chain.pem", folder / "broker" / "key.pem")
    check("nor a third", status == "403" and "SITE-CREDENTIAL" in said, said)
    der = make_csr(folder / "broker" / "key.pem", "lamp-1")
    status, said = est(site, work, "lamp", der, network / "chain.pem", network / "key.pem")
    check("curl: a key of another credential is refused", status == "403" and "SITE-KEY-OF-OTHER" in said, said)
    status, said = est(site, work, "pumps", der, network / "chain.pem", network / "key.pem")
    check("and a label that nobody has", status == "404", said)


def taken(site, label):
    """Whether the running server has taken the profile: it looks every two seconds."""
    url = f"https://localhost:{site.port}/.well-known/est/{label}/cacerts"
    for _ in range(100):
        said = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", site.anchors, url], capture_output=True,
                              text=True, timeout=30)
        if said.stdout == "200":
            return True
        time.sleep(0.1)
    return False


def other_site(work, site):
    """The building's credential comes from another owner's server, which knows the maker."""
    other = Site(work / "other")
    names = site.devices("B", 1, work / "factory")
    maker = next((work / "site" / "makers").glob("*.pem"))
    idevid = work / "factory" / names[0] / "idevid.pem"
    (work / "other" / "makers").mkdir(exist_ok=True)
    (work / "other" / "makers" / maker.name).write_bytes(maker.read_bytes())
    must("device", "add", names[0], "--idevid", idevid, "--data", other.data)
    try:
        assert other.start(), "Bail out! the other server does not start"
        (work / "building-ca.pem").write_bytes(other.anchors.read_bytes())
        (work / "meter.toml").write_text(f'identity = "own"\n[credentials.own]\n[credentials.building]\nserver = "{other.est}"\n'
                                         'anchors = "building-ca.pem"\n')
        must("profile", "add", work / "meter.toml", "--data", site.data)
        check("the running server takes the profile", taken(site, "meter"))
        must("device", "add", "meter-1", "--label", "meter", "--token-file", work / "token-2", "--data", site.data)
        out = site.onboard(work / "meter-1", "--profile", work / "meter.toml", "--user", "meter-1", "--password-file", work / "token-2")
        why = error_of(out).get("error", {})
        check("a site that does not know the device: nothing is shown, what was obtained waits",
              out.returncode != 0 and not (work / "meter-1" / "credentials").exists()
              and (work / "meter-1" / "obtaining" / "own" / "cert.pem").exists() and "building" in json.dumps(why), out.stderr)
        own = serial_of(work / "meter-1" / "obtaining" / "own" / "cert.pem")
        (work / "other" / "makers" / "site.pem").write_bytes(site.anchors.read_bytes())
        must("device", "add", "meter-1", "--idevid", work / "meter-1" / "obtaining" / "own" / "cert.pem", "--data", other.data)
        other.stop()
        assert other.start(), "Bail out! the other server does not start"
        text = (work / "meter.toml").read_text()
        (work / "meter.toml").write_text("\n".join(f'server = "{other.est}"' if line.startswith("server") else line
                                                   for line in text.splitlines()) + "\n")
        out = site.onboard(work / "meter-1", "--profile", work / "meter.toml", "--user", "meter-1", "--password-file", work / "token-2")
        check("the same command goes on where it ended", out.returncode == 0, out.stderr)
        folder = work / "meter-1" / "credentials"
        check("with the first credential of before", serial_of(folder / "own" / "cert.pem") == own)
        check("the other owner's has anchors of its own", fault_of(folder / "building") is None
              and contents(folder / "building")["anchors.pem"] != contents(folder / "own")["anchors.pem"], fault_of(folder / "building"))
    finally:
        other.stop()


def serving(work, site):
    """The server takes a profile while it runs, and goes on without one that is damaged."""
    (work / "late.toml").write_text("[credentials.only]\n")
    must("profile", "add", work / "late.toml", "--data", site.data)
    check("another profile is taken", taken(site, "late"))
    must("device", "add", "late-1", "--label", "late", "--token-file", work / "token-3", "--data", site.data)
    out = site.onboard(work / "late-1", "--profile", work / "late.toml", "--user", "late-1", "--password-file", work / "token-3")
    check("and a device of it onboards", out.returncode == 0, out.stderr)
    (site.data / "profiles" / "late.toml").write_text("[credentials.only\n")
    (site.data / "profiles" / "lamp-broker.toml").write_text("[credentials.only]\n")
    said = imprint("profile", "list", "--data", site.data)
    check("one that is damaged, and one with the label of another, are passed over",
          "late.toml" in said.stderr and "lamp-broker.toml" in said.stderr and "lamp-broker" in said.stdout and "late" not in said.stdout, said)
    must("profile", "remove", "meter", "--data", site.data)
    check("one is removed", imprint("profile", "show", "meter", "--data", site.data).returncode == 6)


def main():
    with scratch("profile") as folder:
        work = Path(folder)
        site = Site(work / "site")
        checking(work)
        adding(work, site)
        try:
            assert site.start(), "Bail out! the server does not start"
            folder = onboarding(work, site)
            by_themselves(work, site, folder)
            by_others(work, site, folder)
            other_site(work, site)
            serving(work, site)
            check("the audit log holds, one entry a certificate", site.audit_holds())
        finally:
            site.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
