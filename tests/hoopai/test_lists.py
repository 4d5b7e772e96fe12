"""HoopAI's lists, where the platform pages in ways that no document says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from dialogkit import HoopAI
from dialogkit.testing import Sandbox

SORTS: Any = ["last_message_date", "last_manual_message_date", "score_profile", "due_at", "overdue_at"]


def hoop(answer: Callable[[httpx.Request], Any]) -> HoopAI:
    """Make a client whose requests are answered by `answer` with JSON."""
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=answer(request)))
    client = httpx.AsyncClient(transport=transport)
    return HoopAI("key", location_id="loc_1", http_client=client, rate_limit=None, strict=True)


def of_sandbox(sandbox: Sandbox) -> HoopAI:
    return HoopAI(sandbox.api_key, base_url=sandbox.url, location_id=sandbox.location_id, rate_limit=None, strict=True)


@pytest.mark.parametrize("limit", [None, 20, 50, 51, 100])
async def test_agents_are_all_found_where_the_platform_caps_its_pages(limit: int | None) -> None:
    """`limit` has no documented maximum."""
    agents = [{"id": f"agent_{number:03}"} for number in range(120)]

    def answer(request: httpx.Request) -> Any:
        size = min(int(request.url.params.get("limit", 20)), 50)
        after = request.url.params.get("startAfter")
        start = next((number + 1 for number, each in enumerate(agents) if each["id"] == after), 0)
        return {"agents": agents[start : start + size], "totalCount": len(agents), "count": size}

    async with hoop(answer) as client:
        assert [each.id async for each in client.agents.search(limit=limit)] == [each["id"] for each in agents]
        assert (await client.agents.search(limit=limit)).has_next


async def test_a_filter_leaves_the_total_of_agents_as_it_is_so_it_is_not_believed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> Any:
        asked.append(request.url.query.decode())
        found = [] if "startAfter" in request.url.params else [{"id": "agent_1"}]
        return {"agents": found, "totalCount": 120, "count": 1}

    async with hoop(answer) as client:
        page = await client.agents.search(query="ada")
        assert page.total is None
        assert [each.id async for each in client.agents.search(query="ada")] == ["agent_1"]
    assert asked == ["query=ada", "query=ada", "query=ada&startAfter=agent_1"]
    assert caplog.records == []


async def test_agents_that_are_announced_and_do_not_come_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    async with hoop(lambda request: {"totalCount": 5, "count": 5}) as client:
        assert list(await client.agents.search()) == []
    assert [record.message.partition(":")[2] for record in caplog.records] == [
        " the list ended after 0 rows, although the platform announced 5. What came is all that it gave."
    ]


async def test_agents_are_searched_without_a_location_unless_one_is_given() -> None:
    """The platform refuses it there: 422 `property locationId should not exist`."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> Any:
        asked.append(request.url.query.decode())
        return {"agents": [], "totalCount": 0, "count": 0}

    async with hoop(answer) as client:
        await client.agents.search()
        await client.agents.search(location_id=None)
        await client.agents.search(location_id="loc_2")
    assert asked == ["", "", "locationId=loc_2"]


@pytest.mark.parametrize("sort_by", SORTS)
async def test_conversations_are_walked_in_every_order(sort_by: Any) -> None:
    with Sandbox(tier=None) as sandbox:
        known = sandbox.add_conversations(23)
        table = sandbox.app.state.table("conversations", "", "")
        for number, id_ in enumerate(known):
            values = {"dueAt": number * 5 % 23, "overdueAt": number, "lastManualMessageDate": number * 3 % 23}
            table.get(id_).update(scores={"p": number * 7 % 23}, **values)
        async with of_sandbox(sandbox) as client:
            found = [
                row.id async for row in client.conversations.search(limit=4, sort_by=sort_by, sort_score_profile="p")
            ]
    assert len(found) == len(set(found))
    assert set(known) <= set(found)


async def test_conversations_with_equal_dates_are_all_found_also_from_a_cursor() -> None:
    """A campaign leaves many whose last message has the same millisecond."""
    with Sandbox(tier=None) as sandbox:
        known = sandbox.add_conversations(30)
        table = sandbox.app.state.table("conversations", "", "")
        for id_ in known:
            table.get(id_).update(lastMessageDate=1_784_272_302_663)
        async with of_sandbox(sandbox) as client:
            page = await client.conversations.search(limit=10)
            rest = [row.id async for row in client.conversations.search(limit=10, resume=page.cursor)]
    assert set(known) <= {row.id for row in page} | set(rest)
    assert len(page) + len(rest) == page.total


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"sort": [1_784_272_302_663]}, ["1784272302663"]),
        ({"sort": [9_223_372_036_854_775_807, 0.25, "c_1"]}, ["9223372036854775807", "0.25", "c_1"]),
        ({"sort": [None], "lastMessageDate": 7}, ["7"]),
        ({"sort": [], "lastMessageDate": 7}, ["7"]),
        ({"lastMessageDate": 7}, ["7"]),
    ],
)
async def test_a_row_is_followed_by_its_own_cursor_exactly_as_it_came(row: dict[str, Any], expected: list[str]) -> None:
    asked: list[list[str]] = []

    def answer(request: httpx.Request) -> Any:
        asked.append(request.url.params.get_list("startAfterDate"))
        found = [{"id": "c_1", "contactId": "k", "locationId": "l", **row}]
        return {"conversations": [] if asked[-1] else found, "total": 2}

    async with hoop(answer) as client:
        assert [each.id async for each in client.conversations.search()] == ["c_1"]
    assert asked == [[], expected]
