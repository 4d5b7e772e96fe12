"""Recordings and transcriptions of calls in conversations."""

from __future__ import annotations

from typing import Final

from dialogkit.testing.engine.refusals import Refusal, missing, wrong
from dialogkit.testing.engine.registry import Answer, Registry
from dialogkit.testing.engine.state import Row
from dialogkit.testing.hoopai import inbox
from dialogkit.testing.hoopai.calls import Call
from dialogkit.testing.hoopai.handlers.messages import find_message
from dialogkit.testing.hoopai.wav import tone

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles

_SENTENCES: Final = (
    (1, "Hello, this is the front desk. How can I help?"),
    (2, "I would like to book an appointment."),
    (1, "Gladly. Does Tuesday at ten suit you?"),
    (2, "Yes, thank you."),
)


def _call_message(call: Call, what: str) -> Row:
    """Return the call that the path names, or refuse a message that has none of what is asked for.

    It was observed that this is 400 for recordings and 422 for transcriptions, and not 404.
    """
    message = find_message(call, call.path["messageId"])
    if message["type"] in inbox.CALL_CODES and message.get("recorded", True):
        return message
    if call.lenient:
        raise Refusal(404, f"The message {message['id']!r} is no call: it has no {what}.")
    if what == "recording":
        raise missing("CONVERSATIONS_MSG_RECORDING_NOT_FOUND")
    raise wrong(f"no {what} was found for the message {message['id']}")


def _sentences(message: Row) -> list[Row]:
    """Make up what was said, spread over the duration of the call."""
    step = int(message.get("meta", {}).get("call", {}).get("duration", 0) * 1000) // len(_SENTENCES)
    return [
        {
            "mediaChannel": channel,
            "sentenceIndex": index,
            "startTime": index * step,
            "endTime": (index + 1) * step,
            "transcript": text,
            "confidence": 0.97,
        }
        for index, (channel, text) in enumerate(_SENTENCES)
    ]


def _as_observed(sentence: Row) -> Row:
    """Write a sentence as the platform was seen to: with a speaker's number, and times in seconds."""
    seconds = {name: sentence[name] / 1000 for name in ("startTime", "endTime")}
    return {"speaker": sentence["mediaChannel"] - 1, "transcript": sentence["transcript"], **seconds}


@_handles("get_message_recording")
def get_message_recording(call: Call) -> Answer:
    """Return a tone that lasts as long as the call did, a minute at most."""
    message = _call_message(call, "recording")
    duration: float = message.get("meta", {}).get("call", {}).get("duration", 0)
    return Answer.file(tone(duration), "audio/x-wav", "audio.wav")


@_handles("get_message_transcription")
def get_message_transcription(call: Call) -> list[Row]:
    """Return what was said, sentence by sentence."""
    sentences = _sentences(_call_message(call, "transcription"))
    return sentences if call.lenient else [_as_observed(each) for each in sentences]


@_handles("download_message_transcription")
def download_message_transcription(call: Call) -> Answer:
    """Return what was said as a text file, a line for each sentence."""
    lines = [f"{each['mediaChannel']}: {each['transcript']}\n" for each in _sentences(_call_message(call, "text"))]
    return Answer.file("".join(lines).encode(), "text/plain", "transcription.txt")
