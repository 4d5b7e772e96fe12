"""Schemathesis, which knows nothing of the sandbox but the document, finds nothing to complain about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi import checks

from dialogkit.testing import Sandbox
from tests.testing.tools import VERSION

DOCUMENT = Path(__file__).resolve().parents[2] / "openapi" / "hoopai.yaml"
CHECKS: list[Any] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]
schema = schemathesis.openapi.from_path(DOCUMENT)

@schema.parametrize()
@settings(max_examples=5, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_answers_conform(case: schemathesis.Case, sandbox: Sandbox) -> None:
    sandbox.reset()
    headers = {"Authorization": f"Bearer {sandbox.api_key}", **VERSION}
    case.call_and_validate(base_url=sandbox.url, headers=headers, checks=CHECKS)
