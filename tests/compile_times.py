#!/usr/bin/env python3
"""`tests/compile_times.py BUILD_FOLDER… [--only TEXT] [--over SECONDS]`: what each file costs to compile.

Compiles every file of each folder's compile_commands.json, one after the other and past any ccache, and prints the user
CPU seconds of the compiler, dearest first. User time says the same on a busy machine as on a quiet one, nearly.
No file may take over 10 s. The object files stay as they are.
"""
import argparse
import json
import os
import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path


def compile_seconds(entry):
    command = shlex.split(entry["command"])
    if Path(command[0]).name == "ccache":
        command = command[1:]
    command[command.index("-o") + 1] = os.devnull
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(command, cwd=entry["directory"])
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    return seconds if done.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="BUILD_FOLDER")
    parser.add_argument("--only", default="", metavar="REGEX", help="only files whose path holds this")
    parser.add_argument("--over", type=float, default=8, metavar="SECONDS", help="print those over so many; default 8")
    args = parser.parse_args()
    failed = 0
    for folder in args.folders:
        entries = json.loads((Path(folder) / "compile_commands.json").read_text())
        timed = []
        for entry in entries:
            if not re.search(args.only, entry["file"]):
                continue
            seconds = compile_seconds(entry)
            failed += seconds is None
            timed.append((seconds or 0, os.path.relpath(entry["file"])))
            print(f"{timed[-1][0]:6.1f} {timed[-1][1]}", file=sys.stderr, flush=True)
        print(f"{folder}: {len(timed)} files, {sum(s for s, _ in timed):.0f} s in all; over {args.over:g} s:")
        for seconds, name in sorted(timed, reverse=True):
            if seconds > args.over:
                print(f"{seconds:6.1f} {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
