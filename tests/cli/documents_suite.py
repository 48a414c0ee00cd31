#!/usr/bin/env python3
"""What README and the guide tell people to type, typed: every `imprint …` line of their code blocks, in order, in a folder of its
own, with free ports in place of 8443, 8480 and 5684."""
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "faults"))
from common import IMPRINT, check, finish  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def commands(path):
    """The commands of the ``` blocks that begin with imprint or build/imprint, continued lines joined."""
    out = []
    for block in re.findall(r"^```\w*\n(.*?)^```", path.read_text(), re.S | re.M):
        text = re.sub(r"\\\n\s*", "", block)
        out += [line.split("  #")[0].strip() for line in text.splitlines() if re.match(r"(build/)?imprint ", line)]
    return out


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(type=kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def put_vouchers(folder):
    """A voucher with the requests that led to it, and the maker's root, under the names of the guide."""
    vectors = {v["id"]: v for v in json.loads((ROOT / "tests" / "data" / "brski.json").read_text())["vectors"]}
    for file, known in (("pvr.vcj", "own-pvr-conforming"), ("rvr.vcj", "own-rvr-conforming"), ("voucher.vcj", "own-voucher-conforming")):
        (folder / file).write_bytes(bytes.fromhex(vectors[known]["der"]))
    (folder / "masa.pem").write_text(ssl.DER_cert_to_PEM_cert(bytes.fromhex(vectors["rfc8995-c1-vendor"]["der"])))


def put_maker(path, folder, masa):
    """The maker's file that a document shows in whole: its first block of TOML with rules, as acme.toml."""
    for block in re.findall(r"^```toml\n(.*?)^```", path.read_text(), re.S | re.M):
        if "masa_anchors" in block and "9443" in block:
            (folder / "acme.toml").write_text(block.replace("9443", str(masa)))
            return


def run_all(name, lines, folder):
    est, api, coaps, masa = free_port(), free_port(), free_port(socket.SOCK_DGRAM), free_port()
    put_maker(ROOT / name, folder, masa)
    env = dict(os.environ, PATH=f"{Path(IMPRINT).parent}:{os.environ['PATH']}", IMPRINT_LOG_LEVEL="error",
               IMPRINT_EST_LISTEN=f"127.0.0.1:{est}", IMPRINT_API_LISTEN=f"127.0.0.1:{api}",
               IMPRINT_EST_COAPS=f"127.0.0.1:{coaps}")
    servers = []
    try:
        if not any(" serve" in line for line in lines):
            lines = ["imprint init --data site", "imprint serve --data site &", *lines]
        for line in lines:
            line = line.replace("build/imprint", "imprint").replace("8443", str(est)).replace("8480", str(api)).replace("5684", str(coaps)).replace("9443", str(masa))
            if line.endswith("&"):
                servers.append(subprocess.Popen(line[:-1].split(), cwd=folder, env=env, stdin=subprocess.DEVNULL,
                                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
                for _ in range(200):
                    if answers(masa) if " masa serve" in line else (folder / "site" / "endpoints.json").exists():
                        break
                    time.sleep(0.05)
                check(f"{name}: {line}", servers[-1].poll() is None)
                continue
            out = subprocess.run(["sh", "-c", line], cwd=folder, env=env, capture_output=True, text=True, timeout=120,
                                 stdin=subprocess.DEVNULL)
            # A maker or a profile that is new to a running server is noticed within two seconds.
            if "factory make" in line or "profile add" in line:
                time.sleep(3)
            check(f"{name}: {line}", out.returncode == 0, out.stdout + out.stderr)
    finally:
        for server in servers:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=20)


def main():
    for name in ("README.md", "docs/guide.md", "docs/brown-field.md", "docs/masa.md"):
        lines = commands(ROOT / name)
        check(f"{name} has commands", len(lines) >= 5, lines)
        with tempfile.TemporaryDirectory(prefix="imprint-documents-") as folder:
            put_vouchers(Path(folder))
            run_all(name, lines, Path(folder))
    return finish()


if __name__ == "__main__":
    sys.exit(main())
