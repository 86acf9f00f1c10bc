"""One start of the clocks for each file of tests, and no proxy of the machine between a client and its server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simkit.kernel.machine import MACHINE


@pytest.fixture(autouse=True, scope="module")
def clocks() -> Iterator[None]:
    with MACHINE.held():
        yield


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https", "all"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme.upper()}_PROXY", raising=False)
