"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that measure time first, before other servers are up."""
    items.sort(key=lambda item: item.get_closest_marker("timing") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Where everything was installed (`.ci/run` sets CI), a skipped test is a failure."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
