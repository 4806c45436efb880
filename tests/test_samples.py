"""The media that tests make."""

from __future__ import annotations

import os
import sys

import pytest

from tests import samples


@pytest.mark.parametrize("form", samples.VIDEOS | samples.CODECS)
def test_encoders_leave_the_priority_of_the_tests_as_it_is(form: str) -> None:
    if not sys.platform.startswith("linux"):
        return
    before = os.sched_getscheduler(0)
    samples.video.__wrapped__(form, 0.4)
    assert os.sched_getscheduler(0) == before
