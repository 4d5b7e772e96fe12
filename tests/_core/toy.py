"""A made-up platform, as small as a facade can be, and ways to talk to it without a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

import httpx
from pydantic import Field
from typing_extensions import Self, Unpack

from dialogkit._core.call import OMIT, Call, Caller, CallOptions, Omit, Operation
from dialogkit._core.client import BaseClient, ClientOptions, Default, Namespace, Platform, Secret
from dialogkit._core.codec.models import Arguments, Model
from dialogkit._core.files.downloads import ByteStream, downloadable
from dialogkit._core.limits.terms import RateLimit
from dialogkit._core.sending.retry import RetryPolicy


class Interval(Model):
    start_hour: Annotated[int, Field(ge=0, le=23)]


class Day(Model):
    intervals: list[Interval]


class Thing(Model):
    id: str
    name: str | None = None
    working_hours: list[Day] | None = None


class ThingCreate(Model):
    name: Annotated[str, Field(min_length=1)]
    location_id: str | None = None
    working_hours: list[Day] | None = None
    size: int | list[int] | None = None
    note: str | None = None
    ratio: float | None = None


class ThingUpload(Model):
    thing_id: str
    files: Annotated[Any, Field(serialization_alias="fileAttachment")]


class ListThingsQuery(Arguments):
    limit: Annotated[int | None, Field(ge=1, le=100)] = None
    sort_by: Annotated[str | None, Field(serialization_alias="sortBy")] = None
    tags: list[str] | None = None
    active: bool | None = None
    ratio: float | None = None
    location_id: Annotated[str | None, Field(serialization_alias="locationId")] = None


class ThingPage(Model):
    things: list[Thing]


GET_THING: Operation[Thing] = Operation(
    id="get_thing", method="GET", path="/things/{thing_id}", retry="safe", result=lambda: Thing
)
LIST_THINGS: Operation[ThingPage] = Operation(
    id="list_things",
    method="GET",
    path="/things/",
    retry="safe",
    query=lambda: ListThingsQuery,
    result=lambda: ThingPage,
    items="things",
    account=("query", "location_id"),
    from_client={"location_id": "query"},
    required_from_client=frozenset({"location_id"}),
)
CREATE_THING: Operation[Thing] = Operation(
    id="create_thing",
    method="POST",
    path="/things",
    retry="never-after-sent",
    body=lambda: ThingCreate,
    result=lambda: Thing,
    account=("body", "location_id"),
    from_client={"location_id": "body"},
)
PUT_THING: Operation[None] = Operation(
    id="put_thing",
    method="PUT",
    path="/locations/{location_id}/things/{id}",
    retry="idempotent",
    answer="none",
    body=lambda: ThingCreate,
    account=("path", "location_id"),
    from_client={"location_id": "path"},
)
UPLOAD_THING: Operation[Thing] = Operation(
    id="upload_thing",
    method="POST",
    path="/things/upload",
    retry="idempotent",
    body=lambda: ThingUpload,
    encoding="multipart",
    files=("files",),
    result=lambda: Thing,
)
GET_PICTURE: Operation[ByteStream] = Operation(
    id="get_picture", method="GET", path="/things/{thing_id}/picture", retry="safe", answer="bytes"
)


async def get_thing(client: Caller, thing_id: str, *, options: CallOptions | None = None) -> Thing:
    """Get a thing."""
    return await client.call(Call(GET_THING, path={"thing_id": thing_id}, options=options))


async def list_things(
    client: Caller,
    *,
    limit: int | None = None,
    tags: Sequence[str] | None = None,
    active: bool | None = None,
    location_id: str | None = None,
    resume: str | None = None,
    options: CallOptions | None = None,
) -> ThingPage:
    """List things."""
    query = {"limit": limit, "tags": tags, "active": active, "location_id": location_id}
    return await client.call(Call(LIST_THINGS, query=query, resume=resume, options=options))


async def create_thing(
    client: Caller,
    *,
    name: str,
    note: str | Omit | None = OMIT,
    working_hours: Sequence[Day | Mapping[str, Any]] | Omit = OMIT,
    location_id: str | None = None,
    options: CallOptions | None = None,
) -> Thing:
    """Create a thing."""
    body = {"name": name, "note": note, "working_hours": working_hours, "location_id": location_id}
    return await client.call(Call(CREATE_THING, body=body, options=options))


async def get_picture(client: Caller, thing_id: str, *, options: CallOptions | None = None) -> ByteStream:
    """Get a thing's picture."""
    return await client.call(Call(GET_PICTURE, path={"thing_id": thing_id}, options=options))


class Things(Namespace):
    """Things."""

    get = get_thing
    list = list_things
    create = create_thing
    picture = downloadable(get_picture)


class ToyOptions(ClientOptions, total=False):
    location_id: str | None


class Toy(BaseClient[ToyOptions]):
    """A client for the toy platform."""

    _option_names = frozenset(ToyOptions.__optional_keys__)

    def __init__(self, api_key: str | Secret | None = None, **options: Unpack[ToyOptions]) -> None:
        api_key = Secret.of(api_key)
        super().__init__(api_key, options)

    def with_options(self, **options: Unpack[ToyOptions]) -> Self:
        return self._view(options)

    @classmethod
    def _platform(cls, options: ToyOptions) -> Platform:
        location = Default(keyword="location_id", env="TOY_LOCATION_ID", value=options.get("location_id"))
        return Platform(
            name="Toy",
            base_url="https://toy.example/api",
            api_key_env="TOY_API_KEY",
            limits=(RateLimit(60, per=60), RateLimit(10, per=1)),
            defaults={"location_id": location},
            account="location_id",
            version_header="Version",
            version="2021-07-28",
        )

    @cached_property
    def things(self) -> Things:
        return Things(self)


KEY = "ck_live_0123456789abcdef"
AT_ONCE = RetryPolicy(base_delay=0, default_retry_after=0)


def toy(handler: Callable[[httpx.Request], httpx.Response], **options: Unpack[ToyOptions]) -> Toy:
    """Make a client whose requests are answered by `handler`."""
    transport = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    given: ToyOptions = {"location_id": "loc_1", "retry": AT_ONCE, "http_client": transport, **options}
    return Toy(KEY, **given)
