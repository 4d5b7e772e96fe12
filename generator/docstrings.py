"""Prose as docstrings: wrapped, with nothing in it that could end the string or change its meaning."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from dialogkit._core.errors import status_error_class
from generator.model import Argument, Field, Operation
from generator.prose import in_python_spelling
from generator.pytypes import literal
from generator.schemas import LIMIT_KEYS

WIDTH = 120
_LIST_ITEM = re.compile(r"(?:[-*+]|\d+[.)]) ")
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TYPOGRAPHY = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u00a0": " ",
     "\u2026": "...", "\u00d7": "x", "\u2192": "->"}
)  # fmt: skip
_RETRY = {
    "safe": "Safe to repeat: it changes nothing.",
    "idempotent": "Safe to repeat: twice is the same as once.",
    "never-after-sent": "Not repeated once it was sent: twice may be twice.",
}


_RANGES = (
    ("minimum", "maximum", "", ""),
    ("minLength", "maxLength", " character", " characters"),
    ("minItems", "maxItems", " entry", " entries"),
    ("item minimum", "item maximum", " each", " each"),
    ("item minLength", "item maxLength", " character each", " characters each"),
)


def spelled(text: str, fields: Iterable[Field]) -> str:
    """Call the fields of an object, or a function's arguments, by their Python names."""
    return in_python_spelling(text, {field.wire: field.python for field in fields})


def sentence(text: str) -> str:
    """Give prose a full stop, unless it ends with a mark of its own."""
    text = text.strip()
    return text if not text or text[-1] in ".!?:" else f"{text}."


def _escape(text: str) -> str:
    text = _CONTROLS.sub(" ", text).translate(_TYPOGRAPHY).replace("\\", "\\\\")
    return text.replace('"""', '\\"\\"\\"')


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs and list items; a line that continues one belongs to it."""
    current: list[str] = []
    for raw in text.strip().splitlines():
        line = raw.strip()
        if not line or _LIST_ITEM.match(line):
            if current:
                yield " ".join(current)
            current = []
            if not line:
                yield ""
        if line:
            current.append(line)
    if current:
        yield " ".join(current)


def _fill(text: str, indent: str, *, hanging: str = "") -> str:
    return textwrap.fill(
        text,
        width=WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def paragraphs(text: str, indent: str) -> list[str]:
    """Wrap prose of one or more paragraphs into lines."""
    lines: list[str] = []
    previous = ""
    for block in _blocks(_escape(text)):
        if not block:
            lines.append("")
        else:
            item = _LIST_ITEM.match(block)
            if item and lines and lines[-1] and not _LIST_ITEM.match(previous):
                lines.append("")
            lines.extend(_fill(block, indent, hanging=" " * len(item[0]) if item else "").splitlines())
        previous = block
    return [line for line, following in zip(lines, [*lines[1:], ""], strict=False) if line or following]


def quoted(lines: list[str], indent: str) -> str:
    """Put lines between triple quotes; the first follows them directly."""
    lines = [line.rstrip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return ""
    text = "\n".join(lines).lstrip()
    if "\n" not in text and len(indent) + len(text) + 6 <= WIDTH:
        return f'{indent}"""{text}"""' if not text.endswith(('"', "\\")) else f'{indent}"""{text} """'
    first, _, rest = text.partition("\n")
    if len(indent) + 3 + len(first) > WIDTH:
        wrapped = textwrap.wrap(first, WIDTH - len(indent) - 3, break_long_words=False, break_on_hyphens=False)
        first = f"\n{indent}".join(wrapped)
    body = f"{first}\n{rest}" if rest else first
    return f'{indent}"""{body}\n{indent}"""'


def plain(text: str, indent: str = "") -> str:
    """Make a docstring of a description; nothing when there is none."""
    return quoted(paragraphs(sentence(text), indent), indent)


def _says(description: str, value: Any) -> bool:
    if isinstance(value, bool) or value is None or value in ("", []):
        return bool(re.search(r"\bdefault|unless", description, re.IGNORECASE))
    text = str(value)
    return bool(re.search(rf"(?<![\w.]){re.escape(text)}(?![\w]|\.\d)", description.replace(",", "")))


def limit_sentences(schema: dict[str, Any], description: str) -> list[str]:
    """Say what a schema's limits are, as far as the description does not."""
    known = {key: schema[key] for key in LIMIT_KEYS if key in schema}
    known |= {f"item {key}": value for key, value in _item_limits(schema).items()}
    said = {key: value for key, value in known.items() if not _says(description, value)}
    found: list[str] = []
    for low, high, one, many in _RANGES:
        if low in said and high in said:
            found.append(f"From {known[low]} to {known[high]}{many}.")
        elif high in said:
            found.append(f"At most {known[high]}{one if known[high] == 1 else many}.")
        elif low in said:
            found.append(f"At least {known[low]}{one if known[low] == 1 else many}.")
    if "exclusiveMinimum" in said:
        found.append(f"More than {known['exclusiveMinimum']}.")
    if "exclusiveMaximum" in said:
        found.append(f"Less than {known['exclusiveMaximum']}.")
    if "multipleOf" in said:
        found.append(f"A multiple of {known['multipleOf']}.")
    if "pattern" in said:
        found.append(f"Matches `{known['pattern']}`.")
    return found


def _item_limits(schema: dict[str, Any]) -> dict[str, Any]:
    items = schema.get("items")
    return {key: items[key] for key in LIMIT_KEYS if key in items} if isinstance(items, dict) else {}


def argument_text(argument: Argument) -> str:
    """Say what an argument means, its limits, its default and where its value comes from."""
    field = argument.field
    parts = ["Deprecated."] if field.deprecated else []
    parts.append(sentence(field.description))
    parts.extend(limit_sentences(field.schema, field.description))
    if "default" in field.schema and not _says(field.description, field.schema["default"]):
        parts.append(f"{_default(field.schema['default'])} unless given.")
    if field.from_client and not re.search(r"\bclient\b", field.description):
        parts.append("The client's own unless given.")
    return " ".join(part for part in parts if part)


def _default(value: Any) -> str:
    match value:
        case True:
            return "`True`"
        case False:
            return "`False`"
        case None:
            return "`None`"
        case [] | {}:
            return "Empty"
        case int() | float():
            return str(value)
        case _:
            return f"`{literal(value)}`"


def _entry(name: str, text: str, indent: str) -> list[str]:
    """One entry of an `Args:` or `Raises:` section; a further paragraph of its text continues it."""
    flat = " ".join(_escape(text).split())
    return _fill(f"{name}: {flat}", indent, hanging="    ").splitlines()


def _status_errors(errors: Iterable[tuple[int, str]], indent: str) -> Iterator[str]:
    for status, meaning in errors:
        text = sentence(meaning) or "See the class."
        yield from _entry(status_error_class(status).__name__, f"{status}. {text}", indent)


def package(title: str, errors: Iterable[tuple[int, str]]) -> str:
    """Make the docstring of a whole package: what any of its functions can end in."""
    indent = "    "
    lines = [f"{title}'s operations as functions, and its objects as models.", "", "Any call can end in:", ""]
    text = "An argument is of the wrong type or outside its limits; nothing was sent."
    lines += [*_entry("InvalidArgumentError", text, indent), *_status_errors(errors, indent)]
    text = "The base of these, and of all else that can go wrong: no answer, no permit, no time left."
    lines += _entry("DialogkitError", text, indent)
    return quoted([*lines, "", *paragraphs("A function's `Raises:` names what is particular to it.", "")], "")


def _facts(operation: Operation) -> str:
    facts = [f"`{operation.method} {operation.path}`."]
    if len(operation.scopes) == 1:
        facts.append(f"Scope: {operation.scopes[0]}.")
    elif operation.scopes:
        facts.append(f"Scopes: {', '.join(operation.scopes)}.")
    if not operation.authenticated:
        facts.append("Sent without the client's credential.")
    facts.append(_RETRY[operation.retry])
    if operation.source:
        facts.append(sentence(f"Source: {operation.source}"))
    return " ".join(facts)


def function(operation: Operation, indent: str = "    ") -> str:
    """Make a generated function's docstring."""
    inner = indent + "    "
    fields = [argument.field for argument in operation.arguments]
    lines = paragraphs(operation.summary, indent)
    if operation.deprecated:
        lines += ["", *paragraphs("Deprecated: the platform keeps this for older programs only.", indent)]
    if operation.description:
        lines += ["", *paragraphs(spelled(sentence(operation.description), fields), indent)]
    # `client` is left out: users see the function as a method of a namespace, where it is bound.
    lines += ["", f"{indent}Args:"]
    for argument in operation.arguments:
        lines += _entry(argument.field.python, spelled(argument_text(argument), fields), inner)
    if operation.items:
        lines += _entry("resume", "The cursor of an earlier page: continue after it.", inner)
    if operation.reports_progress:
        text = "Called as bytes move, with the bytes so far and the total if it is known."
        lines += _entry("on_progress", text, inner)
    lines += _entry("options", "What this call does differently from its client.", inner)
    if operation.result_remark and operation.answer != "none":
        remark = _fill(" ".join(_escape(sentence(operation.result_remark)).split()), inner)
        lines += ["", f"{indent}Returns:", *remark.splitlines()]
    if operation.errors:
        lines += ["", f"{indent}Raises:", *_status_errors(operation.errors, inner)]
    lines += ["", *paragraphs(_facts(operation), indent)]
    return quoted(lines, indent)
