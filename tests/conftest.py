"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.needs import NEEDS
from tests.reach import starts_programs
from tests.servers import S3, Kilonova


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A real S3 server with a bucket "media"."""
    with S3() as server:
        yield server


@pytest.fixture(scope="session")
def fake(s3: S3) -> Iterator[Kilonova]:
    """A server of the fake model, whose S3 is the one above."""
    with Kilonova("--batch-seconds", "5", environment=s3.environment()) as server:
        yield server.wait_ready()


@pytest.fixture(scope="session")
def mini() -> Iterator[Kilonova]:
    """A server of the built-in model."""
    with Kilonova(model="kilonova-mini") as server:
        yield server.wait_ready()


@pytest.fixture
def bedrock(fake: Kilonova) -> Any:
    """A boto3 client of the fake server."""
    return fake.client()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers of ``tests.needs``."""
    for name, need in NEEDS.items():
        config.addinivalue_line("markers", f"{name}: {need.reason}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts programs; run the tests that measure time first, before other servers are up."""
    for item in items:
        if starts_programs(item):
            item.add_marker("server")
    items.sort(key=lambda item: item.get_closest_marker("timing") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs what is not installed."""
    for name, need in NEEDS.items():
        if item.get_closest_marker(name) and not need.present():
            pytest.skip(need.reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """With KILONOVA_TESTS=all a skipped test is a failure; in CI every skip that no marker explains is one."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        explained = any(item.get_closest_marker(name) and not need.present() for name, need in NEEDS.items())
        if os.environ.get("KILONOVA_TESTS") == "all" or (os.environ.get("CI") and not explained):
            report.outcome = "failed"
            report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was skipped and how to get what it needs."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped if report.longrepr)
    if reasons:
        terminalreporter.section("skipped tests, and how to run them")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count} x {reason}")
