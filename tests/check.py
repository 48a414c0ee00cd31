#!/usr/bin/env python3
"""`./dev check`: the house rules that a machine can see.

format   every source is as clang-format-14 writes it
links    every include is of a folder in the library's USES list, every outside header of a folder or file that may see it
docs     what is printed from the code is as it is printed now
sources  where a rule names a part of our documents as its source, that part is there
seeds    tests/seeds.py knows every fuzz target, and how many kinds of input its first byte chooses from
tidy     clang-tidy-14 on the sources that differ from the last commit (--tidy), or on all (--tidy-all: half an hour)
"""
import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import seeds

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"

# Outside headers and the folders or files that may see them.
OUTSIDE = {
    "openssl/": {"crypto", "io", "bench"},  # bench: its floor is plain OpenSSL, and so are its clients
    "event2/": {"io"},
    "http_parser.h": {"io"},
    "spdlog/": {"io"},
    "sqlite3.h": {"store"},
    "CLI/": {"app/cli.cc"},
    "toml++/": {"app"},
    "prometheus/": {"app"},
    "cbor.h": {"codec/cbor.cc"},
    "nlohmann/": {"codec", "store", "app", "factory", "survey", "io", "bench", "brski", "crypto/jws.cc", "site/masa_catalogue_json.cc", "runtime/masa_bulk.cc", "runtime/masa_bulk_call.cc", "runtime/masa_bulk_slice.cc", "runtime/masa_public.cc"},
}


def sources():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.cc", "*.h"], cwd=ROOT, capture_output=True,
                            text=True, check=True).stdout.split()
    return [ROOT / name for name in listed]


def folder_of(path):
    parts = path.relative_to(SRC).parts
    return parts[1] if parts[0] == "proto" else parts[0]


def link_lists():
    lists = {}
    for cmake in SRC.glob("**/CMakeLists.txt"):
        for kind, name, body in re.findall(r"imprint_(library|test|fuzz)\((\w+)(.*?)\)", cmake.read_text(), re.S):
            uses = re.search(r"USES(.*?)(?:EXTERNAL|SOURCES|$)", body, re.S)
            folder = folder_of(cmake)
            lists.setdefault((folder, kind != "library"), set()).update(uses.group(1).split() if uses else [])
    return lists


def check_links():
    lists = link_lists()
    for path in sources():
        if not path.is_relative_to(SRC):
            continue
        folder = folder_of(path)
        is_test = path.stem.endswith(("_test", "_fuzz")) or "test" in path.stem or folder == "sim"
        allowed = {folder} | lists.get((folder, False), set()) | ({"crypto"} if folder == "crypto_toy" else set())
        if is_test:
            allowed |= lists.get((folder, True), set()) | {"site", "crypto", "model", "role", "store", "est", "codec", "base", "io"}
        for line, text in enumerate(path.read_text().splitlines(), 1):
            inside = re.match(r'#include "([^"]+)"', text)
            if inside and "/" in inside.group(1):
                parts = inside.group(1).split("/")
                used = parts[1] if parts[0] == "proto" else parts[0]
                if used not in allowed:
                    yield f"{path.relative_to(ROOT)}:{line}: {folder} includes {inside.group(1)}, and its link list has no {used}"
            outside = re.match(r"#include <([^>]+)>", text)
            if outside:
                for prefix, places in OUTSIDE.items():
                    if outside.group(1).startswith(prefix) and not places & {folder, str(path.relative_to(SRC))} and not is_test:
                        yield f"{path.relative_to(ROOT)}:{line}: {outside.group(1)} is for {', '.join(sorted(places))} only"


def check_format():
    files = [str(p) for p in sources()]
    out = subprocess.run(["clang-format-14", "--dry-run", *files], capture_output=True, text=True, cwd=ROOT)
    names = sorted({line.split(":")[0] for line in out.stderr.splitlines() if "warning:" in line})
    return [f"{Path(n).relative_to(ROOT) if Path(n).is_absolute() else n}: not formatted; run ./dev fmt" for n in names]


def printed(what):
    return subprocess.run([str(ROOT / "build" / "tests" / "print_docs"), what], capture_output=True, text=True, check=True).stdout


def documents():
    """Each printed document: the path, and what it should hold."""
    yield ROOT / "docs" / "errors.md", printed("errors")
    for protocol in ("est", "brski"):
        readme = SRC / "proto" / protocol / "README.md"
        text = readme.read_text()
        begin, end = "<!-- states -->\n", "<!-- /states -->"
        head, rest = text.split(begin)
        yield readme, head + begin + "\n" + printed(protocol) + end + rest.split(end)[1]


def check_docs():
    for path, wanted in documents():
        if not path.exists() or path.read_text() != wanted:
            yield f"{path.relative_to(ROOT)}: differs from the code; run ./dev docs"


def check_sources():
    """Every "ours: docs/X, Y" of docs/errors.md: docs/X has a heading with Y in it."""
    for number, line in enumerate((ROOT / "docs" / "errors.md").read_text().splitlines(), 1):
        for name, part in re.findall(r"ours: (docs/[\w./-]+)(?:, ([^|;]+?))? *(?:\||;)", line):
            path = ROOT / name
            headings = [h.lower() for h in re.findall(r"^#+ (.*)", path.read_text(), re.M)] if path.exists() else None
            if headings is None:
                yield f"docs/errors.md:{number}: there is no {name}"
            elif part and not any(part.lower() in h for h in headings):
                yield f"docs/errors.md:{number}: {name} has no heading with '{part}'"


def fuzz_targets():
    """Every fuzz target with the text of its source."""
    for cmake in SRC.glob("**/CMakeLists.txt"):
        for name, source in re.findall(r"imprint_fuzz\((\w+) SOURCES (\w+\.cc)", cmake.read_text()):
            yield name, (cmake.parent / source).read_text()


def kinds_of_input(source):
    """How many the first byte chooses from, or why that cannot be told."""
    sizes = {int(n) for n in re.findall(r"data\[0\] % (\d+)", source)}
    if not sizes:
        return 0
    body = re.search(r"switch \(data\[0\] % \d+\) \{(.*)", source, re.S)
    cases = [int(n) for n in re.findall(r"^    case (\d+):", body.group(1), re.M)] if body else []
    size = sizes.pop()
    whole = not sizes and cases == list(range(size - 1)) and "\n    default:" in body.group(1)
    return size if whole else f"no switch over 'data[0] % {size}' with case 0 to {size - 2} and default"


def check_seeds():
    targets = dict(fuzz_targets())
    for name in sorted(targets.keys() | seeds.CHOICES.keys()):
        there = kinds_of_input(targets[name]) if name in targets else "no such target"
        if there != seeds.CHOICES.get(name, "nothing"):
            yield f"tests/seeds.py: {name}: the table says {seeds.CHOICES.get(name, 'nothing')}, the source {there}"


def tidy(file):
    out = subprocess.run(["clang-tidy-14", "--quiet", "-p", "build", file], capture_output=True, text=True, cwd=ROOT)
    return [line for line in out.stdout.splitlines() if "warning:" in line or "error:" in line]


def check_tidy(whole):
    if whole:
        files = [str(p.relative_to(ROOT)) for p in sources() if p.suffix == ".cc" and p.is_relative_to(SRC)]
    else:
        files = subprocess.run(["git", "diff", "--name-only", "HEAD~1", "--", "*.cc"], cwd=ROOT, capture_output=True,
                               text=True, check=True).stdout.split()
    files = [f for f in files if (ROOT / f).exists() and not f.endswith("_fuzz.cc")]  # those are not in a release build
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(tidy, files):
            yield from found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tidy", action="store_true")
    parser.add_argument("--tidy-all", action="store_true")
    parser.add_argument("--write-docs", action="store_true", help="write the printed documents")
    parser.add_argument("--tap", action="store_true")
    args = parser.parse_args()
    if args.write_docs:
        for path, wanted in documents():
            path.write_text(wanted)
        return 0
    checks = {"format": check_format, "links": check_links, "docs": check_docs, "sources": check_sources, "seeds": check_seeds}
    if args.tidy or args.tidy_all:
        checks["tidy"] = lambda: check_tidy(args.tidy_all)
    bad = 0
    for n, (name, check) in enumerate(checks.items(), 1):
        problems = list(check())
        bad += bool(problems)
        print(f"{'not ok' if problems else 'ok'} {n} - {name}")
        for problem in problems[:40]:
            print(f"# {problem}")
    print(f"1..{len(checks)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
