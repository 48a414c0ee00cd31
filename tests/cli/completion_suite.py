#!/usr/bin/env python3
"""`imprint completion`: the bash script is sourced and asked as bash would; those of zsh and fish are looked at as text
and read by their shells, and fish is asked, too."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "faults"))
from common import check, finish, imprint, must, skip  # noqa: E402

ASK = r"""
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_imprint
printf '%s\n' "${COMPREPLY[@]}"
"""


def bash(script, folder, *words):
    out = subprocess.run(["bash", "--norc", "-c", ASK, "bash", str(script), *words], capture_output=True, text=True, cwd=folder,
                         timeout=30)
    return set(out.stdout.split("\n")) - {""} if not out.stderr else {"stderr", out.stderr}


def commands_of(*path):
    """What --help lists, as another witness of the tree."""
    text = must(*path, "--help")
    lines = text.split("Subcommands:", 1)[1].split("\n\n")[0].splitlines() if "Subcommands:" in text else []
    return {line.split()[0] for line in lines if line.startswith("  ") and line.split() and not line.startswith("   ")}


def in_bash(script, folder):
    (folder / "a file.toml").write_text("")
    (folder / "some-folder").mkdir()
    tops = commands_of()
    check("--help lists commands", {"device", "onboard", "completion"} <= tops, tops)
    got = bash(script, folder, "imprint", "")
    check("the commands are those of --help", got == tops, (got, tops))
    check("the beginning of a word chooses", bash(script, folder, "imprint", "de") == {"demo", "device"})
    for group in ("device", "ca", "audit", "config", "onboard"):
        got = bash(script, folder, "imprint", group, "")
        check(f"so are those of {group}", got == commands_of(group) and got, (got, commands_of(group)))
    check("options are offered after a dash", {"--server", "--watch", "--out", "--renew-before"} <= bash(script, folder, "imprint", "onboard", "est", "--"))
    check("global ones with them", {"--data", "--config", "--json"} <= bash(script, folder, "imprint", "onboard", "est", "--"))
    check("no others", "--server" not in bash(script, folder, "imprint", "device", "list", "--"))
    check("global options may stand before the command",
          bash(script, folder, "imprint", "--data", "device", "audit", "") == commands_of("audit"))
    check("a value with = is none of the commands", bash(script, folder, "imprint", "--data", "=", "device", "audit", "") == commands_of("audit"))
    check("choices are offered", bash(script, folder, "imprint", "ca", "crl", "--format", "") == {"pem", "der"})
    check("also after =", bash(script, folder, "imprint", "ca", "crl", "--format", "=", "p") == {"pem"})
    check("and those that only the type names", bash(script, folder, "imprint", "onboard", "est", "--server-key", "") == {"clear", "wrapped"})
    check("an argument has choices, too", bash(script, folder, "imprint", "completion", "") == {"bash", "zsh", "fish"})
    check("files, with blanks in them", bash(script, folder, "imprint", "--config", "a") == {"a file.toml"})
    check("also where a URI may stand", bash(script, folder, "imprint", "onboard", "est", "--key", "a") == {"a file.toml"})
    check("folders", bash(script, folder, "imprint", "--data", "") == {"some-folder"})
    check("nothing for a free text", bash(script, folder, "imprint", "onboard", "est", "--user", "") == set())
    check("an unknown word hinders nothing", "--help" in bash(script, folder, "imprint", "nonsense", "-"))


def shells(folder):
    for shell, words in (("zsh", ["#compdef imprint", "'imprint onboard est:--server'", "_describe"]),
                         ("fish", ["complete -c imprint -f", "-l renew-before", "'imprint onboard est'"])):
        path = folder / f"imprint.{shell}"
        path.write_text(must("completion", shell))
        check(f"the script of {shell} has what it needs", all(word in path.read_text() for word in words), path.read_text()[:500])
        if shutil.which(shell):
            out = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, timeout=30)
            check(f"{shell} reads it", out.returncode == 0, out.stderr)
        else:
            skip(f"{shell} reads it", f"no {shell} (Debian: {shell})")


def in_fish(folder):
    if not shutil.which("fish"):
        skip("fish offers commands, choices and options", "no fish (Debian: fish)")
        return

    def offered(line):
        out = subprocess.run(["fish", "--no-config", "-c", f"source {folder}/imprint.fish; complete -C '{line}'"], capture_output=True,
                             text=True, timeout=30, env=dict(os.environ, HOME=str(folder)))
        return {line.split("\t")[0] for line in out.stdout.splitlines()}
    check("fish offers the commands", offered("imprint ") == commands_of(), offered("imprint "))
    check("and those of a command", offered("imprint --json device ") == commands_of("device"), offered("imprint --json device "))
    check("and choices", offered("imprint ca crl --format ") == {"pem", "der"}, offered("imprint ca crl --format "))
    check("and options", {"--server", "--watch", "--data"} <= offered("imprint onboard est --"), offered("imprint onboard est --"))


def main():
    with tempfile.TemporaryDirectory(prefix="imprint-completion-") as name:
        folder = Path(name)
        script = folder / "imprint.bash"
        script.write_text(must("completion", "bash"))
        out = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, timeout=30)
        check("bash reads the script", out.returncode == 0, out.stderr)
        work = folder / "work"
        work.mkdir()
        in_bash(script, work)
        shells(folder)
        in_fish(folder)
        bad = imprint("completion", "tcsh")
        check("another shell is a usage error", bad.returncode == 2, bad.stderr)
        check("--json gives the script as a member", '"script"' in must("completion", "bash", "--json"))
    return finish()


if __name__ == "__main__":
    sys.exit(main())
