"""A platform that answers every request alike, and what a document says of its operations."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import yaml

from dialogkit import Drift
from dialogkit._core.call import Operation
from dialogkit._core.client import Namespace

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("get", "put", "post", "patch", "delete")


class Wire:
    """Answers every request with the same JSON, and keeps the requests."""

    def __init__(self, answer: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self.answer: Any = {} if answer is None else answer
        self.status = status
        self.headers = dict(headers or {})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.status, json=self.answer, headers=self.headers)

    def client(self) -> httpx.AsyncClient:
        """Return what to pass as `http_client`."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self))

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]

    @property
    def body(self) -> Any:
        """The JSON of the last request."""
        return json.loads(self.last.content)


def ignore(drift: Drift) -> None:
    """Answers here are as short as the test allows."""


@cache
def document(vendor: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((ROOT / "openapi" / f"{vendor}.yaml").read_text(), yaml.CSafeLoader)
    return loaded


def operations(vendor: str) -> Iterator[tuple[str, str, str]]:
    """Yield id, method and path of every operation of a document."""
    for path, item in document(vendor)["paths"].items():
        for method in item.keys() & set(METHODS):
            yield item[method]["operationId"], method.upper(), path


def shape(path: str) -> str:
    """Return a path's template without the names in it: documents and code have names of their own."""
    return re.sub(r"\{[^{}]*\}", "{}", path)


def constants(vendor: str) -> Iterator[Operation[Any]]:
    """Yield what was generated for the operations of a document."""
    for tag in {tag["name"] for tag in document(vendor)["tags"]} - {"webhooks"}:
        module = import_module(f"dialogkit.{vendor}._generated.{tag}")
        yield from (value for value in vars(module).values() if isinstance(value, Operation))


def bound_functions(namespaces: ModuleType) -> list[str]:
    """Return the operations that namespaces bind, each as often as it is bound."""
    return [
        member.__name__
        for cls in vars(namespaces).values()
        if isinstance(cls, type) and issubclass(cls, Namespace) and cls is not Namespace
        for member in vars(cls).values()
        if inspect.isfunction(member)
    ]


def sent(request: httpx.Request) -> tuple[str, str, dict[str, str], Any]:
    """Return what a request puts on the wire: method, URL, the headers that a user would write, and JSON."""
    names = {"authorization", "content-type", "version"}
    headers = {name: value for name, value in request.headers.items() if name in names}
    return request.method, str(request.url), headers, json.loads(request.content) if request.content else None
