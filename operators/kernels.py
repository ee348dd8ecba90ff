"""How a numba kernel is declared: compiled on its first call, so that importing a pure module stays cheap."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with numba (`nogil`, machine code kept beside the module) when it is first called.

    The first call costs 0.3 s from the cache and a few seconds without it. The plain function stays in `__wrapped__`.
    A kernel cannot call another kernel.
    """

    @functools.cache
    def compiled() -> Callable[P, R]:
        numba = importlib.import_module("numba")
        jitted: Callable[P, R] = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
        return jitted

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return compiled()(*args, **kwargs)

    return call
