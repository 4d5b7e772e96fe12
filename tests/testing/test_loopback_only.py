"""Connections beyond this machine, in tests that must not make any."""

from __future__ import annotations

import pytest

from dialogkit.testing.loopback import is_this_machine

pytest_plugins = ("pytester",)

TESTS = """
    import asyncio, socket
    import pytest
    from dialogkit import APIConnectionError, HoopAI

    async def get(url, **options):
        async with HoopAI("key-0123456789", base_url=url, retry=None, allow_insecure=True, **options) as hoop:
            return (await hoop.conversations.get("conversation_1")).id

    def test_by_address():
        with pytest.raises(APIConnectionError) as caught:
            asyncio.run(get("http://192.0.2.1:9"))
        assert not caught.value.sent

    def test_by_name():
        with pytest.raises(APIConnectionError):
            asyncio.run(get("https://api.hoopai.example"))

    def test_the_sandbox(dialogkit_sandbox):
        sandbox = dialogkit_sandbox
        async def find():
            async with HoopAI(sandbox.api_key, base_url=sandbox.url, location_id=sandbox.location_id) as hoop:
                assert await hoop.conversations.search()
        asyncio.run(find())

    def test_sockets_of_others():
        with socket.socket() as other, pytest.raises(ConnectionRefusedError, match="only this machine"):
            other.connect(("192.0.2.1", 9))

    def test_unix_sockets():
        one, other = socket.socketpair(socket.AF_UNIX)
        one.close(), other.close()
"""


def test_every_test_that_tries_fails(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    run = pytester.runpytest_subprocess("-p", "no:asyncio", "--dialogkit-loopback-only")
    run.assert_outcomes(passed=5, errors=3)
    run.stdout.fnmatch_lines(
        [
            "*This test tried to reach 192.0.2.1: mock the call, or use dialogkit_sandbox.*",
            "*This test tried to reach api.hoopai.example: mock the call*",
        ]
    )


def test_the_fixture_is_for_one_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import socket

        def test_guarded(dialogkit_loopback_only):
            try:
                socket.create_connection(("192.0.2.1", 9), timeout=0.001)
            except OSError:
                pass

        def test_free():
            assert socket.socket.connect.__name__ == "connect"
    """)
    pytester.runpytest_subprocess("-p", "no:asyncio").assert_outcomes(passed=2, errors=1)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "::1%lo", "", None, b"127.0.0.1", "0.0.0.0", "app.localhost"]
)
def test_this_machine(host: object) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "api.hoopai.example", "localhost.example", "fe80::1", b"example.com", 5])
def test_other_machines(host: object) -> None:
    assert not is_this_machine(host)
