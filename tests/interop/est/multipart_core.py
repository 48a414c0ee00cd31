#!/usr/bin/env python3
"""multipart_core.py BODY FORMAT FILE...: writes the parts of an application/multipart-core body (RFC 8710), by Content-Format.

A reader of its own, apart from the code under test; exit code 1 if the body is anything else than such parts, each once."""
import sys


def head(data, at):
    major, short = data[at] >> 5, data[at] & 31
    if short < 24:
        return major, short, at + 1
    size = {24: 1, 25: 2, 26: 4}[short]
    return major, int.from_bytes(data[at + 1:at + 1 + size], "big"), at + 1 + size


def parts(data):
    major, items, at = head(data, 0)
    assert major == 4 and items % 2 == 0, "no array of pairs"
    out = {}
    for _ in range(items // 2):
        major, number, at = head(data, at)
        assert major == 0 and number not in out, "no Content-Format"
        major, size, at = head(data, at)
        assert major == 2 and at + size <= len(data), "no byte string"
        out[number] = data[at:at + size]
        at += size
    assert at == len(data), "bytes after the array"
    return out


def main():
    with open(sys.argv[1], "rb") as body:
        found = parts(body.read())
    wanted = dict(zip(map(int, sys.argv[2::2]), sys.argv[3::2]))
    assert set(found) == set(wanted), f"parts of {sorted(found)}"
    for number, path in wanted.items():
        with open(path, "wb") as out:
            out.write(found[number])


main()
