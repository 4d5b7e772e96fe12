"""How much of an answer is read into memory, and what is said when there is more."""

from __future__ import annotations

import pickle

import httpx
import pytest

from dialogkit._core.errors import AnswerTooLargeError, ConfigurationError
from tests._core.toy import KEY, Toy
from tests.support.backends import on_every_backend


def toy(body: bytes, **options: int) -> tuple[Toy, list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, content=body, headers={"content-type": "application/json"})

    given = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    return Toy(KEY, base_url="https://api.test", http_client=given, **options), requests  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@on_every_backend
async def test_an_answer_that_is_too_large_is_a_typed_error_and_not_asked_for_again() -> None:
    client, requests = toy(b'{"id": "' + b"x" * 1000 + b'"}', max_answer_bytes=1000)
    with pytest.raises(
        AnswerTooLargeError, match="was carried out, but the answer has more than 1,000 bytes"
    ) as caught:
        await client.things.get("t1")
    assert (caught.value.operation, caught.value.attempts, caught.value.limit) == ("get_thing", 1, 1000)
    assert pickle.loads(pickle.dumps(caught.value)).limit == 1000
    assert len(requests) == 1


async def test_a_write_whose_answer_is_too_large_has_happened() -> None:
    client, _ = toy(b'{"id": "' + b"x" * 1000 + b'"}', max_answer_bytes=1000)
    with pytest.raises(AnswerTooLargeError) as caught:
        await client.things.create(name="x")
    assert caught.value.may_have_happened


async def test_a_view_may_take_more() -> None:
    client, _ = toy(b'{"id": "' + b"x" * 1000 + b'"}', max_answer_bytes=1000)
    assert len((await client.with_options(max_answer_bytes=2000).things.get("t1")).id) == 1000


async def test_a_file_that_is_awaited_is_bounded_and_one_that_is_streamed_is_not() -> None:
    client, _ = toy(b"x" * 1001, max_answer_bytes=1000)
    with pytest.raises(AnswerTooLargeError, match=r"get_picture: .* Write it to a file with to_file\(\)"):
        await client.things.picture("t1")
    async with client.things.picture("t1").stream() as stream:
        assert sum([len(chunk) async for chunk in stream]) == 1001


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "1000"])
def test_a_limit_is_a_number_of_bytes(size: object) -> None:
    with pytest.raises(ConfigurationError, match="max_answer_bytes must be a positive number of bytes"):
        Toy(KEY, max_answer_bytes=size)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
