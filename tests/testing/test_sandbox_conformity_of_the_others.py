"""Schemathesis finds nothing to complain about at HoverBot's and ConvoAI's sandboxes either.

See `test_sandbox_conformity.py`. Neither platform documents statuses for refusals, so which one it is does not matter
here, only that one comes where it should.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

import pytest
from hypothesis import settings

from dialogkit.testing import Sandbox
from dialogkit.testing.engine.document import is_object
from tests.testing.hoopai.test_sandbox_conformity import CHECKS, DOCUMENT, SUPPRESSED, checks, schemathesis

Test = TypeVar("Test", bound=Callable[..., None])
HOVERBOT: Mapping[str, Any] = {"id": "conversation_1", "conversationId": "conversation_1"}
CONVOAI: Mapping[str, Any] = {"id": "agent_1", "to": "+14155550199", "url": "http://127.0.0.1:9/", "events": ["*"]}


def for_each_operation(platform: str) -> Callable[[Test], Test]:
    schema: Any = schemathesis.openapi.from_path(DOCUMENT.with_name(f"{platform}.yaml"))
    bounded = settings(max_examples=8, derandomize=True, deadline=None, database=None, suppress_health_check=SUPPRESSED)

    def decorate(test: Test) -> Test:
        return cast("Test", schema.parametrize()(bounded(test)))

    return decorate


@pytest.fixture(scope="module")
def hoverbot() -> Iterator[Sandbox[Any]]:
    with Sandbox(platform="hoverbot", tier=None, validate_responses=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def convoai() -> Iterator[Sandbox[Any]]:
    with Sandbox(platform="convoai", tier=None, validate_responses=True) as sandbox:
        yield sandbox


def check(case: Any, sandbox: Sandbox[Any], known: Mapping[str, Any]) -> None:
    sandbox.reset()
    chosen = [*CHECKS, checks.negative_data_rejection]
    if case.meta is None or case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE:
        case.path_parameters = {name: known.get(name, value) for name, value in case.path_parameters.items()}
        if is_object(case.body):
            case.body = {name: known.get(name, value) for name, value in case.body.items()}
        chosen = CHECKS
    case.call_and_validate(base_url=sandbox.url, headers={"Authorization": f"Bearer {sandbox.api_key}"}, checks=chosen)


@for_each_operation("hoverbot")
def test_hoverbot_s_answers_conform(case: Any, hoverbot: Sandbox[Any]) -> None:
    check(case, hoverbot, HOVERBOT)


@for_each_operation("convoai")
def test_convoai_s_answers_conform(case: Any, convoai: Sandbox[Any]) -> None:
    check(case, convoai, CONVOAI)
