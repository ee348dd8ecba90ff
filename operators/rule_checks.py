"""Mistakes that a valid set of rules can still have: rules that nothing can reach, and rules that watch nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from operators.rules import Match, Rule
from sentinel.series import Series


def unreachable(rules: Mapping[str, Rule]) -> dict[str, str]:
    """Rules that can never have a series, each with the earlier rule that takes all of theirs.

    Only what is certain: every name pattern of the later rule is itself matched by one of the earlier rule, and so is every
    label that the earlier rule asks for. Rules with bracket patterns are passed over.
    """
    found: dict[str, str] = {}
    names = list(rules)
    for index, later in enumerate(names):
        earlier = next((name for name in names[:index] if _takes_all(rules[name].match, rules[later].match)), None)
        if earlier is not None:
            found[later] = earlier
    return found


def watching_nothing(rules: Mapping[str, Rule], known: Iterable[Series]) -> dict[str, list[tuple[Series, str]]]:
    """Rules that have none of the known series, each with those that it matches and the earlier rule that has them."""
    having: dict[str, list[tuple[Series, str]]] = {name: [] for name in rules}
    watching: set[str] = set()
    for series in known:
        matching = [name for name, rule in rules.items() if rule.match.covers(series)]
        watching.update(matching[:1])
        for name in matching[1:]:
            having[name].append((series, matching[0]))
    return {name: taken for name, taken in having.items() if name not in watching}


def _takes_all(earlier: Match, later: Match) -> bool:
    if not all(_within(pattern, earlier.names) for pattern in later.names):
        return False
    return all(
        pattern == "*" or (label in later.labels and _within(later.labels[label], (pattern,)))
        for label, pattern in earlier.labels.items()
    )


def _within(pattern: str, others: Iterable[str]) -> bool:
    """Whether all that `pattern` matches is surely matched by one of `others`."""
    return "[" not in pattern and any(
        other == pattern or ("[" not in other and fnmatchcase(pattern, other.replace("?", "[!*]"))) for other in others
    )
