"""The OpenAPI document as the sandbox needs it: operations, and a router that finds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeGuard, cast
from urllib.parse import unquote, urlsplit

Json = dict[str, Any]

ROOT: Final = "urn:dialogkit:document"
"""The URI under which schemas find the document they are part of."""
METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True)
class Parameter:
    """One value that travels in the path, the query or a header."""

    name: str
    place: str
    required: bool
    schema: Json
    explode: bool
    tenant: bool
    """Whether it names the location, that is, whether the client fills it in by itself."""


@dataclass(frozen=True)
class DeclaredAnswer:
    """What the document says of one status: media types with their schemas."""

    content: Mapping[str, Json]


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    id: str
    tag: str
    method: str
    template: str
    parameters: tuple[Parameter, ...]
    body: Mapping[str, Json]
    """Media types that the body may have, with their schemas; empty when there is no body."""
    body_required: bool
    answers: Mapping[int, DeclaredAnswer]
    public: bool
    """Whether it needs no credential."""
    scopes: tuple[frozenset[str], ...] = ()
    """What a credential must be allowed: all of one of these sets. None for nothing in particular."""
    extensions: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def success(self) -> int:
        """The one status that says it worked."""
        return next(status for status in self.answers if 200 <= status < 300)


@dataclass(frozen=True)
class Match:
    """A path that the document has, with the values of its templated segments."""

    operations: Mapping[str, Operation]
    values: Mapping[str, str]


def is_object(value: Any) -> TypeGuard[Json]:
    """Say whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: Any) -> TypeGuard[list[Any]]:
    """Say whether a JSON value is an array."""
    return isinstance(value, list)


class Document:
    """A loaded OpenAPI document."""

    def __init__(self, raw: Json) -> None:
        self.raw = cast("Json", _absolute(raw))
        self.prefix = _path_of(self.raw["servers"][0]["url"]) if self.raw.get("servers") else ""
        """The path of the server, without a slash at its end: where the paths of requests begin."""
        self.operations = {operation.id: operation for operation in self._read()}
        self._routes = self._sorted_routes()

    def resolve(self, node: Any) -> Json:
        """Follow `$ref` until there is none."""
        while "$ref" in node:
            pointer = node["$ref"].removeprefix(f"{ROOT}#/")
            node = self.raw
            for step in pointer.split("/"):
                node = node[step.replace("~1", "/").replace("~0", "~")]
        return cast("Json", node)

    def find(self, raw_path: str) -> Match | None:
        """Find the path of a request, still percent-encoded: static segments go before templated ones.

        A templated segment takes anything but nothing, so a trailing slash counts.
        """
        if not raw_path.startswith(f"{self.prefix}/"):
            return None
        segments = raw_path[len(self.prefix) :].split("/")[1:]
        for template, operations in self._routes:
            if len(template) == len(segments):
                values = _values(template, segments)
                if values is not None:
                    return Match(operations, values)
        return None

    def _read(self) -> Iterator[Operation]:
        for template, item in self.raw["paths"].items():
            shared: list[Json] = item.get("parameters", [])
            for method in METHODS:
                if method in item:
                    yield self._operation(template, method, item[method], shared)

    def _operation(self, template: str, method: str, raw: Json, shared: list[Json]) -> Operation:
        body = self.resolve(raw.get("requestBody", {}))
        parameters = [self._parameter(each) for each in [*shared, *raw.get("parameters", [])]]
        security = cast("list[Mapping[str, list[str]]]", raw.get("security", self.raw.get("security", [])))
        return Operation(
            id=raw["operationId"],
            tag=raw["tags"][0],
            method=method.upper(),
            template=template,
            parameters=tuple({(each.place, each.name): each for each in parameters}.values()),
            body={media: content["schema"] for media, content in body.get("content", {}).items()},
            body_required=body.get("required", False),
            answers={
                int(status): DeclaredAnswer(
                    {media: each.get("schema", {}) for media, each in self.resolve(answer).get("content", {}).items()}
                )
                for status, answer in raw["responses"].items()
            },
            public=not security,
            scopes=_scopes(security),
            extensions={key: value for key, value in raw.items() if key.startswith("x-")},
        )

    def _parameter(self, node: Json) -> Parameter:
        raw = self.resolve(node)
        return Parameter(
            name=raw["name"],
            place=raw["in"],
            required=raw.get("required", False),
            schema=raw["schema"],
            explode=raw.get("explode", raw.get("style", "form") == "form"),
            tenant="x-from-client" in raw,
        )

    def _sorted_routes(self) -> list[tuple[tuple[str, ...], dict[str, Operation]]]:
        routes: dict[str, dict[str, Operation]] = {}
        for operation in self.operations.values():
            routes.setdefault(operation.template, {})[operation.method] = operation
        split = [(tuple(template.split("/")[1:]), operations) for template, operations in routes.items()]
        return sorted(split, key=lambda route: [segment.startswith("{") for segment in route[0]])


def _scopes(security: list[Mapping[str, list[str]]]) -> tuple[frozenset[str], ...]:
    """Return the scopes of each alternative; nothing if one of them asks for none."""
    alternatives = [frozenset(scope for scopes in each.values() for scope in scopes) for each in security]
    return tuple(alternatives) if all(alternatives) else ()


def _path_of(url: str) -> str:
    return urlsplit(url).path.rstrip("/")


def _values(template: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for wanted, given in zip(template, segments, strict=True):
        if wanted.startswith("{"):
            if not given:
                return None
            values[wanted[1:-1]] = unquote(given)
        elif wanted != unquote(given):
            return None
    return values


def _absolute(node: Any) -> Any:
    """Copy a document with its `$ref`s made absolute, so that any part of it can be validated by itself."""
    if is_object(node):
        return {k: ROOT + v if k == "$ref" and isinstance(v, str) else _absolute(v) for k, v in node.items()}
    if is_array(node):
        return [_absolute(each) for each in node]
    return node


def read_document(name: str) -> Document:
    """Load a document by its file name: the one packaged with dialogkit, else the checkout's.

    Raises:
        FileNotFoundError: There is neither.

    """
    packaged = resources.files("dialogkit.testing") / "openapi" / name
    checkout = Path(__file__).resolve().parents[4] / "openapi" / name
    for place in (packaged, checkout):
        if place.is_file():
            return _parse(place.read_text(encoding="utf-8"))
    raise FileNotFoundError(f"dialogkit has no OpenAPI document {name}: neither {packaged} nor {checkout} exists.")


@lru_cache(maxsize=4)
def _parse(text: str) -> Document:
    import yaml  # noqa: PLC0415 - of the extra, and nothing else here takes it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is a matter of how PyYAML was built
    return Document(cast("Json", yaml.load(text, Loader=loader)))  # noqa: S506 - both loaders are the safe ones
