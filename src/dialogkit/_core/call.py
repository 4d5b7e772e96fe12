"""One request as data: what an operation is, and what a caller asked of it.

Generated code builds a `Call` and hands it to whatever satisfies `Caller`; everything that happens after that
(encoding, credentials, limits, retries, decoding) is the business of `dialogkit._core.sending`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, TypeAlias, TypeVar

from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import pydantic
else:
    pydantic = LazyModule("pydantic")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

RetrySafety: TypeAlias = Literal["safe", "idempotent", "never-after-sent"]
"""`safe`: changes nothing. `idempotent`: twice is the same as once. `never-after-sent`: twice may be twice."""

Place: TypeAlias = Literal["path", "query", "body"]
"""Where an argument is put."""
BodyEncoding: TypeAlias = Literal["json", "form", "multipart"]
AnswerKind: TypeAlias = Literal["json", "text", "bytes", "none", "raw"]
Progress: TypeAlias = Callable[[int, "int | None"], object]
"""Called as bytes move, with the bytes so far and the total if it is known."""


class Omit(Enum):
    """The type of `OMIT`; an enum so that type checkers can tell it from every other value."""

    OMIT = "OMIT"

    def __repr__(self) -> str:
        return "OMIT"

    def __bool__(self) -> bool:
        return False


OMIT: Final = Omit.OMIT
"""Stands for "not given" in a request body, where `None` means JSON null."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation(Generic[T_co]):
    """What the specification says about one endpoint: a constant of the generated code.

    The callables return pydantic types and are not called before the operation is first used, so that importing an
    SDK builds no model.
    """

    id: str
    """What users write for it, `conversations.search`; its function's name where no client offers it."""
    function: str = ""
    """The generated function's name, which is the operation's id in the document; the same unless given."""
    method: str
    path: str
    """The path's template in Python names, `/conversations/{conversation_id}`; its slashes are kept exactly."""
    retry: RetrySafety
    tag: str = ""
    answer: AnswerKind = "json"
    result: Callable[[], Any] | None = None
    """The type of the result, for `answer="json"`."""
    path_arguments: Callable[[], Any] | None = None
    """The model that validates and encodes what stands in the path, unless it is plain strings."""
    query: Callable[[], Any] | None = None
    """The model that validates and encodes the query parameters."""
    headers: Callable[[], Any] | None = None
    """The model that validates and encodes header parameters."""
    body: Callable[[], Any] | None = None
    """The type that validates and encodes the request body."""
    encoding: BodyEncoding = "json"
    files: tuple[str, ...] = ()
    """Arguments of a multipart body that are files."""
    account: tuple[Place, str] | None = None
    """Where the argument is that names the account which a call is about, and what it is called."""
    from_client: Mapping[str, Place] = field(default_factory=dict[str, Any])
    """Arguments that the client fills in when the caller leaves them out, and where each belongs."""
    required_from_client: frozenset[str] = frozenset()
    """Those of `from_client` without which the call cannot be made."""
    authenticated: bool = True
    unwrap: str | None = None
    """The result is the value of this property of the answer (an answer that is not wrapped is taken as it is)."""
    also_wrapped_in: tuple[str, ...] = ()
    """Other properties in which the result may stand, where nothing of it stands at the top of the answer."""
    items: str | None = None
    """The items of a list are in this property of the result (a bare array is read as that property)."""
    single_as_list: bool = False
    """The result is a list; one object alone is read as a list of one."""

    def __post_init__(self) -> None:
        if not self.function:
            object.__setattr__(self, "function", self.id)

    @cached_property
    def result_adapter(self) -> pydantic.TypeAdapter[Any]:
        """Validates and decodes the result."""
        return pydantic.TypeAdapter(self.result() if self.result is not None else Any)

    @cached_property
    def path_adapter(self) -> pydantic.TypeAdapter[Any] | None:
        """Validates and encodes what stands in the path."""
        return None if self.path_arguments is None else pydantic.TypeAdapter(self.path_arguments())

    @cached_property
    def query_adapter(self) -> pydantic.TypeAdapter[Any] | None:
        """Validates and encodes the query parameters."""
        return None if self.query is None else pydantic.TypeAdapter(self.query())

    @cached_property
    def headers_adapter(self) -> pydantic.TypeAdapter[Any] | None:
        """Validates and encodes the header parameters."""
        return None if self.headers is None else pydantic.TypeAdapter(self.headers())

    @cached_property
    def body_adapter(self) -> pydantic.TypeAdapter[Any] | None:
        """Validates and encodes the request body."""
        return None if self.body is None else pydantic.TypeAdapter(self.body())


F = TypeVar("F", bound=Callable[..., Any])


def calls(operation: Operation[Any]) -> Callable[[F], F]:
    """Decorate the function that calls `operation`, so that what is made of the function knows what it is."""

    def mark(fn: F) -> F:
        fn.__dict__["operation"] = operation
        return fn

    return mark


def name_of(fn: Callable[..., Any]) -> str:
    """Return what users write for what a function calls."""
    operation = fn.__dict__.get("operation")
    return operation.id if isinstance(operation, Operation) else fn.__name__


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """What one call may do differently from its client. `None` means "as the client does"."""

    timeout: float | None = None
    """Seconds that one attempt may take to connect, then for each piece of the request, then for each of the answer;
    ten times as long as a whole, unless the answer is taken as a stream or written to a file."""
    deadline: float | None = None
    """Seconds that the whole call may take, with waits and repeated attempts."""
    headers: Mapping[str, str] | None = None
    """More request headers; they win over the client's own, except `Authorization`."""
    api_version: str | None = None
    """Another value for the platform's version header, where it has one."""
    strict: bool | None = None
    """Raise `ResponseValidationError` when an answer does not match the document."""


@dataclass(frozen=True)
class Position:
    """Where a list goes on."""

    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The arguments, under their Python names, that fetch the next page; they win over the caller's."""
    seen: int = 0
    """Rows that came before."""
    total: int | None = None
    """The most rows that any page so far has announced."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T_co]):
    """One request, before anything is encoded. Arguments stand under their Python names."""

    operation: Operation[T_co]
    path: Mapping[str, Any] = field(default_factory=dict[str, Any])
    query: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    body: Any = OMIT
    """A mapping of arguments for a body that is an object (`OMIT` values are left out), else the body itself."""
    resume: str | Position | None = None
    """Where to go on in a list: a position as a pager knows it, or a cursor, which is its text as users keep it."""
    on_progress: Progress | None = None
    options: CallOptions | None = None
    """A plain mapping of the same names will do, too; it is checked when the call is sent."""


class Caller(Protocol):
    """What generated functions need: something that turns a call into its result."""

    def call(self, call: Call[T], /) -> Coroutine[Any, Any, T]:
        """Send `call` and return its decoded result.

        Where the operation's answer is bytes, that is the answer as an open stream, which the caller closes.
        """
        ...
