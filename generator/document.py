"""A document as data, with the line of every place in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, cast

import yaml

JsonObject = dict[str, Any]


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Whether `value` is a mapping of the document."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether `value` is a list of the document."""
    return isinstance(value, list)


def as_object(value: object) -> JsonObject:
    """Return `value` when it is a mapping, else an empty one: other rules report what is malformed."""
    return value if is_object(value) else {}


def as_list(value: object) -> list[Any]:
    """Return `value` when it is a list, else an empty one."""
    return value if is_list(value) else []


def pointer(*segments: object) -> str:
    """Join the keys that lead to a place into a JSON pointer."""
    return "".join("/" + str(segment).replace("~", "~0").replace("/", "~1") for segment in segments)


@dataclass(frozen=True, order=True)
class Finding:
    """One place in a document that breaks a rule."""

    pointer: str
    message: str


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML without timestamps: a date in an example is a string, as it is in JSON."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Document:
    """One vendor's OpenAPI document."""

    vendor: str
    name: str
    """The file's path in messages and banners, relative to the repository, with forward slashes."""
    data: JsonObject
    digest: str
    """The sha256 of the file, in hexadecimal."""
    lines: dict[str, int]
    """The line of every place, by its pointer."""
    malformed: tuple[Finding, ...] = ()
    """What is wrong with the YAML itself."""

    def resolve(self, reference: str) -> Any:
        """Return what a local `$ref` points at, or None."""
        value: Any = self.data
        for segment in reference.removeprefix("#/").split("/"):
            key = segment.replace("~1", "/").replace("~0", "~")
            if not is_object(value) or key not in value:
                return None
            value = value[key]
        return value

    def deref(self, value: Any) -> JsonObject:
        """Follow a `$ref`, and return an empty object when it leads nowhere; that is a finding of its own."""
        seen: set[str] = set()
        while is_object(value) and isinstance(value.get("$ref"), str) and value["$ref"] not in seen:
            seen.add(value["$ref"])
            value = self.resolve(value["$ref"])
        return as_object(value)

    def describe(self, finding: Finding) -> str:
        """Format a finding as `file#pointer: sentence (line)`."""
        place = finding.pointer
        while place and place not in self.lines:
            place = place.rpartition("/")[0]
        return f"{self.name}#{finding.pointer}: {finding.message} (line {self.lines.get(place, 1)})"

    def called(self, name: str) -> str:
        """Return how prose calls an operation that users know as `name`: as a method of a client, if it is one."""
        client = as_object(self.data.get("info")).get("x-client")
        return f"{client}.{name}" if isinstance(client, str) and "." in name else name

    @property
    def schemas(self) -> JsonObject:
        """The named schemas."""
        return as_object(as_object(self.data.get("components")).get("schemas"))


def load(path: Path, name: str) -> Document:
    """Read the document at `path`, which messages call `name`."""
    raw = path.read_bytes()
    data: Any = None
    lines: dict[str, int] = {}
    malformed: list[Finding] = []
    try:
        text = raw.decode("utf-8")
        _check_depth(text, lines)
        node = yaml.compose(text, Loader=_Loader)
        if node is not None:
            malformed.extend(_index(node, "", lines, 0))
        data = None if malformed else yaml.load(text, Loader=_Loader)  # noqa: S506 - the loader is a safe one
    except UnicodeDecodeError as error:
        malformed.append(Finding("", f"This is not UTF-8 text: {error.reason} at byte {error.start}."))
    except yaml.YAMLError as error:
        malformed.append(_yaml_finding(error, lines))
    except _TooLargeError as error:
        malformed = [Finding(error.place, str(error))]
    if not is_object(data) and not malformed:
        malformed.append(Finding("", "A document is a mapping with `openapi`, `info` and `paths`."))
    return Document(
        vendor=path.stem,
        name=name,
        data=as_object(data),
        digest=hashlib.sha256(raw).hexdigest(),
        lines=lines,
        malformed=tuple(malformed),
    )


def _check_depth(text: str, lines: dict[str, int]) -> None:
    """Go through a document without keeping it: libyaml's own way of keeping one crashes where it is too deep."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            lines[""] = 1 if event.start_mark is None else int(event.start_mark.line) + 1
            raise _TooLargeError("", _TOO_DEEP)


def _shortened(place: str) -> str:
    """The beginning of a pointer that is too long to be read."""
    return "/".join(place.split("/")[:8])


def _yaml_finding(error: yaml.YAMLError, lines: dict[str, int]) -> Finding:
    problem = str(getattr(error, "problem", None) or error)
    mark = getattr(error, "problem_mark", None)
    lines[""] = 1 if mark is None else int(mark.line) + 1
    return Finding("", f"This is not YAML: {problem}.")


_DEEPEST = 100
_MOST_PLACES = 300_000
_TOO_DEEP = f"This is nested more than {_DEEPEST} levels deep, or holds itself; give the parts names."


class _TooLargeError(Exception):
    """A document that nobody can mean, and that would take for ever to go through."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(message)
        self.place = place


def _index(node: yaml.Node, place: str, lines: dict[str, int], depth: int) -> Iterator[Finding]:
    lines[place] = node.start_mark.line + 1
    if depth > _DEEPEST:
        raise _TooLargeError(_shortened(place), _TOO_DEEP)
    if len(lines) > _MOST_PLACES:
        raise _TooLargeError(_shortened(place), f"With its aliases the document has more than {_MOST_PLACES:,} places.")
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(cast(list[yaml.Node], node.value)):
            yield from _index(item, f"{place}/{number}", lines, depth + 1)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in cast(list[tuple[yaml.Node, yaml.Node]], node.value):
            inner = place + pointer(key.value)
            if key.tag != "tag:yaml.org,2002:str":
                yield Finding(inner, f"The key {key.value!r} is not a string; put it in quotes.")
            if str(key.value) in seen:
                yield Finding(inner, f"The key {key.value!r} stands here twice.")
            seen.add(str(key.value))
            yield from _index(value, inner, lines, depth + 1)
            lines[inner] = key.start_mark.line + 1
