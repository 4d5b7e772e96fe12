"""Renders a package into Python modules, not formatted yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from generator import docstrings
from generator.document import Document, as_object
from generator.model import Argument, Component, Enumeration, Model, Module, Operation, Package, Union
from generator.naming import constant_name
from generator.order import needs
from generator.pytypes import Signatures, as_result, in_model, literal, literals
from generator.renderfields import field_lines, rule_lines
from generator.reserved import TEMPLATES

_OPEN_VALUE = re.compile(r"Literal\[[^\n]*\| (?:str|int)\b")


@dataclass(frozen=True)
class _Entry:
    """A component, ready for the template."""

    kind: str
    name: str
    docstring: str
    base: str = ""
    fields: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    definition: str = ""


def render(document: Document, package: Package) -> dict[str, str]:
    """Return the text of every module, by file name."""
    signatures = Signatures(package.components)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    context: dict[str, Any] = {
        "document": document,
        "title": as_object(document.data.get("info")).get("title", document.vendor),
        "plain": docstrings.plain,
        "docstring": docstrings.function,
        "literal": literal,
        "constant_name": constant_name,
        "returns": _returns,
        "parameters": partial(_parameters, signatures=signatures),
        "operation_arguments": _operation_arguments,
        "call_arguments": _call_arguments,
    }

    def module(template: str, **more: Any) -> str:
        return environment.get_template(template).render(**context, **more)

    models = [_entry(component, package) for component in package.components]
    files = {"__init__.py": module("init.py.jinja", prose=docstrings.package(context["title"], package.errors))}
    files["models.py"] = module(
        "models.py.jinja",
        components=models,
        has_open_values=any(_OPEN_VALUE.search("\n".join((entry.definition, *entry.fields))) for entry in models),
    )
    for each in package.modules:
        code = "\n".join(_annotations(each, signatures))
        files[f"{each.name}.py"] = module(
            "functions.py.jinja",
            module=each,
            uses_models="models." in code,
            has_open_values=bool(_OPEN_VALUE.search(code)),
        )
    if package.events:
        files["webhooks.py"] = module(
            "webhooks.py.jinja", events=package.events, description=package.events_description
        )
    return files


def _entry(component: Component, package: Package) -> _Entry:
    if isinstance(component, Model):
        prose = docstrings.spelled(component.description, component.fields)
        text = docstrings.plain(prose, "    ")
    else:
        text = docstrings.plain(component.description)
    match component:
        case Model():
            early = {needed for needed in needs(component) if (component.name, needed) in package.early}
            return _Entry(
                kind="model",
                name=component.name,
                docstring=text or f'    """The object `{component.name}`."""',
                base=component.base,
                fields=tuple(field_lines(component, early)),
                rules=tuple(rule_lines(component)),
            )
        case Enumeration(values=values):
            definition = literals(values)
        case Union():
            definition = _union(component)
        case _:
            definition = in_model(component.type, component.side)
    return _Entry(kind="alias", name=component.name, docstring=text, definition=definition)


def _union(union: Union) -> str:
    members = [f"Annotated[{model}, Tag({literal(tag)})]" for tag, model in union.members]
    members.append(f'Annotated[{union.open_member}, Tag("")]')
    tags = ", ".join(literal(tag) for tag, _ in union.members)
    tag_of = f"tag_of({literal(union.tag.python)}, {literal(union.tag.wire)}, ({tags},))"
    return f"Annotated[{' | '.join(members)}, Discriminator({tag_of})]"


def _returns(operation: Operation) -> str:
    if operation.answer == "json":
        return as_result(operation.result) if operation.result else "Any"
    return {"text": "str", "bytes": "ByteStream", "none": "None"}[operation.answer]


def _parameters(operation: Operation, signatures: Signatures) -> Iterator[str]:
    keywords = [argument for argument in operation.arguments if not argument.positional]
    for argument in operation.arguments:
        if argument.positional:
            yield f"{argument.field.python}: {signatures.argument(argument.field.type)}"
    yield "*"
    for argument in keywords:
        yield f"{argument.field.python}: {_annotation(argument, signatures)}"
    if operation.items:
        yield "resume: str | None = None"
    if operation.reports_progress:
        yield "on_progress: Progress | None = None"
    yield "options: CallOptions | None = None"


def _annotation(argument: Argument, signatures: Signatures) -> str:
    field = argument.field
    annotation = signatures.argument(field.type)
    if field.from_client:
        return f"{annotation.removesuffix(' | None')} | None = None"
    if field.required:
        return annotation
    if argument.place == "body":
        if annotation == "Any":
            return "Any = OMIT"
        base = annotation.removesuffix(" | None")
        return f"{base} | Omit{annotation[len(base) :]} = OMIT"
    return "Any = None" if annotation == "Any" else f"{annotation.removesuffix(' | None')} | None = None"


def _operation_arguments(operation: Operation) -> Iterator[tuple[str, str]]:
    yield "id", literal(operation.name)
    if operation.name != operation.id:
        yield "function", literal(operation.id)
    yield "method", literal(operation.method)
    yield "path", literal(operation.template)
    yield "retry", literal(operation.retry)
    yield "tag", literal(operation.tag)
    if operation.answer != "json":
        yield "answer", literal(operation.answer)
    elif operation.result is not None:
        yield "result", f"lambda: {as_result(operation.result)}"
    if operation.path_model:
        yield "path_arguments", f"lambda: models.{operation.path_model}"
    if operation.query_model:
        yield "query", f"lambda: models.{operation.query_model}"
    if operation.header_model:
        yield "headers", f"lambda: models.{operation.header_model}"
    if operation.body is not None:
        yield "body", f"lambda: {as_result(operation.body)}"
        if operation.encoding != "json":
            yield "encoding", literal(operation.encoding)
    yield from _special_arguments(operation)


def _special_arguments(operation: Operation) -> Iterator[tuple[str, str]]:
    filled = [argument for argument in operation.arguments if argument.field.from_client]
    if operation.files:
        yield "files", f"({', '.join(literal(name) for name in operation.files)},)"
    if operation.account:
        yield "account", f"({', '.join(map(literal, operation.account))})"
    if filled:
        places = ", ".join(f"{literal(argument.field.python)}: {literal(argument.place)}" for argument in filled)
        yield "from_client", f"{{{places}}}"
    required = ", ".join(literal(argument.field.python) for argument in filled if argument.field.required)
    if required:
        yield "required_from_client", f"frozenset({{{required}}})"
    if not operation.authenticated:
        yield "authenticated", "False"
    if operation.unwrap:
        yield "unwrap", literal(operation.unwrap)
    if operation.also_wrapped_in:
        yield "also_wrapped_in", str(operation.also_wrapped_in)
    if operation.items:
        yield "items", literal(operation.items)
    if operation.single_as_list:
        yield "single_as_list", "True"


def _call_arguments(operation: Operation) -> str:
    parts: list[str] = []
    for place, keyword in (("path", "path"), ("query", "query"), ("header", "headers"), ("body", "body")):
        found = operation.arguments_in(place)
        if any(argument.whole_body for argument in found):
            parts.append(f"{keyword}={found[0].field.python}")
        elif found or (place == "body" and operation.body is not None):
            pairs = ", ".join(f"{literal(a.field.python)}: {a.field.python}" for a in found)
            parts.append(f"{keyword}={{{pairs}}}")
    if operation.items:
        parts.append("resume=resume")
    if operation.reports_progress:
        parts.append("on_progress=on_progress")
    return ", ".join([*parts, "options=options"])


def _annotations(module: Module, signatures: Signatures) -> Iterator[str]:
    for operation in module.operations:
        yield _returns(operation)
        yield from _parameters(operation, signatures)
        for _, value in _operation_arguments(operation):
            yield value
