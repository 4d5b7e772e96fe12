"""The models of the answers once more, on a base of one's own.

`openai` decodes into subclasses of its own base only, and who uses bare httpx declares what he reads, and not the whole
platform. The fields are those of `dialogkit.hoopai.models`; a test compares them.
"""

from __future__ import annotations

from datetime import datetime
from types import GenericAlias
from typing import Any, NamedTuple

from pydantic import BaseModel, Field, create_model

ROW: dict[str, Any] = dict.fromkeys(("id", "contact_id", "location_id"), str)
ROW_OPTIONAL: dict[str, Any] = {
    "last_message_body": str,
    "last_message_type": str | int,
    "type": str,
    "unread_count": int,
    **dict.fromkeys(("full_name", "contact_name", "email", "phone"), str),
    **dict.fromkeys(("last_message_date", "last_manual_message_date", "date_added", "date_updated"), int),
    "sort": list[Any],
    **dict.fromkeys(("followers", "mentions", "tags"), list[str]),
    "company_name": str,
    "is_last_message_internal_comment": bool,
    "message_types": list[int],
    "scoring": list[Any],
}
CONVERSATION: dict[str, Any] = dict.fromkeys(("id", "location_id", "contact_id"), str)
CONVERSATION_OPTIONAL: dict[str, Any] = {
    "assigned_to": str,
    **dict.fromkeys(("type", "unread_count"), int),
    **dict.fromkeys(("inbox", "starred", "deleted", "is_last_message_internal_comment"), bool),
    "last_message_type": str | int,
    "last_message_date": datetime | dict[str, int],
    "message_types": list[int],
}
SENT: dict[str, Any] = {"conversation_id": str}
SENT_OPTIONAL: dict[str, Any] = {
    **dict.fromkeys(("message_id", "email_message_id", "status", "msg"), str),
    "message_ids": list[str],
    "forward_data": dict[str, Any],
}


class Twins(NamedTuple):
    """The models under the names that `dialogkit.hoopai.models` gives them."""

    ConversationSearchResult: Any
    ConversationSearchPage: Any
    Conversation: Any
    MessageSendResult: Any


def twins(base: type[BaseModel]) -> Twins:
    """Make the models on `base`."""
    row = _model(base, "ConversationSearchResult", ROW, ROW_OPTIONAL)
    rows: dict[str, Any] = {"conversations": GenericAlias(list, (row,)), "total": int}
    return Twins(
        ConversationSearchResult=row,
        ConversationSearchPage=_model(base, "ConversationSearchPage", {}, rows),
        Conversation=_model(base, "Conversation", CONVERSATION, CONVERSATION_OPTIONAL),
        MessageSendResult=_model(base, "MessageSendResult", SENT, SENT_OPTIONAL),
    )


def _model(base: type[BaseModel], name: str, required: dict[str, Any], optional: dict[str, Any]) -> Any:
    fields: dict[str, Any] = {each: (kind, Field(alias=_camel(each))) for each, kind in required.items()}
    for each, kind in optional.items():
        fields[each] = (kind | None, Field(default=None, alias=_camel(each)))
    return create_model(name, __base__=base, **fields)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
