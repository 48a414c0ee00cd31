"""What the BRSKI suites share: a maker with its factory and MASA, and an owner's site that knows it. All on loopback; servers take port 0."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "faults"))
from common import IMPRINT, Site, imprint, must  # noqa: E402

MEDIA = {"cms": "application/voucher-cms+json", "jws": "application/voucher-jws+json", "cose": "application/voucher+cose"}


class Maker:
    """A maker's CA and devices, which its MASA knows. The MASA's own folder is beside the owner's."""

    def __init__(self, work, name="lamps", owner_data=None):
        self.work, self.name = Path(work), name
        self.data = Path(owner_data) if owner_data else self.work / f"{name}-maker"
        self.masa_folder = self.work / f"{name}-masa"
        self.server = None

    def make(self, count, *more, model=None, first=1):
        """Devices, as folders; the MASA is told of them."""
        out = self.work / f"{self.name}-devices-{first}"
        must("factory", "make", "--data", self.data, "--model", model or self.name, "--count", count, "--first", first, "--masa",
             "localhost:9443", "--out", out, *more)
        if not self.masa_folder.exists():
            must("masa", "init", "--folder", self.masa_folder, "--maker", self.data / "factory", "--name", self.name, "--url", "localhost:9443")
        must("masa", "device", "import", out / "manifest.jsonl", "--folder", self.masa_folder)
        return [out / f"{model or self.name}-{n + first:04}" for n in range(count)]

    @property
    def root(self):
        return self.masa_folder / "anchors.pem"

    def start(self, env=None):
        out = self.work / f"{self.name}-masa.json"
        with open(out, "wb") as said, open(self.work / f"{self.name}-masa.log", "ab") as log:
            self.server = subprocess.Popen([IMPRINT, "masa", "serve", "--json", "--folder", str(self.masa_folder), "--listen", "localhost:0"],
                                           stdout=said, stderr=log, stdin=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))
        for _ in range(200):
            if out.stat().st_size and self.server.poll() is None:
                break
            if self.server.poll() is not None:
                raise SystemExit("Bail out! the MASA did not start: " + (self.work / f"{self.name}-masa.log").read_text()[-500:])
            time.sleep(0.05)
        self.url = json.loads(out.read_text())["masa"]
        self.port = int(self.url.split(":")[2].split("/")[0])
        return self

    def stop(self):
        if self.server and self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            try:
                self.server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        self.server = None

    def log(self, serial):
        return json.loads(must("masa", "log", serial, "--json", "--folder", self.masa_folder))


class Owner(Site):
    """A site that takes devices of makers by voucher."""

    def knows(self, maker, port=None, rule=""):
        """Its roots, and where its MASA is: an address on this machine has to be the operator's own word."""
        folder = self.data / "makers"
        folder.mkdir(exist_ok=True)
        (folder / f"{maker.name}.pem").write_bytes(Path(maker.root).read_bytes())
        (folder / f"{maker.name}.toml").write_text(
            f'[[rules]]\nname = "all"\nserials = ["*"]\nmasa = "https://localhost:{port or maker.port}"\noverride = true\n'
            f'masa_anchors = ["{maker.name}/tls.pem"]\n{rule}')
        (folder / maker.name).mkdir(exist_ok=True)
        (folder / maker.name / "tls.pem").write_bytes(Path(maker.root).read_bytes())

    def wants(self, manifest_folder):
        must("device", "import", "--data", self.data, Path(manifest_folder) / "manifest.jsonl")

    @property
    def registrar(self):
        return f"localhost:{self.port}"

    def take(self, device, out, *arguments, registrar=None, timeout=60, env=None):
        chosen = list(map(str, arguments))
        own = [] if "--attempts" in chosen else ["--attempts", "1"]
        own += [] if "--timeout" in chosen else ["--timeout", "30"]
        where = [] if "--registrar" in chosen or "--cloud" in chosen else ["--registrar", registrar or self.registrar]
        return imprint("onboard", "brski", "--json", "--device", device, "--out", out, *where, *own, *chosen, timeout=timeout, env=env)
