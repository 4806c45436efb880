"""Mutated requests of every operation: see ``benchmarks/fuzz.py``, which runs more of them."""

from __future__ import annotations

import pytest

from benchmarks import fuzz
from tests.servers import API_KEY, S3, Kilonova


@pytest.mark.timeout(600)
def test_mutated_requests_are_answered(s3: S3) -> None:
    with Kilonova("--batch-seconds", "5", environment=s3.environment()) as server:
        server.wait_ready()
        fuzz.prepare(server.url, API_KEY)
        report = fuzz.run(server.url, API_KEY, seed=20, count=20_000)
    assert report.failures == []
    assert report.statuses[200] > 500
    assert report.statuses[400] > 5_000
    assert report.slowest[0] < 10, report.slowest[1]
