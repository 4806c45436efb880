"""`make test-fast` leaves out the tests that start programs, and finds them by itself."""

from __future__ import annotations

import pytest

from tests import conftest, reach, samples, servers
from tests.cli import test_cli, test_configuration
from tests.wire import test_nova


def test_what_starts_programs_is_seen() -> None:
    for one in (
        servers.Kilonova,
        servers.S3,
        conftest.fake,
        test_cli.kilonova,
        test_configuration.test_as_a_user_runs_it,
    ):
        assert reach.reaches(one), one
    tests = [value for name, value in vars(test_nova).items() if name.startswith("test_")]
    for one in (samples.image, samples.video, test_configuration.test_secrets_are_masked, *tests):
        assert not reach.reaches(one), one


def test_tests_of_servers_are_marked(request: pytest.FixtureRequest) -> None:
    marked = {item.name for item in request.session.items if item.get_closest_marker("server")}
    names = {item.name for item in request.session.items}
    assert marked >= names & {"test_doctor", "test_models", "test_every_kind_is_indexed_and_known"}
    assert not marked & {"test_secrets_are_not_shown", "test_secrets_are_masked"}
