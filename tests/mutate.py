#!/usr/bin/env python3
"""Switches off each check of a protocol in turn, and says whether any test notices.

usage: mutate.py [--build FOLDER] [--protocol est] [--only FILE[:LINE]] [--every N] [--tap]

FOLDER (build-asan) is a build folder configured with -DIMPRINT_MUTATE=ON that holds the protocol's tests (PROTOCOL_tests)
and, for those that have one, its explorer (explore_PROTOCOL). Every CHECK_OR and holds() of src/proto/PROTOCOL is switched off once, every save() and
note() once delayed behind the next thing that leaves. A place is killed if a program fails or crashes. One that does not
end in its time is run again at the end, with nothing beside it: if it does not end then either, that counts, and is said.
Only what meets a place is run for it. A program that says which of its tests meets what (src/base/mutation_testing.cc) is run
test by test, those first that are quick and meet little else, the ones of COSTLY last.
What survives, and what no test reaches, is a missing test or a useless check: exit code 1.
"""

import argparse
import concurrent.futures
import dataclasses
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
NOT_THE_PROTOCOL = re.compile(r"(_test|_fuzz|_testing)\.(cc|h)$|^((brski_)?pair(_servers)?\.(cc|h)|misbehave\.h)$")
EXPLORERS = {"est": ("--loss", "0", "--crash", "1", "--failure", "0")}
# Tests that take longest, and what others are called that meet the same: these are not asked what they meet, and are run
# only if no other noticed.
COSTLY = {"brski": (("Misbehave.in_jws_and_cose_*", "Masa/Twin."), ("Artifact.cut_short_is_none", "Artifact."),
                    ("Pledge.a_power_cut_after_any_action_*", "Pledge."), ("Trio/PowerCut.*/masa_*", "Trio."),
                    ("Trio/PowerCut.*/registrar_*", "Trio."), ("Trio/PowerCut.*/pledge_cose_*", "Trio."),
                    ("Artifact.a_flipped_bit_*", "Artifact."), ("Trio/PowerCut.*/pledge_jws_*", "Trio."),
                    ("Trio/PowerCut.*/pledge_cms_*", "Trio."))}
TIME_LIMIT_S = 60  # of one run, and ten times as long again as its tests took as they are
AS_IT_IS_LIMIT_S = 400
BATCHES_S = (1, 4, 15)  # tests are run together up to so many seconds' worth; what is left, at once


class End(enum.Enum):
    """How a program ended."""
    WELL = enum.auto()
    FAILED = enum.auto()
    LATE = enum.auto()  # it was stopped


@dataclasses.dataclass
class Part:
    """Tests that are run together: what they are called, how they are run, how long that takes, and the places they meet."""
    name: str
    command: list
    seconds: float = 0.0
    met: set = dataclasses.field(default_factory=set)
    alone: bool = False


def unit_of(build, protocol):
    return str(pathlib.Path(build) / "tests" / f"{protocol}_tests")


def chosen(unit, *patterns):
    return [unit, f"--gtest_filter={':'.join(patterns)}", "--gtest_brief=1", "--gtest_fail_fast"]


def programs(build, protocol):
    """What may notice: each suite of the tests by itself, and the explorer if there is one."""
    unit = unit_of(build, protocol)
    names = subprocess.run([unit, "--gtest_list_tests"], capture_output=True, text=True, check=True).stdout.splitlines()
    suites = [name.split("#")[0].strip() for name in names if re.match(r"\S+\.(\s|$)", name)]
    explorer = [str(pathlib.Path(build) / "tests" / f"explore_{protocol}"), *EXPLORERS.get(protocol, ())]
    return ([Part(suite[:-1], chosen(unit, f"{suite}*")) for suite in suites]
            + ([Part(pathlib.Path(explorer[0]).name, explorer)] if protocol in EXPLORERS else []))


def check_fresh(parts, protocol):
    """Ends the script if a program is older than the sources: lines would not be where it says."""
    newest = max(f.stat().st_mtime for f in (ROOT / "src" / "proto" / protocol).iterdir()
                 if f.suffix in (".cc", ".h") and not NOT_THE_PROTOCOL.search(f.name))
    for name in {part.command[0] for part in parts}:
        program = pathlib.Path(name)
        if not program.exists() or program.stat().st_mtime < newest:
            sys.exit(f"{program} is not built, or older than the sources")


def run(command, limit, **environment):
    """How the program ended, and what it said."""
    try:
        done = subprocess.run(
            command, env=os.environ | environment, timeout=limit, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        return End.LATE, ""
    return End.WELL if done.returncode == 0 else End.FAILED, done.stdout


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


def of_protocol(lines, protocol):
    return {line for line in lines if line.startswith(f"src/proto/{protocol}/")}


def listing_of(command, **environment):
    """What the program writes of the places that it meets; ends the script if it fails unmutated."""
    with tempfile.TemporaryDirectory() as folder:
        listing = pathlib.Path(folder) / "places"
        end, said = run(command, AS_IT_IS_LIMIT_S, IMPRINT_MUTATE_LIST=str(listing), **environment)
        if end != End.WELL:
            sys.exit(f"{' '.join(command)} {'does not end in time' if end == End.LATE else 'fails'} as it is\n{said}")
        return listing.read_text().splitlines() if listing.exists() else []


def places_reached(parts, protocol):
    """The parts with the places that they meet, as they name them, the quickest first. What does not meet a place cannot
    notice that it is switched off."""
    for part in parts:
        begun = time.monotonic()
        part.met = of_protocol(listing_of(part.command), protocol)
        part.seconds = time.monotonic() - begun
    return sorted(parts, key=lambda part: part.seconds)


def tests_reached(unit, protocol, jobs):
    """The same test by test, those first that are quick and meet little; nothing if the program does not name its tests."""
    if protocol not in COSTLY:
        return []
    costly = COSTLY[protocol]
    command = [unit, f"--gtest_filter=-{':'.join(name for name, _ in costly)}", "--gtest_brief=1"]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        listings = pool.map(lambda shard: listing_of(command, GTEST_TOTAL_SHARDS=str(jobs), GTEST_SHARD_INDEX=str(shard)),
                            range(jobs))
        lines = [line for listing in listings for line in listing]
    tests = []
    for line in lines:
        if line.startswith("test "):
            tests.append(Part(line[5:], chosen(unit, line[5:])))
        elif line.startswith("took "):
            tests[-1].seconds = int(line[5:]) / 1000
        elif tests:
            tests[-1].met |= of_protocol([line], protocol)
    tests.sort(key=lambda test: (test.seconds + 0.01) * len(test.met))
    return tests + [Part(name, chosen(unit, name), 10.0, set().union(*(t.met for t in tests if t.name.startswith(like))), True)
                    for name, like in costly] if tests else []


def reached_within(reached, file, first, last):
    """The name of the place that lies within these lines, or None."""
    for line in range(first, last + 1):
        if f"{file}:{line}" in reached:
            return f"{file}:{line}"
    return None


def batches(tests):
    """Tests that are run in one go: one process costs more than most of them."""
    now, seconds, limits = [], 0.0, list(BATCHES_S)
    for test in tests:
        if now and (test.alone or now[0].alone or (limits and seconds + test.seconds > limits[0])):
            yield now
            now, seconds, limits = [], 0.0, limits[1:]
        now.append(test)
        seconds += test.seconds
    if now:
        yield now


def killer(parts, place, in_batches):
    """The first that does not end well, and how it ended; (None, End.WELL) if all do."""
    meeting = [part for part in parts if place in part.met]
    for batch in batches(meeting) if in_batches else ([part] for part in meeting):
        command = chosen(batch[0].command[0], *(part.name for part in batch)) if in_batches else batch[0].command
        limit = TIME_LIMIT_S + 10 * sum(part.seconds for part in batch)
        end, said = run(command, limit, IMPRINT_MUTATE_AT=place)
        if end != End.WELL:
            failed = re.search(r"^\[  FAILED  \] ([^ ,]+)", said, re.M)
            return failed[1] if failed else batch[0].name + (" or after" if len(batch) > 1 else ""), end
    return None, End.WELL


def verdicts(parts, places, jobs, in_batches):
    """For each place its killer and how that ended, as they become known: those that took too long at the end."""
    late = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        ends = pool.map(lambda one: killer(parts, one[0], in_batches) if one[0] else (None, End.WELL), places)
        for one, (by, end) in zip(places, ends):
            if end == End.LATE:
                late.append(one)
            else:
                yield one, by, end
    for one in late:
        yield one, *killer(parts, one[0], in_batches)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build-asan"))
    parser.add_argument("--tap", action="store_true", help="one TAP line a place")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="places tried at the same time")
    parser.add_argument("--protocol", default="est")
    parser.add_argument("--only", action="append", help="a place, FILE:LINE, or those of a file, in place of all; may be repeated")
    parser.add_argument("--every", type=int, default=1, help="every so many places, in place of all")
    options = parser.parse_args()
    parts = programs(options.build, options.protocol)
    check_fresh(parts, options.protocol)
    tests = tests_reached(unit_of(options.build, options.protocol), options.protocol, options.jobs)
    parts = tests or places_reached(parts, options.protocol)
    reached = set().union(*(part.met for part in parts))
    if not reached:
        sys.exit("no place was met: is the build configured with -DIMPRINT_MUTATE=ON?")
    places = []
    for file, first, last, text in places_in_source(options.protocol):
        place = reached_within(reached, file, first, last)
        if not options.only or {place, file, f"{file}:{first}"} & set(options.only):
            places.append((place, f"{file}:{first}", text))
    places = places[::options.every]
    survived = late = 0
    for number, ((place, where, text), by, end) in enumerate(verdicts(parts, places, options.jobs, bool(tests)), 1):
        verdict = f"killed by {by}" if by else "SURVIVED" if place else "NOT REACHED"
        if end == End.LATE:
            verdict += f", which did not end in its time with nothing beside it"
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
