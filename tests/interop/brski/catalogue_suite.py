#!/usr/bin/env python3
"""A maker's catalogue over HTTPS: our MASA gives it out, curl and our site fetch it; the site takes nothing older and nobody else's, and a running
server looks for it by itself."""
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from players import Maker, Owner  # noqa: E402
from common import check, error_of, finish, imprint, must, scratch  # noqa: E402

PATH = "/.well-known/brski/catalogue"


def url(maker, host="localhost", path=PATH):
    return f"https://{host}:{maker.port}{path}"


def curl(maker, *options):
    """(status, headers in small letters, body)"""
    done = subprocess.run(["curl", "-s", "-S", "--max-time", "20", "-D", "-", "--cacert", str(maker.root), *options, url(maker)], capture_output=True, timeout=30)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    return lines[0].split(" ")[1] if " " in lines[0] else done.stderr.decode(), {k.lower(): v for k, v in fields.items()}, body


def given_out(maker):
    status, fields, body = curl(maker)
    check("curl fetches the catalogue, with an ETag", status == "200" and fields.get("etag", "").startswith('"') and body.startswith(b"{"), (status, fields))
    status, again, body = curl(maker, "-H", "If-None-Match: " + fields.get("etag", ""))
    check("who has it is told so", status == "304" and body == b"" and again.get("etag") == fields.get("etag"), (status, again))


def by_hand(work, maker, owner, old):
    def fetch(source, *more):
        return imprint("maker", "catalogue", "import", "--json", source, "--data", owner.data, *more)

    taken = owner.data / "makers" / f"{maker.name}.catalogue"
    for what, source in (("of another host's name", url(maker, host="127.0.0.1")), ("that is not there", url(maker, path="/nothing"))):
        done = fetch(source, "--maker", maker.name)
        check(f"an address {what} is no catalogue", error_of(done).get("rule") == "CATALOGUE-AWAY" and not taken.exists(), done.stderr)
    done = fetch(url(maker))
    check("it is taken from where the maker gives it out", done.returncode == 0 and taken.exists(), done.stderr)
    version = json.loads(done.stdout)["version"] if done.returncode == 0 else 0
    done = fetch(old)
    check("one that was signed before does not come back", error_of(done).get("rule") == "CATALOGUE-OLD", done.stderr)
    entries = json.loads(must("audit", "list", "--json", "--data", owner.data))
    entries = entries if isinstance(entries, list) else next(v for v in entries.values() if isinstance(v, list))
    check("it is in the audit log, once", [e["subject"] for e in entries if e["action"] == "maker.catalogue"] == [maker.name], version)
    return taken


def by_itself(work, maker, owner, taken):
    taken.unlink()
    check("the server starts", owner.start(log=work / "site.log"))
    for _ in range(200):
        if taken.exists():
            break
        threading.Event().wait(0.05)
    _, _, body = curl(maker)
    check("a running server fetches it by itself", taken.exists() and taken.read_bytes() == body)
    listed = json.loads(must("maker", "list", "--json", "--data", owner.data))
    check("and counts it", maker.name in json.dumps(listed.get("catalogues", listed)), listed)


def main():
    with scratch("catalogue") as folder:
        work = Path(folder)
        owner = Owner(work / "site")
        maker = Maker(work, "lamps", owner_data=owner.data)
        maker.make(1)
        old = work / "old.catalogue"
        must("masa", "catalog", "--folder", maker.masa_folder, "--out", old)
        maker.start()
        owner.knows(maker)
        file = owner.data / "makers" / f"{maker.name}.toml"
        signer = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", (maker.masa_folder / "signer.pem").read_text(), re.S)
        (file.parent / maker.name / "signer.pem").write_text(signer.group())
        file.write_text(f'catalogue_url = "{url(maker)}"\ncatalogue_anchors = ["{maker.name}/signer.pem"]\n' + file.read_text())
        try:
            given_out(maker)
            by_itself(work, maker, owner, by_hand(work, maker, owner, old))
        finally:
            owner.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
