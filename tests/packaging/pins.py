"""Print the versions of everything installed, one `name==version` a line, and nothing about where it came from."""

from __future__ import annotations

from importlib.metadata import distributions

OWN = {"dialogkit", "pip", "setuptools", "wheel"}

if __name__ == "__main__":
    print("# The versions that the tests run with. Made by `make pins`.")
    pins = {
        f"{d.metadata['Name'].lower()}=={d.version}" for d in distributions() if d.metadata["Name"].lower() not in OWN
    }
    print("\n".join(sorted(pins)))
