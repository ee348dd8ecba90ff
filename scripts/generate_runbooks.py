"""Prints docs/runbooks.md: every key of a runbook, every action that it can name, and the runbooks that are shipped."""

import sys
from pathlib import Path

# A script's own folder comes first on the path; the rooms are one above.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from generate_configuration import one_line, section_page, walk

from remediation.action_types import ActionType, IntegerParam, Param
from remediation.catalogue import CATALOGUE
from remediation.runbooks import Runbook, load_runbooks

ROOT = Path(__file__).resolve().parent.parent
HEAD = """\
# Runbooks

Generated from the code by `scripts/generate_runbooks.py`; edit the docstrings and the files there, not this page.

A runbook says which faults it fits and what to do about them: one YAML file in the folder `remediation.runbooks`. It is the planner that works without a model. It proposes; the action catalogue below states risk,
downtime and reversibility, [policy](remediation.md) decides, and a person or `policy.automatic` lets it run. Mistakes are reported with `file:line` when the worker starts or `sentinel check FILE` reads them.

Of the runbooks that fit, one that was verified for the incident that this one repeats comes first, then the lowest `priority`. One that failed in this run is left out.
"""
ACTIONS = """\
## Actions

What a step may name. Its parameters are all required and checked against these bounds; risk, expected downtime and whether it can be undone are the catalogue's, never a planner's.

| action | where | what | parameters | risk | downtime | undo |
|---|---|---|---|---|---|---|
"""
SHIPPED = """\
## Shipped runbooks

In [`config/runbooks`](../config/runbooks), in the order in which they are tried.
"""


def bounds(param: Param) -> str:
    """What a parameter may be, as a cell of a table."""
    if isinstance(param, IntegerParam):
        return f"{param.low} to {param.high}"
    return "text of its own pattern"


def action_row(action: ActionType) -> str:
    """One line of the table of actions."""
    params = ", ".join(f"`{name}` ({bounds(param)})" for name, param in action.params.items()) or "none"
    downtime = f"{action.expected_downtime:g} s" if action.expected_downtime else "none"
    undo = f"`{action.inverse}`" if action.reversible else "no"
    where = action.backend or "any"
    return f"| `{action.name}` | {where} | {one_line(action.text)} | {params} | {action.risk.value} | {downtime} | {undo} |"


def main() -> None:
    """Prints the whole page."""
    pages = [
        section_page(place, model).replace("## The file\n", "## The file of a runbook\n")
        for place, model in walk(Runbook)
    ]
    print("\n".join([HEAD, *pages]))
    print(ACTIONS, end="")
    for action in sorted(CATALOGUE.values(), key=lambda one: one.name):
        if action.plannable:
            print(action_row(action))
    print(f"\n{SHIPPED}", end="")
    for book in load_runbooks(ROOT / "config" / "runbooks"):
        file = next(
            path for path in (ROOT / "config" / "runbooks").glob("*.yaml") if f"name: {book.name}\n" in path.read_text()
        )
        print(f"\n### {book.name}: {book.title}\n\n```yaml runbook\n{file.read_text().strip()}\n```")


if __name__ == "__main__":
    main()
