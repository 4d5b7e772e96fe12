"""A valid request as HoopAI's handlers see it: with the location that it is about."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from dialogkit.testing.engine import registry
from dialogkit.testing.engine.document import Match, Operation, is_object
from dialogkit.testing.engine.platform import Arrival
from dialogkit.testing.engine.refusals import Refusal, not_found
from dialogkit.testing.engine.state import Row, Table
from dialogkit.testing.hoopai.state import HoopAIState

_TENANT: Final = "locationId"


@dataclass(frozen=True)
class Call(registry.Call[HoopAIState]):
    """One valid request."""

    location_id: str = field(kw_only=True)
    """The location that the request names, else the credential's own."""
    names_location: bool = field(kw_only=True)

    def row(self, table: Table, id_: str) -> Row:
        """Return a row that this request may see, or refuse with 404."""
        row = table.get(id_)
        owner = row.get(_TENANT)
        reach = self.location_id if self.names_location else self.credential.account
        if reach is not None and owner not in {None, reach}:
            raise not_found(table.kind, id_)
        return row

    def rows(self, table: Table, **values: Any) -> list[Row]:
        """Return the rows of the request's location that have all these values; a value of None is not looked at."""
        wanted = {key: value for key, value in values.items() if value is not None}
        return table.find(locationId=self.location_id, **wanted)


def with_location(call: registry.Call[HoopAIState]) -> Call:
    """Return a call with the location that it is about, or refuse with 403 one that its credential does not reach."""
    named = _named_location(call)
    account, state = call.credential.account, call.state
    if named is not None and named not in (state.locations if account is None else [account]):
        raise Refusal(403, "The token does not have access to this location.")
    own = account or state.account
    return Call(**vars(call), location_id=own if named is None else named, names_location=named is not None)


def _named_location(call: registry.Call[HoopAIState]) -> str | None:
    for each in call.operation.parameters:
        if each.tenant:
            return _text((call.path if each.place == "path" else call.query).get(each.name))
    return _text(call.body.get(_TENANT))


def counted_location(arrival: Arrival, state: HoopAIState) -> str:
    """Return the location that a request is counted with: the one that it seems to name, being not validated yet."""
    named = _peek_location(arrival.match, arrival.operation, arrival)
    return named if named in state.locations else state.account


def _peek_location(match: Match, operation: Operation, arrival: Arrival) -> str | None:
    for each in operation.parameters:
        if each.tenant:
            return match.values.get(each.name) if each.place == "path" else arrival.query.get(each.name)
    if "application/json" not in operation.body:
        return None
    try:
        body: Any = json.loads(arrival.content)
    except (ValueError, RecursionError):
        return None
    return _text(body.get(_TENANT)) if is_object(body) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
