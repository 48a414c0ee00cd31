#!/usr/bin/env python3
"""Vouchers that are there before their devices: the kit of a MASA that is never reached, and what a registrar fetches in advance, many at once and
one by one. The MASA is stopped when the devices come."""
import base64
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from players import Maker, Owner  # noqa: E402
from common import check, error_of, fault_of, finish, imprint, must, openssl, scratch  # noqa: E402

# No MASA, no audit log of one: the operator says that this is how it is.
NO_LOG = {"IMPRINT_BRSKI_LOG_NEEDED": "false"}


def manifest_of(device):
    return device.parent / "manifest.jsonl"


def serials(manifest):
    return [json.loads(line)["serial"] for line in manifest.read_text().splitlines() if line.strip()]


def openssl_ca(out):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(out) + ".key", "-out", out, "-subj", "/CN=nobody", "-days", "9")
    return out


def kit(work, maker, owner, devices):
    manifest = manifest_of(devices[0])
    out = work / "north.kit"
    unsold = imprint("masa", "kit", "--customer", "nobody", "--out", out, "--folder", maker.masa_folder)
    check("no kit for a customer that nobody knows", unsold.returncode != 0 and not out.exists(), unsold.stderr)
    said = json.loads(must("masa", "kit", "--customer", "north", "--out", out, "--json", "--folder", maker.masa_folder))
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    check("the kit has a voucher for each device", said["vouchers"] == len(lines) == len(serials(manifest)), said)
    check("with serial number, issuer and end", all(line["issuer"] and line["expires"] for line in lines) and
          [line["serial"] for line in lines] == sorted(serials(manifest)), lines[:1])
    text = openssl("cms", "-verify", "-inform", "DER", "-CAfile", maker.root, "-purpose", "any", data=base64.b64decode(lines[0]["voucher"])).stdout
    inner = json.loads(text)["ietf-voucher:voucher"]
    check("openssl finds one good, and it has no nonce", "nonce" not in inner and inner["serial-number"] == lines[0]["serial"], inner)

    def take(*arguments):
        done = imprint("voucher", "import", *arguments, "--json", "--data", owner.data)
        return done, json.loads(done.stdout) if done.stdout else {}

    spoilt = work / "spoilt.kit"
    voucher = bytearray(base64.b64decode(lines[0]["voucher"]))
    voucher[-9] ^= 1
    spoilt.write_text(json.dumps({**lines[0], "voucher": base64.b64encode(voucher).decode()}) + "\n" +
                      json.dumps({**lines[1], "serial": "x", "voucher": "%%"}) + "\n{\"voucher\": 7}\n")
    done, told = take(spoilt)
    check("what was changed or cannot be read is refused, line by line", done.returncode != 0 and told.get("refused") == 3, done.stdout[-600:])
    stranger = openssl_ca(work / "stranger.pem")
    done, told = take(out, "--anchors", stranger)
    check("nor what another one signed", done.returncode != 0 and told["vouchers"][0]["rule"] in ("BRSKI-MASA-VOUCHER", "BRSKI-VOUCHER-SIGNER"), told.get("vouchers", [])[:1])
    done, told = take(out)
    check("the registrar takes the kit", done.returncode == 0 and told.get("taken") == len(lines), done.stdout[-600:] + done.stderr)
    check("and looks at the signatures", told.get("signatures_checked") is True, told)
    done, told = take(out)
    check("taken again it changes nothing", done.returncode == 0 and told.get("there") == len(lines) and told.get("taken") == 0, done.stdout[-400:])
    single = work / "single.vcj"
    single.write_bytes(base64.b64decode(lines[0]["voucher"]))
    done, told = take(single)
    check("a single voucher says itself which CA its device is of", done.returncode == 0 and told.get("there") == 1, done.stdout)
    done, told = take(single, "--manifest", manifest)
    check("with the manifest it is known", done.returncode == 0 and told.get("there") == 1, done.stdout + done.stderr)


def other_site(work, maker, devices):
    """A kit for somebody else."""
    south = Owner(work / "south")
    south.knows(maker, port=1)
    done = imprint("voucher", "import", work / "north.kit", "--json", "--data", south.data)
    told = json.loads(done.stdout)
    check("a site without these devices takes none", told["refused"] > 0 and told["vouchers"][0]["rule"] == "VOUCHER-STRANGER", done.stdout[-300:])
    south.wants(devices[0].parent)


    def refusal(*arguments):
        told = json.loads(imprint("voucher", "import", work / "north.kit", "--json", "--data", south.data, *arguments).stdout)
        return told["taken"] == 0 and told["vouchers"][0]["rule"]

    rule = refusal()
    check("nor one of whose signer nothing is known", rule == "VOUCHER-UNCHECKED", rule)
    rule = refusal("--anchors", maker.root)
    check("nor one that pins another domain", rule == "BRSKI-MASA-PIN", rule)
    rule = refusal("--unchecked")
    check("whoever signed it", rule == "BRSKI-MASA-PIN", rule)


def onboard(work, owner, device, name):
    out = work / f"out-{name}"
    done = owner.take(device, out)
    check(f"{name}: the MASA is away, and the device onboards itself", done.returncode == 0, done.stderr)
    check(f"{name}: what it holds belongs together", fault_of(out) is None, fault_of(out))


def fetch(owner, manifest, *arguments):
    done = imprint("voucher", "fetch", "--manifest", manifest, "--json", "--data", owner.data, *arguments, timeout=120)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def bulk(work, maker, owner, devices):
    manifest = manifest_of(devices[0])
    count = len(serials(manifest))
    done, lines = fetch(owner, manifest, serials(manifest)[0])
    check("one device by its serial number", done.returncode == 0 and lines[-1]["taken"] == 1, done.stdout + done.stderr)
    done, lines = fetch(owner, manifest, "--all", "--together", "4")
    check("the rest in calls of four", done.returncode == 0 and lines[-1]["taken"] == count - 1 and lines[-1]["there"] == 1, done.stdout[-500:] + done.stderr)
    check("it was asked many at once", "many at once" in done.stderr, done.stderr)
    done, lines = fetch(owner, manifest, "--all")
    check("run again it asks for nothing", done.returncode == 0 and lines[-1]["there"] == count and "at once" not in done.stderr, done.stdout[-300:] + done.stderr)
    log = json.loads(must("masa", "log", serials(manifest)[1], "--json", "--folder", maker.masa_folder))
    check("the MASA has given one voucher for each", len(log["vouchers"]) == 1 and log["vouchers"][0]["nonce"] is None, log)


def one_by_one(maker, owner, devices):
    manifest = manifest_of(devices[0])
    done, lines = fetch(owner, manifest, "--all", "--one-by-one")
    check("one by one does it as well", done.returncode == 0 and lines[-1]["taken"] == len(serials(manifest)), done.stdout[-500:] + done.stderr)


class ByHand(BaseHTTPRequestHandler):
    """A MASA that promises the call for many, does not have it, and refuses every single request."""
    protocol_version, seen = "HTTP/1.1", []

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):  # noqa: N802
        self.answer(200, b'{"endpoints":{"requestvouchers":"/.well-known/brski/requestvouchers"},"limits":{"bulk_requests":100}}', "application/json")

    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path.rsplit("/", 1)[1], body))
        many = self.path.endswith("requestvouchers")
        self.answer(405 if many else 403, b"no\n" if many else b"not for sale\n", "text/plain")


def falls_back(maker, owner, devices):
    server = HTTPServer(("127.0.0.1", 0), ByHand)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(maker.masa_folder / "tls.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    owner.knows(maker, port=server.server_address[1], rule=f'voucher_anchors = ["{maker.name}/tls.pem"]\n')
    manifest = manifest_of(devices[0])
    done, lines = fetch(owner, manifest, "--all")
    count = len(serials(manifest))
    check("where the call for many is not there after all, each is asked for alone", [path for path, _ in ByHand.seen] ==
          ["requestvouchers"] + ["requestvoucher"] * count, [path for path, _ in ByHand.seen])
    check("and is told in the MASA's words", lines[-1]["refused"] == count and "not for sale" in lines[0]["why"], done.stdout[-400:])
    asked = openssl("cms", "-verify", "-inform", "DER", "-CAfile", owner.anchors, "-purpose", "any", data=ByHand.seen[-1][1]).stdout
    inner = json.loads(asked)["ietf-voucher-request:voucher"]
    check("openssl finds our request good: a serial number, its issuer, and no nonce", inner["serial-number"] == serials(manifest)[-1] and
          inner["idevid-issuer"] and "nonce" not in inner and "prior-signed-voucher-request" not in inner, inner)
    server.shutdown()
    owner.knows(maker, rule=f'voucher_anchors = ["{maker.name}/tls.pem"]\n')


def refused(work, maker, owner, devices):
    """Devices of somebody else, and a MASA that is away."""
    manifest = manifest_of(devices[0])
    done, lines = fetch(owner, manifest, "--all")
    check("devices of another customer are refused, each by name", done.returncode != 0 and lines[-1]["refused"] == len(serials(manifest)) and
          "MASA-" in lines[0]["why"], done.stdout[-500:])
    maker.stop()
    done, lines = fetch(owner, manifest, "--all")
    check("a MASA that is away leaves them open", done.returncode != 0 and lines[-1]["open"] == len(serials(manifest)), done.stdout[-500:])
    check("with an exit code of its own", error_of(done).get("rule") == "VOUCHER-SOME", done.stderr)


def main():
    with scratch("airgap") as folder:
        work = Path(folder)
        owner = Owner(work / "site")
        maker = Maker(work, "lamps", owner_data=owner.data)
        sets = [maker.make(3), maker.make(9, first=101), maker.make(2, first=201), maker.make(2, first=301)]
        must("masa", "customer", "add", "north", "--certificate", owner.anchors, "--folder", maker.masa_folder)
        must("masa", "customer", "add", "other", "--certificate", maker.root, "--folder", maker.masa_folder)
        for n, devices in enumerate(sets):
            owner.wants(devices[0].parent)
            if n != 0:
                must("masa", "device", "import", manifest_of(devices[0]), "--customer", "other" if n == 3 else "north", "--folder", maker.masa_folder)
        must("masa", "device", "import", manifest_of(sets[0][0]), "--customer", "north", "--folder", maker.masa_folder)
        # The kit is made while only its devices are the customer's.
        for devices in sets[1:3]:
            for serial in serials(manifest_of(devices[0])):
                must("masa", "device", "transfer", serial, "--folder", maker.masa_folder)
        owner.knows(maker, port=1, rule=f'voucher_anchors = ["{maker.name}/tls.pem"]\n')
        kit(work, maker, owner, sets[0])
        other_site(work, maker, sets[0])
        for devices in sets[1:3]:
            must("masa", "device", "import", manifest_of(devices[0]), "--customer", "north", "--folder", maker.masa_folder)
        maker.start()
        owner.knows(maker, rule=f'voucher_anchors = ["{maker.name}/tls.pem"]\n')
        try:
            bulk(work, maker, owner, sets[1])
            falls_back(maker, owner, sets[2])
            one_by_one(maker, owner, sets[2])
            refused(work, maker, owner, sets[3])
            owner.start(env=NO_LOG, log=work / "site.log")
            onboard(work, owner, sets[0][0], "kit")
            onboard(work, owner, sets[1][0], "fetched")
            onboard(work, owner, sets[2][0], "one by one")
            late = owner.take(sets[3][0], work / "late")
            check("a device without a voucher has to wait for the MASA", late.returncode != 0, late.stdout)
        finally:
            if not all(__import__("common").tests) and (work / "site.log").exists():
                print("# " + (work / "site.log").read_text()[-2000:].replace("\n", "\n# "))
            owner.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
