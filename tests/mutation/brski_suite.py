#!/usr/bin/env python3
"""Every check of BRSKI, switched off in turn: something has to notice each time."""
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.exit(subprocess.run([sys.executable, ROOT / "tests" / "mutate.py", "--protocol", "brski", "--tap"]).returncode)
