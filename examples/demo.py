"""A walk through dialogkit against the sandbox: no account, no network. Run it with `make demo`."""

from __future__ import annotations

import asyncio
import tempfile
import time
import wave
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from dialogkit import HoopAI, InvalidArgumentError, NotFoundError, RetryPolicy, response_info
from dialogkit.testing import Sandbox

console = Console(highlight=False)


def step(title: str) -> None:
    """Announce what comes next."""
    console.print(f"\n[bold cyan]▸ {title}[/]")


def say(text: str) -> None:
    """Print one line of what happened."""
    console.print(f"  {text}", soft_wrap=True)


async def bots(hoop: HoopAI) -> None:
    """Create a bot, give it knowledge, and switch it on."""
    step("Create a bot and its knowledge")
    bot = await hoop.bots.create(name="Sales assistant", system_prompt="Be brief.", model="gpt-4", status="draft")
    say(f"created [bold]{bot.name}[/] ({bot.id}), status {bot.status}")
    entry = await hoop.bots.knowledge.add(bot.id, type="text", title="Hours", content="Open from 9 to 5.")
    page = await hoop.bots.knowledge.add(bot.id, type="url", url="https://example.com/prices")
    say(f"added a text entry ({entry.id}) and a page to crawl ({page.id})")

    step("Change its status")
    changed = await hoop.bots.set_status(bot.id, status="active")
    say(f"{bot.status} → [green]{changed.status}[/]; attempts: {response_info(changed).attempts}")


async def messages(hoop: HoopAI) -> None:
    """Send messages, and read a conversation back."""
    step("Send messages")
    first = await hoop.messages.send(type="SMS", contact_id="contact_demo", message="Hello!")
    for text in ("Are you open today?", "Thank you."):
        await hoop.messages.send(type="SMS", conversation_id=first.conversation_id, message=text)
    say(f"three messages in {first.conversation_id}, newest first:")
    async for message in hoop.messages.list(first.conversation_id):
        say(f"  {message.date_added:%H:%M:%S} {message.direction}: {message.body}")


async def pagination(hoop: HoopAI) -> None:
    """Iterate in two of the platform's seven ways to page, and resume from a cursor."""
    step("Two kinds of pagination, one interface")
    count = 0
    async for _ in hoop.conversations.list(limit=10):  # offset and limit
        count += 1
    say(f"conversations.list (offset): {count} conversations, ten at a time")
    page = await hoop.agents.search(limit=4)  # the last id of each page
    say(f"agents.search (startAfter): first page {[agent.name for agent in page.items]}")
    rest = [agent.name async for agent in hoop.agents.search(limit=4, resume=page.cursor)]
    say(f"resumed from the cursor [dim]{page.cursor}[/]: {len(rest)} more")


async def recording(hoop: HoopAI) -> None:
    """Download a call's recording with a progress bar."""
    step("Download a recording")
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console) as progress:
        task = progress.add_task("call.wav")
        path = await hoop.messages.recording("message_call").to_file(
            Path(folder) / "call.wav",
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
        with wave.open(str(path)) as sound:
            seconds = sound.getnframes() / sound.getframerate()
    say(f"{seconds:.1f} s of sound")


async def errors(hoop: HoopAI) -> None:
    """Make two mistakes: one is caught before anything is sent, the other is answered by the platform."""
    step("Errors are sentences")
    try:
        await hoop.conversations.list(limit=500)
    except InvalidArgumentError as error:
        say(f"[yellow]{type(error).__name__}[/]: {error}")
    try:
        await hoop.bots.get("bot_that_never_was")
    except NotFoundError as error:
        say(f"[yellow]{type(error).__name__}[/]: {error}")


async def limits(hoop: HoopAI) -> None:
    """Run into the platform's limit with the limiter off, and let the retries ride it out."""
    step("Meet a 429 and ride it out")
    hasty = hoop.with_options(rate_limit=None, retry=RetryPolicy(max_attempts=6))
    started = time.monotonic()
    answers = await asyncio.gather(*(hasty.bots.list() for _ in range(24)))
    attempts = [response_info(answer).attempts for answer in answers]
    say(f"24 calls at once with the limiter off: {sum(attempts) - 24} were answered 429 and repeated in time")
    say(f"all of them succeeded, in {time.monotonic() - started:.1f} s")


async def main() -> None:
    """Start the sandbox, and take each step against it."""
    started = time.monotonic()
    async with Sandbox(tier="agency", seed="live") as sandbox:
        sandbox.add_conversations(25)
        sandbox.add_agents(10)
        console.print(f"[bold]dialogkit[/] talks to a sandbox of HoopAI at {sandbox.url}")
        client = HoopAI(sandbox.api_key, base_url=sandbox.url, location_id=sandbox.location_id, tier="agency")
        async with client as hoop:
            for part in (bots, messages, pagination, recording, errors, limits):
                await part(hoop)
        requests = Table("requests that the sandbox saw", "count", box=None, header_style="bold", pad_edge=False)
        statuses = sorted({request.status for request in sandbox.requests if request.status is not None})
        for status in statuses:
            requests.add_row(f"answered {status}", str(sum(r.status == status for r in sandbox.requests)))
        console.print()
        console.print(requests)
    console.print(f"\n[green]Done[/] in {time.monotonic() - started:.1f} s.")


if __name__ == "__main__":
    asyncio.run(main())
