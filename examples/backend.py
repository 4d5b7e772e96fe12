"""A backend that answers inbound messages, hands over to people, and shows what it is doing. Run it with uvicorn:

    HOOPAI_API_KEY=... HOOPAI_LOCATION_ID=... BACKEND_TOKEN=... uvicorn backend:app --app-dir examples

Register https://your-host/webhooks/hoopai as a webhook. Deliveries are proven by the platform's published key, or by
the one in WEBHOOK_PUBLIC_KEY, where you test with a sandbox; those of other locations are dropped, since the platform
signs everybody's with the same key.

What people write is shown to whoever knows BACKEND_TOKEN, and to nobody if there is none: `Authorization: Bearer ...`,
or https://your-host/#... for the page, whose part after the # no server sees.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from dialogkit import HoopAI, MemoryRateLimiter, RateLimitEvent, ResponseEvent, RetryEvent
from dialogkit.fastapi import Delivery, client, lifespan, webhook_router
from dialogkit.hoopai import models, webhooks

HUMAN = ("human", "person", "agent", "complaint")
"""Words that call for a colleague."""


@dataclass
class Stats:
    """What the page shows."""

    calls: Counter[str] = field(default_factory=Counter[str])
    retries: Counter[str] = field(default_factory=Counter[str])
    held_back: Counter[str] = field(default_factory=Counter[str])
    answered: int = 0
    handed_over: int = 0
    latest: deque[str] = field(default_factory=lambda: deque[str](maxlen=10))

    def on_response(self, event: ResponseEvent) -> None:
        self.calls[f"{event.operation} {event.status}"] += 1

    def on_retry(self, event: RetryEvent) -> None:
        self.retries[event.operation] += 1

    def on_rate_limit(self, event: RateLimitEvent) -> None:
        self.held_back[event.reason] += 1


stats = Stats()
limiter = MemoryRateLimiter()
hooks = webhook_router(
    "/webhooks/hoopai",
    webhooks.verifier(
        public_key=os.environ.get("WEBHOOK_PUBLIC_KEY") or webhooks.PUBLIC_KEY,
        location_ids=[os.environ["HOOPAI_LOCATION_ID"]],
    ),
)


@hooks.on(models.InboundMessageEvent)
async def answer(event: models.InboundMessageEvent, delivery: Delivery) -> None:
    """Answer a message, or hand it over."""
    hoop = delivery.client(HoopAI)
    if event.contact_id is None:
        return
    text = (event.body or "").lower()
    stats.latest.append(text[:80])
    if any(word in text for word in HUMAN):
        if event.conversation_id is not None:
            await hoop.conversations.update(event.conversation_id, starred=True)
        reply = "A colleague will be with you in a moment."
        stats.handed_over += 1
    else:
        reply = "Thanks for your message! We are on it."
    await hoop.messages.send(type="SMS", contact_id=event.contact_id, message=reply)
    stats.answered += 1


@hooks.on(models.ConversationEscalatedEvent)
async def escalated(event: models.ConversationEscalatedEvent) -> None:
    """Note that a bot has handed a conversation over."""
    stats.handed_over += 1
    stats.latest.append(f"escalated: {event.conversation_id}")


def open_hoop() -> HoopAI:
    """Make the app's client, which reads its credential and location from the environment."""
    return HoopAI(
        rate_limit=limiter,
        on_response=stats.on_response,
        on_retry=stats.on_retry,
        on_rate_limit=stats.on_rate_limit,
        deadline=60,
    )


def colleague(given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]) -> None:
    """Let those in who know the token."""
    token = os.environ.get("BACKEND_TOKEN", "").encode()
    if given is None or not token or not secrets.compare_digest(given.credentials.encode(), token):
        raise HTTPException(401, "This is for whoever knows BACKEND_TOKEN", {"WWW-Authenticate": "Bearer"})


app = FastAPI(title="Front desk", lifespan=lambda app: lifespan(app, open_hoop))
app.include_router(hooks)
Hoop = Annotated[HoopAI, Depends(client(HoopAI))]
ONLY_COLLEAGUES = [Depends(colleague)]


@app.get("/conversations/{conversation_id}", dependencies=ONLY_COLLEAGUES)
async def conversation(conversation_id: str, hoop: Hoop) -> dict[str, Any]:
    """Show a conversation: the client is a dependency like any other."""
    found = await hoop.conversations.get(conversation_id)
    return found.model_dump(mode="json", exclude_none=True)


@app.get("/stats", dependencies=ONLY_COLLEAGUES)
async def numbers() -> dict[str, Any]:
    """Return what the page shows."""
    return {
        "answered": stats.answered,
        "handed over": stats.handed_over,
        "retries": stats.retries.total(),
        "held back": stats.held_back.total(),
        "calls": dict(stats.calls),
        "latest": list(stats.latest),
        "limits": [
            {
                "waiting": state.waiting,
                "paused": round(state.paused_for, 1),
                "limit": each.limit,
                "per": each.per,
                "free": each.free,
            }
            for state in limiter.snapshot()
            for each in state.windows
        ],
    }


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    """Show what happens, as it happens; the page has nothing of it in itself."""
    return PAGE


PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Front desk</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; width: 100%; margin-bottom: 1.5rem; }
  td, th { border-bottom: 1px solid #ddd; padding: .25rem .5rem; text-align: left; }
  td:last-child { text-align: right; font-variant-numeric: tabular-nums; }
  progress { width: 8rem; }
</style>
<h1>Front desk</h1>
<table id="totals"></table>
<h2>Calls</h2>
<table id="calls"></table>
<h2>Limits</h2>
<table id="limits"></table>
<h2>Latest</h2>
<ul id="latest"></ul>
<script>
  const cell = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  function fill(id, rows) {
    const body = document.getElementById(id);
    body.replaceChildren(...rows.map((row) => {
      const line = document.createElement("tr");
      line.append(...row.map((each) => each instanceof Node ? each : cell("td", each)));
      return line;
    }));
  }
  function bar(limit, free) {
    const shown = cell("td", "");
    shown.append(Object.assign(document.createElement("progress"), { max: limit, value: limit - free }));
    return shown;
  }
  async function refresh() {
    const token = decodeURIComponent(location.hash.slice(1));
    const answer = await fetch("/stats", { headers: { Authorization: `Bearer ${token}` } });
    if (!answer.ok) {
      return fill("totals", [["Add # and the token to this page's address", answer.status]]);
    }
    const stats = await answer.json();
    fill("totals", ["answered", "handed over", "retries", "held back"].map((name) => [name, stats[name]]));
    fill("calls", Object.entries(stats.calls));
    fill("limits", stats.limits.map((each) =>
      [`${each.limit} in ${each.per} s`, bar(each.limit, each.free), `${each.waiting} waiting`, `${each.free} free`]));
    document.getElementById("latest").replaceChildren(...stats.latest.map((text) => cell("li", text)));
  }
  refresh();
  setInterval(refresh, 1000);
</script>
</html>
"""
