"""What one entry of the action catalogue says: parameters with their bounds, risk, downtime, and what undoes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sentinel.plans import Risk, Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerParam:
    """A whole number within [low, high]."""

    low: int
    high: int

    def problem(self, value: Scalar) -> str:
        """Why `value` does not fit, or an empty string."""
        if not isinstance(value, int) or isinstance(value, bool):
            return f"must be a whole number, not {value!r}"
        return "" if self.low <= value <= self.high else f"must be between {self.low} and {self.high}, not {value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextParam:
    """A short text that matches `pattern` as a whole."""

    pattern: str

    def problem(self, value: Scalar) -> str:
        """Why `value` does not fit, or an empty string."""
        if not isinstance(value, str):
            return f"must be a text, not {value!r}"
        return "" if re.fullmatch(self.pattern, value) else f"must match {self.pattern}, not {value!r}"


Param = IntegerParam | TextParam
"""The type and bounds of one parameter; every parameter is required."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionType:
    """One entry: `expected_downtime` in seconds; `inverse` names the type that undoes it, empty where nothing does.

    `plannable` is False for types that exist only to undo another. `backend` names the only executor that knows the
    type; empty where any may.
    """

    name: str
    text: str
    params: Mapping[str, Param]
    risk: Risk
    expected_downtime: float
    inverse: str = ""
    plannable: bool = True
    backend: str = ""

    @property
    def reversible(self) -> bool:
        """Whether the pre-state can be put back."""
        return bool(self.inverse)

    def belongs(self, backend: str) -> bool:
        """Whether a target of this backend can be acted on by it at all."""
        return self.backend in ("", backend)
