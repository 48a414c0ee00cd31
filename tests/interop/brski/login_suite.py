#!/usr/bin/env python3
"""Customers of a MASA who log in: by HTTP Digest, which curl answers as well as our registrar, one by one and many at once; registrars that send base64;
what registrar and MASA say of themselves; and a refusal that stands in the registrar's log."""
import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent))
from players import MEDIA, Maker, Owner  # noqa: E402
from common import check, error_of, finish, imprint, must, scratch  # noqa: E402

ROOT = "/.well-known/brski"
PASSWORD = "correct-horse-battery-staple-7391"


def curl(anchors, url, *options, body=None):
    """Status, fields and body of the last answer."""
    done = subprocess.run(["curl", "-s", "-S", "--max-time", "20", "-D", "-", "--cacert", str(anchors), *map(str, options),
                           *(["--data-binary", "@-"] if body is not None else []), url], input=body, capture_output=True, timeout=30)
    text, heads = done.stdout, []
    while text.startswith(b"HTTP/"):
        head, _, text = text.partition(b"\r\n\r\n")
        heads.append(head.decode())
    last = heads[-1] if heads else "HTTP/1.1 000"
    fields = [line.split(": ", 1) for line in last.split("\r\n")[1:] if ": " in line]
    return int(last.split()[1]), [(name.lower(), value) for name, value in fields], text


def ask_api(owner, path):
    request = urllib.request.Request(f"http://127.0.0.1:{owner.api_port}{path}",
                                     headers={"Authorization": "Bearer " + (owner.data / "admin.token").read_text().strip()})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.headers.get("Content-Type"), answer.read()


def customer(maker, *more):
    must("masa", "customer", "add", "north", "--password-file", maker.work / "password", "--folder", maker.masa_folder, *more)


def settings(maker, **members):
    file = maker.masa_folder / "masa.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **members}))


def knows(owner, maker, more=""):
    owner.knows(maker, rule=f'user = "north"\npassword_file = "{maker.name}/password"\n{more}')
    (owner.data / "makers" / maker.name / "password").write_text(PASSWORD + "\n")


def descriptions(maker, owner):
    status, _, body = curl(maker.root, f"https://localhost:{maker.port}{ROOT}")
    said = json.loads(body)
    check("the MASA says which ways in there are", status == 200 and said["authentication"] == ["certificate", "digest"], said)
    status, fields, body = curl(owner.anchors, f"https://{owner.registrar}{ROOT}")
    said, fields = json.loads(body), dict(fields)
    check("the registrar says what it is, to whoever asks", status == 200 and said["service"] == "registrar" and said["api"] == 1 and
          said["formats"] == [MEDIA["cms"], MEDIA["cose"], MEDIA["jws"]], said)
    check("it may be kept", "max-age=" in fields.get("cache-control", "") and fields.get("etag"), fields)
    again, _, body = curl(owner.anchors, f"https://{owner.registrar}{ROOT}", "-H", "If-None-Match: " + fields.get("etag", ""))
    check("who has it is not sent it again", again == 304 and not body, again)
    status, _, body = curl(owner.anchors, f"https://{owner.registrar}{ROOT}", "--head")
    check("HEAD has no body", status == 200 and not body.strip(), (status, body))  # curl tells the head twice
    kind, shown = ask_api(owner, "/v1/registrar")
    check("the admin API shows the same", kind == "application/json" and json.loads(shown) == said, shown[:300])


def by_curl(maker, owner):
    """The request that our registrar made, in curl's hands."""
    _, listed = ask_api(owner, "/v1/pledges?stage=enrolled")
    pledges = json.loads(listed)["pledges"]
    check("the admin API lists who came for a voucher", len(pledges) == 1 and pledges[0]["has_voucher"] and pledges[0]["has_log"], listed[:500])
    _, shown = ask_api(owner, "/v1/pledges/" + quote(pledges[0]["pledge"], safe=""))
    request, voucher = (base64.b64decode(json.loads(shown)[name]) for name in ("request", "voucher"))
    kind, raw = ask_api(owner, "/v1/pledges/" + quote(pledges[0]["pledge"], safe="") + "/voucher")
    check("and its voucher as it came", kind == MEDIA["cms"] and raw == voucher, kind)
    _, log = ask_api(owner, "/v1/pledges/" + quote(pledges[0]["pledge"], safe="") + "/log")
    check("and what the MASA's log said", len(json.loads(log)["log"]["events"]) == 1, log[:500])

    url, kind = f"https://localhost:{maker.port}{ROOT}/requestvoucher", ("-H", "Content-Type: " + MEDIA["cms"])
    status, fields, body = curl(maker.root, url, *kind, body=request)
    offers = [value for name, value in fields if name == "www-authenticate"]
    check("who does not say who it is is asked to, by Digest alone", status == 401 and len(offers) == 1 and offers[0].startswith("Digest ") and
          b"MASA-LOGIN-WANTED" in body, (status, offers, body))
    status, _, body = curl(maker.root, url, *kind, "--digest", "-u", "north:" + PASSWORD, body=request)
    check("curl answers the challenge, and gets the same voucher", status == 200 and body == voucher, (status, body[:200]))
    status, _, body = curl(maker.root, url, *kind, "--digest", "-u", "north:another", body=request)
    check("a wrong password is none", status == 401 and b"MASA-LOGIN" in body, (status, body[:200]))
    status, _, body = curl(maker.root, url, *kind, "--basic", "-u", "north:" + PASSWORD, body=request)
    check("the right one in Basic neither: that is off", status == 401 and b"MASA-LOGIN" in body, (status, body[:200]))
    in_text = base64.b64encode(request)
    status, _, body = curl(maker.root, url, *kind, "--digest", "-u", "north:" + PASSWORD, body=in_text)
    check("base64 is no request of who is not known to send it", status == 400, (status, body[:200]))
    customer(maker, "--quirk", "base64_bodies")
    status, _, body = curl(maker.root, url, *kind, "--digest", "-u", "north:" + PASSWORD, body=in_text)
    check("as a quirk of the customer it is, and so is the answer", status == 200 and base64.b64decode(body) == voucher, (status, body[:200]))


def refused_in_log(maker, owner, device, work, log):
    must("masa", "customer", "add", "south", "--certificate", maker.root, "--folder", maker.masa_folder)
    must("masa", "device", "transfer", device.name, "--to", "south", "--folder", maker.masa_folder)
    done = owner.take(device, work / "refused")
    check("what is another's is refused", done.returncode != 0, done.stdout[:300])
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    told = [line for line in lines if line.get("event") == "brski.refused" and line.get("device") == device.name]
    check("the registrar's log says by whom and why", told and "MASA-OWNER" in told[0]["why"] and told[0]["rule"] and told[0]["run"], lines[-3:])


def fetched(owner, device, work):
    done = imprint("voucher", "fetch", "--manifest", device.parent / "manifest.jsonl", "--all", "--json", "--data", owner.data)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    check("many at once are fetched by Digest", done.returncode == 0 and lines and lines[-1].get("refused") == 0 and
          any(line.get("state") == "taken" for line in lines), done.stdout[-600:] + done.stderr)


def main():
    with scratch("brski-login") as folder:
        work = Path(folder)
        (work / "password").write_text(PASSWORD + "\n")
        owner = Owner(work / "site")
        maker = Maker(work, owner_data=owner.data)
        first = maker.make(3)
        later = maker.make(2, first=10)
        settings(maker, digest=True, basic=False)
        customer(maker)
        for devices in (first, later):
            must("masa", "device", "import", devices[0].parent / "manifest.jsonl", "--customer", "north", "--folder", maker.masa_folder)
        maker.start()
        knows(owner, maker)
        for devices in (first, later):
            owner.wants(devices[0].parent)
        log, env = work / "registrar.log", {"IMPRINT_LOG_LEVEL": "warning"}
        try:
            owner.start(env=env, log=log)
            descriptions(maker, owner)
            done = owner.take(first[0], work / "one")
            check("a device of a customer who logs in is onboarded", done.returncode == 0, done.stderr)
            given = maker.log(first[0].name)["vouchers"]
            check("and the MASA knows whose registrar that was", given and given[0].get("customer") == "north", given)
            by_curl(maker, owner)
            refused_in_log(maker, owner, first[1], work, log)
            fetched(owner, later[0], work)
            owner.stop()
            knows(owner, maker, "base64_bodies = true\n")
            owner.start(env=env, log=log)
            done = owner.take(first[2], work / "three", "--quirk", "base64-bodies")
            check("a registrar with that quirk gets its vouchers", done.returncode == 0, error_of(done) if done.returncode else "")
        finally:
            owner.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
