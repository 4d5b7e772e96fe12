"""Build the wheel and use it as a user would: in clean environments, far from the checkout.

Once with this Python and the newest dependencies, once with Python 3.10 (if the machine has it) and the lowest versions
that `pyproject.toml` allows; there the tests of the runtime and of the facade run, too. Run by `make test-wheel`. It
installs packages, so it stands apart from the tests proper.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from packaging.metadata import parse_email
from packaging.requirements import Requirement

TEST_TOOLS = [
    *("pytest", "pytest-asyncio", "pytest-httpx", "hypothesis", "httpx-aiohttp"),
    *("opentelemetry-sdk", "respx", "trio", "trustme", "vcrpy"),
]
EXTRAS = "fastapi,otel,redis,testing,webhooks"
ROOT = Path(__file__).resolve().parents[2]
OLDEST = "3.10"


def find_python(version: str) -> str | None:
    """Return an interpreter of this version, if the machine has one that works."""
    candidates = [
        shutil.which(f"python{version}"),
        *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")),
    ]
    for candidate in filter(None, candidates):
        probe = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        if probe.returncode == 0 and f" {version}." in probe.stdout:
            return candidate
    return None


def build(target: Path) -> Path:
    """Build the wheel into `target`."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(target), str(ROOT)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = target.glob("*.whl")
    return wheel


def lowest_versions(wheel: Path, target: Path) -> Path:
    """Write constraints that pin each dependency of `wheel` to the lowest version that is allowed."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata, _ = parse_email(archive.read(name))
    needed = map(Requirement, metadata.get("requires_dist", []))
    pins = {each.name: spec.version for each in needed for spec in each.specifier if spec.operator == ">="}
    target.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
    return target


def use(python: str, wheel: Path, folder: Path, *options: str) -> list[str]:
    """Install the wheel for `python` into a clean environment in `folder`, try it, and say how to run pytest there."""
    if python == sys.executable:
        venv.create(folder, with_pip=True)
    else:
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
    own = folder / "bin" / "python"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    install = [str(own), "-m", "pip", "install", "-qq", *options, f"{wheel}[{EXTRAS}]", *TEST_TOOLS]
    subprocess.run(install, check=True, env=environment)
    smoke = Path(shutil.copy(Path(__file__).with_name("smoke.py"), folder))
    subprocess.run([str(own), "-W", "error", str(smoke)], check=True, cwd=folder, env=environment)
    plugin = Path(shutil.copy(Path(__file__).with_name("fixture_user.py"), folder / "test_user.py"))
    pytest = [str(own), "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
    subprocess.run([*pytest, str(plugin)], check=True, cwd=folder, env=environment)
    return pytest


def main() -> None:
    """Check the wheel at both ends of what is supported."""
    with tempfile.TemporaryDirectory(prefix="dialogkit-wheel-") as name:
        folder = Path(name)
        wheel = build(folder / "dist")
        use(sys.executable, wheel, folder / "newest")
        oldest = find_python(OLDEST)
        if oldest is None:
            print(f"NOT CHECKED on Python {OLDEST}: this machine has none (neither on PATH nor under ~/.pyenv).")
        lowest = lowest_versions(wheel, folder / "lowest.txt")
        pytest = use(oldest or sys.executable, wheel, folder / "oldest", "--constraint", str(lowest))
        tests = [f"tests/{room}" for room in ("_core", "hoopai", "hoverbot", "convoai")]
        subprocess.run([*pytest, *tests], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
