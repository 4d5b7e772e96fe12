from __future__ import annotations

from hypothesis import settings

# A loaded machine may be slow at any moment, which is no fault of what is tested.
settings.register_profile("dialogkit", deadline=None)
settings.load_profile("dialogkit")
