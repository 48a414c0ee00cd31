#!/usr/bin/env python3
"""Runs the test suites and counts what they say.

A suite is a GoogleTest binary of the sanitizer build, a fuzz target with a short run, or a script that prints TAP
(`ok 1 - name`, `not ok 2 - name`, `ok 3 - name # SKIP reason`). Ends with `N passed, N failed, N skipped`; the exit code
is 0 only if nothing failed and, with --all, nothing was skipped.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from seeds import write_seeds

ROOT = Path(__file__).resolve().parent.parent
ASAN = ROOT / "build-asan"
FUZZ_SECONDS = int(os.environ.get("FUZZ_SECONDS", "5"))
TIMEOUT_S = 600
# Suites that measure time or fill the machine run alone, after the others.
ALONE = {"cli/bench", "faults/kill9", "e2e/demo", "mutation/brski", "mutation/est"}


@dataclass
class Outcome:
    suite: str
    seconds: float = 0.0
    passed: int = 0
    failures: list = field(default_factory=list)
    skips: list = field(default_factory=list)
    log: str = ""


def environment():
    env = dict(os.environ)
    env["IMPRINT"] = str(ROOT / "build" / "imprint")
    env["IMPRINT_ASAN"] = str(ASAN / "imprint")
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    symbolizer = shutil.which("llvm-symbolizer-14")
    if symbolizer:
        env["ASAN_SYMBOLIZER_PATH"] = symbolizer
    return env


def suites():
    found = {}
    for binary in sorted((ASAN / "tests").glob("*_tests")):
        found["unit/" + binary.name[: -len("_tests")]] = ("gtest", [str(binary)])
    for binary in sorted((ASAN / "fuzz").glob("fuzz_*")):
        found["fuzz/" + binary.name[len("fuzz_"):]] = ("fuzz", [str(binary)])
    for script in sorted((ROOT / "tests").glob("*/**/*.sh")):
        if script.name not in ("common.sh", "peers.sh") and os.access(script, os.X_OK):
            found[str(script.relative_to(ROOT / "tests").with_suffix(""))] = ("tap", [str(script)])
    for script in sorted((ROOT / "tests").glob("*/**/*_suite.py")):
        name = str(script.relative_to(ROOT / "tests"))[: -len("_suite.py")]
        found[name] = ("tap", [sys.executable, str(script)])
    return found


def run_command(command, timeout):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(), cwd=ROOT,
                               stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        out, _ = process.communicate(timeout=timeout)
        return process.returncode, out.decode(errors="replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, _ = process.communicate()
        return -9, out.decode(errors="replace") + f"\ntimed out after {timeout} s"


def run_gtest(outcome, command):
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        code, outcome.log = run_command(command + [f"--gtest_output=json:{report.name}", "--gtest_brief=1"], TIMEOUT_S)
        text = Path(report.name).read_text()
    try:
        result = json.loads(text)
    except ValueError:
        outcome.failures.append(f"ended with code {code} before its report")
        return
    for group in result["testsuites"]:
        for test in group["testsuite"]:
            name = f"{group['name']}.{test['name']}"
            if test.get("failures"):
                outcome.failures.append(name)
            elif test.get("result") == "SKIPPED":
                outcome.skips.append(name)
            else:
                outcome.passed += 1
    if code != 0 and not outcome.failures:
        outcome.failures.append(f"ended with code {code}")


def run_fuzz(outcome, command):
    with tempfile.TemporaryDirectory() as corpus, tempfile.TemporaryDirectory() as scratch:
        write_seeds(outcome.suite.split("/")[1], corpus)
        code, outcome.log = run_command(command + [f"-max_total_time={FUZZ_SECONDS}", "-rss_limit_mb=2048", "-timeout=10",
                                                   f"-artifact_prefix={scratch}/", corpus], FUZZ_SECONDS + 115)
    if code == 0 and "Done " in outcome.log:
        outcome.passed += 1
    else:
        outcome.failures.append("a finding, see the log")


TAP = re.compile(r"^(not )?ok\b\s*(\d+)?\s*-?\s*(.*?)(?:\s*# SKIP\s*(.*))?$")


def run_tap(outcome, command):
    code, outcome.log = run_command(command, TIMEOUT_S)
    plan, seen = None, 0
    for line in outcome.log.splitlines():
        if re.match(r"^1\.\.\d+$", line):
            plan = int(line[3:])
        match = TAP.match(line)
        if not match:
            continue
        seen += 1
        if match.group(1):
            outcome.failures.append(match.group(3))
        elif match.group(4) is not None:
            outcome.skips.append(f"{match.group(3)}: {match.group(4)}")
        else:
            outcome.passed += 1
    if plan is None or plan != seen:
        outcome.failures.append(f"planned {plan} tests, saw {seen}")
    if code != 0 and not outcome.failures:
        outcome.failures.append(f"ended with code {code}")


def run_suite(name, kind, command):
    outcome = Outcome(name)
    begin = time.monotonic()
    {"gtest": run_gtest, "fuzz": run_fuzz, "tap": run_tap}[kind](outcome, command)
    outcome.seconds = time.monotonic() - begin
    verdict = "FAILED" if outcome.failures else "ok"
    print(f"{verdict:6} {name:32} {outcome.passed:5} passed {outcome.seconds:7.1f} s", flush=True)
    return outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", help="run only suites whose name contains one of these")
    parser.add_argument("--all", action="store_true", help="a skipped test fails")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    chosen = {n: s for n, s in suites().items() if not args.suites or any(w in n for w in args.suites)}
    if args.list:
        print("\n".join(chosen))
        return 0
    outcomes = []
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [pool.submit(run_suite, n, k, c) for n, (k, c) in chosen.items() if n not in ALONE]
        outcomes += [job.result() for job in jobs]
    outcomes += [run_suite(n, k, c) for n, (k, c) in chosen.items() if n in ALONE]

    for outcome in outcomes:
        if outcome.failures:
            print(f"\n---- {outcome.suite}: {', '.join(outcome.failures)}")
            print("\n".join(outcome.log.splitlines()[-80:]))
    skips = [(o.suite, s) for o in outcomes for s in o.skips]
    for suite, skip in skips:
        print(f"skipped {suite}: {skip}")
    print("\nslowest suites:")
    for outcome in sorted(outcomes, key=lambda o: -o.seconds)[:10]:
        print(f"  {outcome.seconds:7.1f} s  {outcome.suite}")
    passed = sum(o.passed for o in outcomes)
    failed = sum(len(o.failures) for o in outcomes)
    print(f"\n{passed} passed, {failed} failed, {len(skips)} skipped")
    return 1 if failed or (args.all and skips) or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
