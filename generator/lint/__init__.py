"""Everything in a document that breaks the rules of openapi/README.md, found in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from generator.document import Document, Finding
from generator.lint.circles import check_circles
from generator.lint.components import check_components
from generator.lint.extensions import check_extensions
from generator.lint.names import check_names
from generator.lint.operations import check_operations
from generator.lint.parameters import check_parameters
from generator.lint.references import check_references
from generator.lint.schemas import check_schemas
from generator.lint.specification import check_specification
from generator.lint.unions import check_unions
from generator.lint.vocabulary import check_vocabulary

Rule = Callable[[Document], Iterator[Finding]]

_RULES: tuple[Rule, ...] = (
    check_references,
    check_vocabulary,
    check_operations,
    check_parameters,
    check_schemas,
    check_components,
    check_unions,
    check_extensions,
    check_names,
)


def lint(document: Document) -> list[Finding]:
    """Return all findings in a document, sorted by their place."""
    if document.malformed:
        return sorted(document.malformed)
    circles = sorted(check_circles(document))
    if circles:  # the other rules would run around in them
        return circles
    findings = {finding for rule in _RULES for finding in rule(document)}
    # The specification's own words come last: what a rule of ours has explained already is not said twice.
    findings.update([finding for finding in check_specification(document) if _is_news(document, finding, findings)])
    return sorted(findings)


def _is_news(document: Document, finding: Finding, told: set[Finding]) -> bool:
    place = finding.pointer
    if place not in document.lines or not place:
        return not told  # The validator does not always know where it is.
    return not any(
        f"{other.pointer}/".startswith(f"{place}/") or f"{place}/".startswith(f"{other.pointer}/") for other in told
    )
