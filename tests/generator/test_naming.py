from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.codec.models import Model
from generator.naming import class_name, is_python_name, python_name


@pytest.mark.parametrize(
    ("wire", "python"),
    [
        ("contactId", "contact_id"),
        ("isGroupSms", "is_group_sms"),
        ("URLs", "urls"),
        ("userIDs", "user_ids"),
        ("HTMLBody", "html_body"),
        ("url2", "url2"),
        ("_id", "id"),
        ("__v", "v"),
        ("i-ip-pool-id", "i_ip_pool_id"),
        ("X-Trace-Id", "x_trace_id"),
        ("access_token", "access_token"),
        ("from", "from_"),
        ("class", "class_"),
        ("schema", "schema_"),
        ("copy", "copy_"),
        ("type", "type"),
        ("id", "id"),
        ("list", "list"),
        ("filter", "filter"),
        ("input", "input"),
    ],
)
def test_names(wire: str, python: str) -> None:
    assert python_name(wire) == python


@given(st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,20}", fullmatch=True))
def test_a_name_is_usable_or_refused(wire: str) -> None:
    name = python_name(wire)
    if is_python_name(name):
        assert not keyword.iskeyword(name)
        assert not hasattr(Model, name)
        assert name.isidentifier()


def test_classes_of_operations() -> None:
    assert class_name("search_pets") == "SearchPets"
