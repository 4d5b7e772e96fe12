"""Tracebacks that show nobody a credential, and notes for Pythons that have none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from types import TracebackType
from typing import cast


def note(exc: BaseException, text: str) -> None:
    """Add a note to an exception; before Python 3.11 it is only kept, in `__notes__`, and not shown."""
    if sys.version_info >= (3, 11):
        exc.add_note(text)
    else:
        vars(exc).setdefault("__notes__", []).append(text)


def leave_out(exc: BaseException, modules: frozenset[str]) -> None:
    """Take the frames of some modules, and of all below them, out of the tracebacks of `exc` and what led to it.

    A frame that an exception keeps keeps its variables, and tools that report errors show them.
    """
    for each in _chain(exc):
        each.__traceback__ = _without(each.__traceback__, modules)


def _chain(exc: BaseException) -> Iterator[BaseException]:
    known: set[int] = set()
    waiting: list[BaseException | None] = [exc]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in known:
            known.add(id(each))
            yield each
            waiting += (each.__cause__, each.__context__)
            waiting += cast("tuple[BaseException, ...]", getattr(each, "exceptions", ()))


def _without(trace: TracebackType | None, modules: frozenset[str]) -> TracebackType | None:
    frames: list[TracebackType] = []
    while trace is not None:
        if not _is_of(str(trace.tb_frame.f_globals.get("__name__", "")), modules):
            frames.append(trace)
        trace = trace.tb_next
    kept = None
    for each in reversed(frames):
        kept = each if each.tb_next is kept else TracebackType(kept, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return kept


@lru_cache(maxsize=1024)
def _is_of(name: str, modules: frozenset[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in modules)
