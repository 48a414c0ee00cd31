"""Seeds for the fuzz targets, made from the known answers, the peers' bytes and the texts in tests/data."""
import base64
import hashlib
import json
import re
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"
# How many kinds of input a target knows; its first byte chooses. 0: it has no such byte. `./dev check` holds this
# against the targets.
CHOICES = {"app": 6, "brski": 0, "coap": 0, "codec": 6, "crypto": 14, "discovery": 0, "dtls": 0, "est_messages": 0, "est_multipart": 0, "est_roles": 0,
           "http": 4, "jpy": 0}
# Bytes between the choice and the input.
BETWEEN = {"http": b"\x07"}
SMALLEST = 16  # hex digits that are no mere number


def blobs(value):
    """Every byte string in a known answer: hexadecimal as its bytes, base64 and all other text as it is."""
    if isinstance(value, dict):
        for one in value.values():
            yield from blobs(one)
    elif isinstance(value, list):
        for one in value:
            yield from blobs(one)
    elif isinstance(value, str) and value:
        if len(value) >= SMALLEST and re.fullmatch(r"(?:[0-9a-f]{2})+", value):
            yield bytes.fromhex(value)
        else:
            yield value.encode()


def inputs():
    """Everything that a decoder of ours might be given, once."""
    out = set()
    for path in sorted(DATA.glob("*.json")):
        out.update(blobs(json.loads(path.read_text())))
    for path in sorted(DATA.glob("**/*.http")):
        raw = path.read_bytes()
        out.update((raw, raw.partition(b"\r\n\r\n")[2]))
    for path in sorted(DATA.glob("**/*.pem")):
        for body in re.findall(r"-----BEGIN [^-]+-----(.*?)-----END", path.read_text(), re.S):
            out.add(base64.b64decode(body))
    for path in sorted(DATA.glob("**/*.pem")) + sorted((DATA / "seeds").iterdir()):
        text = path.read_bytes()
        out.add(text)
        if path.suffix in (".jsonl", ".txt"):  # one input a line
            out.update(text.splitlines())
    for one in list(out):
        if one[:1] == b"\x30":
            out.add(base64.b64encode(one))
        elif re.fullmatch(rb"[A-Za-z0-9+/\s]+=*\s*", one) and len(one) >= SMALLEST:
            try:
                out.add(base64.b64decode(one))
            except ValueError:
                pass
    out.discard(b"")
    return out


def write_seeds(target, folder):
    """Writes the seeds of a target into the folder; says how many."""
    choices = [bytes([n]) for n in range(CHOICES[target])] or [b""]
    seeds = {choice + BETWEEN.get(target, b"") + one for one in inputs() for choice in choices}
    for seed in seeds:
        (Path(folder) / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    return len(seeds)
