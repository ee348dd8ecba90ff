"""How a numba kernel is declared: compiled on its first call, so that importing a pure module stays cheap."""

from __future__ import annotations

import functools
import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R], *parts: Callable[..., Any]) -> Callable[P, R]:
    """Compile `function` with numba (`nogil`, machine code kept beside the module) when it is first called.

    The first call costs 0.3 s from the cache and a few seconds without it. The plain function stays in `__wrapped__`.
    A kernel cannot call another kernel; `parts` are the plain functions that it (and they) call by their names. A kernel
    with parts cannot make arrays: it is compiled without numba's reference counting, whose atomic counts at every call of a
    part cost more than the parts.
    """

    @functools.cache
    def compiled() -> Callable[P, R]:
        numba = importlib.import_module("numba")
        njit = functools.partial(numba.njit, nogil=True, error_model="numpy", **({"_nrt": False} if parts else {}))
        body = _with_parts(cast("FunctionType", function), cast("tuple[FunctionType, ...]", parts), njit)
        jitted: Callable[P, R] = njit(cache=True)(body)
        return jitted

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return compiled()(*args, **kwargs)

    return call


def _with_parts(function: FunctionType, parts: tuple[FunctionType, ...], njit: Any) -> FunctionType:
    """The function with the names of its parts bound to compiled ones. Each part may call those before it.

    Numba keeps machine code under the function's name and does not see when a part in another file changes, so that name
    gets a digest of the files.
    """
    if not parts:
        return function
    names: dict[str, Any] = {}
    for part in parts:
        bound = FunctionType(part.__code__, {**part.__globals__, **names}, part.__name__)
        names[part.__name__] = njit()(bound)
    body = FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__)
    files = sorted({part.__code__.co_filename for part in parts})
    digest = hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:12]
    body.__module__, body.__qualname__ = function.__module__, f"{function.__name__}_{digest}"
    return body
