"""Sound for recordings: a plain tone as a WAV file."""

from __future__ import annotations

import array
import io
import math
import sys
import wave
from functools import lru_cache
from typing import Final

RATE: Final = 8000
"""Samples per second, as on the telephone."""
_PITCH: Final = 440.0
_LOUDNESS: Final = 8000
_LONGEST: Final = 60.0


@lru_cache(maxsize=8)
def tone(seconds: float) -> bytes:
    """Return a mono 16-bit WAV file with a tone that lasts some seconds, a minute at most."""
    count = int(min(seconds, _LONGEST) * RATE)
    samples = array.array("h", (int(_LOUDNESS * math.sin(math.tau * _PITCH * n / RATE)) for n in range(count)))
    if sys.byteorder == "big":
        samples.byteswap()
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(samples.tobytes())
    return file.getvalue()
