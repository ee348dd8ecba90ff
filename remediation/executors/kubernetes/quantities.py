"""Kubernetes' way to write amounts (`500m`, `1.5Gi`), as far as limits need it. Pure.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

from decimal import Decimal

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{letter: Decimal(1000) ** power for power, letter in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
}


def amount(text: str) -> Decimal:
    """The amount in bytes or cores.

    >>> amount("1.5Gi") == 1536 * 1024 ** 2, amount("250m"), amount("2e3") == 2000
    (True, Decimal('0.250'), True)
    """
    number = text.rstrip("numkKMGTPEi")
    return Decimal(number) * _SUFFIXES[text[len(number) :]]
