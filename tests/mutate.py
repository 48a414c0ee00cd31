#!/usr/bin/env python3
"""Switches off each check of a protocol in turn, and says whether any test notices.

usage: mutate.py [--build FOLDER] [--protocol est] [--only FILE:LINE] [--tap]

FOLDER (build-asan) is a build folder configured with -DIMPRINT_MUTATE=ON that holds the protocol's tests (PROTOCOL_tests)
and, for those that have one, its explorer (explore_PROTOCOL). Every CHECK_OR and holds() of src/proto/PROTOCOL is switched off once, every save() and
note() once delayed behind the next thing that leaves. A place is killed if a program fails or crashes. One that does not
end in its time is run again at the end, with nothing beside it: if it does not end then either, that counts, and is said.
What survives, and what no test reaches, is a missing test or a useless check: exit code 1.
"""

import argparse
import concurrent.futures
import enum
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHECK = re.compile(r"\bCHECK_OR\(|\bholds\(|\bt\.(?:save|note)\(")
NOT_THE_PROTOCOL = re.compile(r"(_test|_fuzz|_testing)\.(cc|h)$|^(pair\.(cc|h)|misbehave\.h)$")
EXPLORERS = {"est": ("--loss", "0", "--crash", "1", "--failure", "0")}
TIME_LIMIT_S = 60


class End(enum.Enum):
    """How a program ended."""
    WELL = enum.auto()
    FAILED = enum.auto()
    LATE = enum.auto()  # it was stopped


def programs(build, protocol):
    """What may notice: each suite of the tests by itself, and the explorer if there is one."""
    tests = pathlib.Path(build) / "tests"
    unit = str(tests / f"{protocol}_tests")
    names = subprocess.run([unit, "--gtest_list_tests"], capture_output=True, text=True, check=True).stdout.splitlines()
    suites = [name.split("#")[0].strip() for name in names if re.match(r"\S+\.(\s|$)", name)]
    explorers = [[str(tests / f"explore_{protocol}"), *EXPLORERS[protocol]]] if protocol in EXPLORERS else []
    return [[unit, f"--gtest_filter={suite}*", "--gtest_brief=1", "--gtest_fail_fast"] for suite in suites] + explorers


def check_fresh(commands, protocol):
    """Ends the script if a program is older than the sources: lines would not be where it says."""
    newest = max(f.stat().st_mtime for f in (ROOT / "src" / "proto" / protocol).iterdir()
                 if f.suffix in (".cc", ".h") and not NOT_THE_PROTOCOL.search(f.name))
    for command in commands:
        program = pathlib.Path(command[0])
        if not program.exists() or program.stat().st_mtime < newest:
            sys.exit(f"{program} is not built, or older than the sources")


def run(command, **environment):
    """How the program ended."""
    try:
        done = subprocess.run(
            command, env=os.environ | environment, timeout=TIME_LIMIT_S,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        return End.LATE
    return End.WELL if done.returncode == 0 else End.FAILED


def statement_end(lines, start):
    """The line on which the statement ends that begins on line `start` (both counted from 0)."""
    depth = 0
    for at in range(start, min(start + 12, len(lines))):
        text = lines[at][CHECK.search(lines[at]).start():] if at == start else lines[at]
        depth += text.count("(") - text.count(")")
        if depth <= 0:
            return at
    return start


def places_in_source(protocol):
    """Each check: its file, first and last line, and text."""
    found = []
    for file in sorted((ROOT / "src" / "proto" / protocol).iterdir()):
        if file.suffix not in (".cc", ".h") or NOT_THE_PROTOCOL.search(file.name):
            continue
        lines = file.read_text(encoding="utf-8").splitlines()
        name = str(file.relative_to(ROOT))
        for at, line in enumerate(lines):
            if CHECK.search(line) and not line.lstrip().startswith(("//", "#")):
                found.append((name, at + 1, statement_end(lines, at) + 1, line.strip()))
    return found


def places_reached(commands, protocol):
    """Each command with the places that it meets, as it names them, the quickest first; ends the script if one fails
    unmutated. What does not meet a place cannot notice that it is switched off."""
    out = []
    for command in commands:
        with tempfile.TemporaryDirectory() as folder:
            listing = pathlib.Path(folder) / "places"
            begun = time.monotonic()
            end = run(command, IMPRINT_MUTATE_LIST=str(listing))
            if end != End.WELL:
                sys.exit(f"{' '.join(command)} {'does not end in time' if end == End.LATE else 'fails'} as it is")
            met = listing.read_text().split() if listing.exists() else []
            out.append((time.monotonic() - begun, command, {p for p in met if p.startswith(f"src/proto/{protocol}/")}))
    if not any(met for _, _, met in out):
        sys.exit("no place was met: is the build configured with -DIMPRINT_MUTATE=ON?")
    return [(command, met) for _, command, met in sorted(out, key=lambda one: one[0])]


def reached_within(reached, file, first, last):
    """The name of the place that lies within these lines, or None."""
    for line in range(first, last + 1):
        if f"{file}:{line}" in reached:
            return f"{file}:{line}"
    return None


def killer(commands, place):
    """The first that does not end well, and how it ended; (None, End.WELL) if all do."""
    for command, met in commands:
        if place in met:
            end = run(command, IMPRINT_MUTATE_AT=place)
            if end != End.WELL:
                suite = re.match(r"--gtest_filter=(.*)\.\*", command[1])
                return suite[1] if suite else pathlib.Path(command[0]).name, end
    return None, End.WELL


def verdicts(commands, places, jobs):
    """For each place its killer and how that ended, as they become known: those that took too long at the end."""
    late = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        ends = pool.map(lambda one: killer(commands, one[0]) if one[0] else (None, End.WELL), places)
        for one, (by, end) in zip(places, ends):
            if end == End.LATE:
                late.append(one)
            else:
                yield one, by, end
    for one in late:
        yield one, *killer(commands, one[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build-asan"))
    parser.add_argument("--tap", action="store_true", help="one TAP line a place")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="places tried at the same time")
    parser.add_argument("--protocol", default="est")
    parser.add_argument("--only", help="one place, FILE:LINE, in place of all")
    options = parser.parse_args()
    commands = programs(options.build, options.protocol)
    check_fresh(commands, options.protocol)
    commands = places_reached(commands, options.protocol)
    reached = set().union(*(met for _, met in commands))
    places = []
    for file, first, last, text in places_in_source(options.protocol):
        place = reached_within(reached, file, first, last)
        if not options.only or options.only in (place, f"{file}:{first}"):
            places.append((place, f"{file}:{first}", text))
    survived = late = 0
    for number, ((place, where, text), by, end) in enumerate(verdicts(commands, places, options.jobs), 1):
        verdict = f"killed by {by}" if by else "SURVIVED" if place else "NOT REACHED"
        if end == End.LATE:
            verdict += f", which did not end in {TIME_LIMIT_S} s with nothing beside it"
        survived += by is None
        late += end == End.LATE
        if options.tap:
            print(f"{'ok' if by else 'not ok'} {number} - {where} {verdict}", flush=True)
        else:
            print(f"{verdict:25} {where}  {text[:100]}", flush=True)
    print(f"1..{len(places)}" if options.tap else
          f"{len(places) - survived} killed, {late} of them by not ending; {survived} survived")
    return 1 if survived or not places else 0


if __name__ == "__main__":
    sys.exit(main())
