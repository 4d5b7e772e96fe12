"""Methods made of generated functions: other results, the same signature and documentation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Method(Protocol[P, R_co]):
    """A function in a class body, seen from outside: asked of an instance, it takes `P` and gives `R_co`."""

    def __get__(self, instance: object, owner: type | None = None, /) -> Callable[P, R_co]:
        """Bind the function to `instance`."""
        ...


def derive(
    fn: Callable[..., Any], make: Callable[[Any, tuple[Any, ...], dict[str, Any]], Any], *, returns: Any, note: str
) -> Any:
    """Return a function that looks like `fn`, returns what `make` makes of its arguments, and is documented as such.

    Args:
        fn: The generated function.
        make: Takes the namespace, the positional and the keyword arguments.
        returns: The return annotation.
        note: A paragraph for the end of the docstring.
    """

    @wraps(fn)
    def method(client: Any, /, *args: Any, **kwargs: Any) -> Any:
        return make(client, args, kwargs)

    method.__doc__ = f"{inspect.cleandoc(fn.__doc__ or '')}\n\n{note}".lstrip()
    method.__annotations__ = {**fn.__annotations__, "return": returns}
    method.__dict__["__signature__"] = inspect.signature(fn).replace(return_annotation=returns)
    return method
