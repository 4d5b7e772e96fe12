"""Subscription categories, and what contacts have left."""

from __future__ import annotations

from typing import Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.refusals import missing
from dialogkit.testing.engine.registry import Registry, pick
from dialogkit.testing.hoopai import inbox, tables
from dialogkit.testing.hoopai.calls import Call

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles


@_handles("list_custom_subtypes")
def list_custom_subtypes(call: Call) -> Json:
    """Return all categories of the location at once."""
    return {"customSubtypes": call.rows(tables.subtypes(call.state))}


@_handles("create_custom_subtype")
def create_custom_subtype(call: Call) -> Json:
    """Add a category."""
    row = {"locationId": call.location_id, "archived": False}
    return tables.subtypes(call.state).add({**row, **pick(call.body, "name", "description", "channel", "language")})


@_handles("update_custom_subtype")
def update_custom_subtype(call: Call) -> Json:
    """Change what is sent."""
    row = call.row(tables.subtypes(call.state), call.path["id"])
    row.update(pick(call.body, "name", "description", "archived", "resubscription_legal_form_id"))
    return row


@_handles("get_unsubscription_status")
def get_unsubscription_status(call: Call) -> Json:
    """Return what a contact has subscribed to or left, for one address or for all."""
    contact = inbox.contact(call.state, call.location_id, call.query["contactId"])
    wanted = {"contactId": contact["id"], "email": call.query.get("email")}
    return {"contactId": contact["id"], "subscriptions": call.rows(tables.subscriptions(call.state), **wanted)}


@_handles("change_unsubscription")
def change_unsubscription(call: Call) -> Json:
    """Record a change. To subscribe a contact to a custom category again takes a reason."""
    action = call.body["subscription_action"]
    if action["type"] == "custom":
        if "subtype_id" not in action:
            raise missing("subscription_action.subtype_id should not be empty for a custom category")
        subtype = call.row(tables.subtypes(call.state), action["subtype_id"])
        if action["subtype_status"] == "subscribed" and "legal_reason" not in call.body:
            raise missing(f"legal_reason should not be empty to subscribe to {subtype['name']} again")
    table = tables.subscriptions(call.state)
    key = {"contactId": call.body["contactId"], "email": call.body["email"], "subtypeId": action.get("subtype_id")}
    for old in call.rows(table, contactId=key["contactId"], email=key["email"]):
        if action["type"] == "resub_all" or old["subtypeId"] == key["subtypeId"]:
            table.remove(old["id"])
    row = table.add({"locationId": call.location_id, **key, "status": action["subtype_status"]})
    return {"success": True, "subscription": row}
