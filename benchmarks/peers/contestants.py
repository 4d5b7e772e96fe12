"""Who is measured: dialogkit, SDKs that people use in its place, and the libraries with no SDK at all.

Each is used as its own documentation shows. Those over aiohttp may have a thousand connections; httpx's own pool, also
below gohighlevel-api-client, has its hundred, since it becomes slower the more it may have. Everything is imported when
a contestant is made, so that none pays for another, and so that who is not installed is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Protocol, TypeAlias

from benchmarks.peers.server import CONVERSATION, KEY, LOCATION, MESSAGE, SENSELESS, VERSION, row_id

ROWS: Final = 20
CONNECTIONS: Final = 1000
HEADERS: Final = {"Authorization": f"Bearer {KEY}", "Version": VERSION}
PARAMS: Final = {"locationId": LOCATION, "limit": str(ROWS)}
TEXT: Final = {"type": "SMS", "contactId": "contact_1", "message": "Thank you, Tuesday at ten suits me well."}

Proof: TypeAlias = object
"""What a call returns, to show that it has really read the answer."""

SCENARIOS: Final[dict[str, tuple[str, Proof]]] = {
    "page": (f"page of {ROWS} conversations", (ROWS, row_id(0, ROWS - 1))),
    "single": ("one conversation", CONVERSATION),
    "error": ("422, raised and caught", 422),
    "send": ("send a message", MESSAGE),
}
"""By name: what it is, and the proof that it worked."""


class Contestant(Protocol):
    """A client, open on the benchmark's server, with one method for each scenario."""

    async def page(self) -> Proof: ...
    async def single(self) -> Proof: ...
    async def error(self) -> Proof: ...
    async def send(self) -> Proof: ...
    async def aclose(self) -> None: ...


class Dialogkit:
    """With its limiter and retries on; the limits are so high that nothing waits."""

    def __init__(self, url: str) -> None:
        from dialogkit import HoopAI, RateLimit, UnprocessableEntityError  # noqa: PLC0415

        limits = (RateLimit(10_000_000, per=10), RateLimit(1_000_000_000, per=86_400))
        self.hoop = HoopAI(KEY, location_id=LOCATION, base_url=url, rate_limit=limits)
        self.refused = UnprocessableEntityError

    async def page(self) -> Proof:
        page = await self.hoop.conversations.search(limit=ROWS)
        return len(page.items), page.items[-1].id

    async def single(self) -> Proof:
        return (await self.hoop.conversations.get(CONVERSATION)).id

    async def error(self) -> Proof:
        try:
            return await self.hoop.conversations.get(SENSELESS)
        except self.refused as error:
            return error.status

    async def send(self) -> Proof:
        sent = await self.hoop.messages.send(type="SMS", contact_id=TEXT["contactId"], message=TEXT["message"])
        return sent.message_id

    async def aclose(self) -> None:
        await self.hoop.aclose()


class OpenAI:
    """openai's client with its aiohttp transport, calling paths of another platform by `get` and `post`."""

    def __init__(self, url: str) -> None:
        from benchmarks.peers.twins import twins  # noqa: PLC0415

        openai: Any = import_module("openai")
        self.models = twins(openai.BaseModel)
        self.refused = openai.UnprocessableEntityError
        self.client = openai.AsyncOpenAI(
            api_key=KEY,
            base_url=url,
            default_headers={"Version": VERSION},
            http_client=openai.DefaultAioHttpClient(),
        )

    async def page(self) -> Proof:
        page = await self.client.get(
            "/conversations/search", cast_to=self.models.ConversationSearchPage, options={"params": PARAMS}
        )
        return len(page.conversations), page.conversations[-1].id

    async def single(self) -> Proof:
        found = await self.client.get(f"/conversations/{CONVERSATION}", cast_to=self.models.Conversation)
        return found.id

    async def error(self) -> Proof:
        try:
            return await self.client.get(f"/conversations/{SENSELESS}", cast_to=self.models.Conversation)
        except self.refused as error:
            return error.status_code

    async def send(self) -> Proof:
        sent = await self.client.post("/conversations/messages", cast_to=self.models.MessageSendResult, body=TEXT)
        return sent.message_id

    async def aclose(self) -> None:
        await self.client.close()


class GoHighLevel:
    """The platform's own client. It is async, over httpx's pool, and returns dictionaries that nothing has checked."""

    def __init__(self, url: str) -> None:
        highlevel: Any = import_module("highlevel")
        self.refused = import_module("highlevel.error").GHLError
        highlevel.HighLevel.BASE_URL = url  # it takes no other address
        self.client = highlevel.HighLevel(private_integration_token=KEY)

    async def page(self) -> Proof:
        page = await self.client.conversations.search_conversation(location_id=LOCATION, limit=ROWS)
        return len(page["conversations"]), page["conversations"][-1]["id"]

    async def single(self) -> Proof:
        return (await self.client.conversations.get_conversation(CONVERSATION))["id"]

    async def error(self) -> Proof:
        try:
            return await self.client.conversations.get_conversation(SENSELESS)
        except self.refused as error:
            return error.status_code

    async def send(self) -> Proof:
        return (await self.client.conversations.send_a_new_message(TEXT))["messageId"]

    async def aclose(self) -> None:
        await self.client.close()


class Httpx:
    """Bare `httpx.AsyncClient`, and `model_validate_json`."""

    def __init__(self, url: str, *, models: Any = None, aiohttp: bool = False) -> None:
        import httpx  # noqa: PLC0415

        transport: Any = None
        if aiohttp:
            from httpx_aiohttp import AiohttpTransport  # noqa: PLC0415

            transport = AiohttpTransport(limits=httpx.Limits(max_connections=CONNECTIONS))
        self.models = models or _generated_models()
        self.refused = httpx.HTTPStatusError
        self.client = httpx.AsyncClient(base_url=url, headers=HEADERS, transport=transport)

    async def page(self) -> Proof:
        answer = await self.client.get("/conversations/search", params=PARAMS)
        answer.raise_for_status()
        page = self.models.ConversationSearchPage.model_validate_json(answer.content)
        return len(page.conversations), page.conversations[-1].id

    async def single(self) -> Proof:
        answer = await self.client.get(f"/conversations/{CONVERSATION}")
        answer.raise_for_status()
        return self.models.Conversation.model_validate_json(answer.content).id

    async def error(self) -> Proof:
        answer = await self.client.get(f"/conversations/{SENSELESS}")
        try:
            answer.raise_for_status()
        except self.refused as error:
            return error.response.status_code
        return None

    async def send(self) -> Proof:
        answer = await self.client.post("/conversations/messages", json=TEXT)
        answer.raise_for_status()
        return self.models.MessageSendResult.model_validate_json(answer.content).message_id

    async def aclose(self) -> None:
        await self.client.aclose()


class Aiohttp:
    """Bare `aiohttp.ClientSession`, and `model_validate_json`."""

    def __init__(self, url: str, *, models: Any = None) -> None:
        import aiohttp  # noqa: PLC0415

        self.models = models or _generated_models()
        self.refused = aiohttp.ClientResponseError
        self.session = aiohttp.ClientSession(
            url, headers=HEADERS, connector=aiohttp.TCPConnector(limit=CONNECTIONS), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def page(self) -> Proof:
        async with self.session.get("/conversations/search", params=PARAMS) as answer:
            answer.raise_for_status()
            page = self.models.ConversationSearchPage.model_validate_json(await answer.read())
        return len(page.conversations), page.conversations[-1].id

    async def single(self) -> Proof:
        async with self.session.get(f"/conversations/{CONVERSATION}") as answer:
            answer.raise_for_status()
            return self.models.Conversation.model_validate_json(await answer.read()).id

    async def error(self) -> Proof:
        async with self.session.get(f"/conversations/{SENSELESS}") as answer:
            await answer.read()  # else the connection would be closed, and not used again
            try:
                answer.raise_for_status()
            except self.refused as error:
                return error.status
        return None

    async def send(self) -> Proof:
        async with self.session.post("/conversations/messages", json=TEXT) as answer:
            answer.raise_for_status()
            return self.models.MessageSendResult.model_validate_json(await answer.read()).message_id

    async def aclose(self) -> None:
        await self.session.close()


def _generated_models() -> Any:
    from dialogkit.hoopai import models  # noqa: PLC0415

    return models


@dataclass(frozen=True)
class Entry:
    """A contestant's place in the list."""

    title: str
    needs: tuple[str, ...]
    open: Callable[..., Contestant]
    bare: bool = False
    """Whether it takes the `models` to decode into."""

    def missing(self) -> str:
        """Return which module that it needs is not installed, or nothing."""
        return next((each for each in self.needs if find_spec(each) is None), "")


def _httpx_over_aiohttp(url: str, *, models: Any = None) -> Contestant:
    return Httpx(url, models=models, aiohttp=True)


CONTESTANTS: Final = {
    "dialogkit": Entry("dialogkit", ("dialogkit",), Dialogkit),
    "openai": Entry("openai `client.get(cast_to=…)` over aiohttp", ("openai",), OpenAI),
    "gohighlevel": Entry("gohighlevel-api-client", ("highlevel",), GoHighLevel),
    "httpx-aiohttp": Entry("bare httpx over aiohttp", ("httpx_aiohttp",), _httpx_over_aiohttp, bare=True),
    "httpx": Entry("bare httpx over its own pool", ("httpx",), Httpx, bare=True),
    "aiohttp": Entry("bare aiohttp", ("aiohttp",), Aiohttp, bare=True),
}
