"""Nothing here runs: mypy and pyright check that a sandbox is typed as its platform is."""
# mypy: warn_unused_ignores
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from dataclasses import replace
from typing import Any

from typing_extensions import assert_type

from dialogkit.testing import Sandbox
from dialogkit.testing.engine.state import State
from dialogkit.testing.hoopai.platform import PLATFORM
from dialogkit.testing.hoopai.state import HoopAIState


def the_usual_one_is_hoopai_s(fixture: Sandbox) -> None:
    assert_type(Sandbox(), Sandbox[HoopAIState])
    assert_type(Sandbox(platform="hoopai", location_id="loc_1", tier="marketplace"), Sandbox)
    assert_type(Sandbox(platform=replace(PLATFORM, keys=("k",))), Sandbox)
    assert_type(fixture.location_id, str)
    assert_type(fixture.add_conversations(2), list[str])


def others_lack_what_is_hoopai_s(other: Sandbox[Any]) -> None:
    convoai = Sandbox(platform="convoai", tier="free")
    assert_type(convoai, Sandbox[State])
    assert_type(convoai.url, str)
    convoai.add_conversations(2)  # type: ignore[misc]
    convoai.location_id  # type: ignore[misc]  # noqa: B018
    Sandbox(platform="hoverbot", location_id="loc_1")  # type: ignore[call-overload]
    assert_type(other.api_key, str)
