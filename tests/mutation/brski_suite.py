#!/usr/bin/env python3
"""Checks and save orders of BRSKI, switched off in turn: something has to notice each time. Every third of them; EVERY=1, like `./dev mutate brski`,
tries all."""
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.exit(subprocess.run([sys.executable, ROOT / "tests" / "mutate.py", "--protocol", "brski", "--every", os.environ.get("EVERY", "3"), "--tap"]).returncode)
