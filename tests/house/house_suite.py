#!/usr/bin/env python3
"""The house rules as a suite: format, link lists, printed documents, the sources of rules, the table of seeds."""
import subprocess
import sys
from pathlib import Path

sys.exit(subprocess.run([sys.executable, str(Path(__file__).resolve().parent.parent / "check.py")]).returncode)
