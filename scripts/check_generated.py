"""Checks that every generated file in the repository is what its generator writes today.

Each entry of GENERATED is a file and the command that prints its content. To add one, add a line.
`--write` writes the files instead of checking them. Exit code 1 when a file is missing or out of date.
"""

import argparse
import difflib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATED: list[tuple[str, list[str]]] = [
    ("api/openapi.json", ["-m", "api.openapi"]),
    ("config/aws/policies.json", ["-m", "sentinel.cli.app", "aws-policy", "config/aws/sentinel.yaml"]),
    ("config/sentinel.schema.json", ["-m", "sentinel.cli.app", "schema"]),
    ("docs/configuration.md", ["scripts/generate_configuration.py"]),
    ("docs/runbooks.md", ["scripts/generate_runbooks.py"]),
]


def generate(command: list[str]) -> str:
    """Returns what the command prints; it runs with this interpreter, in the root of the repository."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def difference(name: str, wanted: str) -> str:
    """Returns a unified diff from the file as it is to the wanted text; empty when they are the same."""
    path = ROOT / name
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(found.splitlines(), wanted.splitlines(), name, "generated", lineterm="", n=1)
    return "\n".join(lines)


def main() -> int:
    """Checks or writes every generated file; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the files instead of checking them")
    write = parser.parse_args().write
    stale = 0
    for name, command in GENERATED:
        wanted = generate(command)
        if write:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(wanted, encoding="utf-8")
        elif changes := difference(name, wanted):
            stale += 1
            print(changes[:4000])
            print(f"{name} is out of date: run scripts/check_generated.py --write and commit the result")
    print(f"generated files: {len(GENERATED)} {'written' if write else 'checked'}, {stale} out of date")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
