"""Entry points of other distributions: found, loaded, and kept from harming each other."""

from __future__ import annotations

from pathlib import Path
from typing import TypeGuard

import pytest

from kilonova import plugins
from kilonova.errors import Unavailable
from tests.plugins.distributions import install

GROUP = "kilonova.rerankers"


def is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def test_a_plugin_is_found_by_its_name(site: Path) -> None:
    install(site, "good_texts", {GROUP: {"你好": "good_texts_one:VALUE"}}, good_texts_one="VALUE = 'hello'")
    assert plugins.find(GROUP, "你好", is_text) == "hello"
    assert plugins.find(GROUP, "hello", is_text) is None
    assert plugins.find("kilonova.readers", "你好", is_text) is None
    assert plugins.load(GROUP, is_text) == ({"你好": "hello"}, [])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import a_module_that_nobody_has", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("VALUE = 1", "is not what that group holds"),
        ("", "AttributeError"),
    ],
)
def test_a_broken_plugin_is_named_and_harms_no_other(site: Path, code: str, reason: str) -> None:
    module = f"broken_{reason.split()[0].lower()}"
    install(site, "broken-texts", {GROUP: {"broken": f"{module}:VALUE"}}, **{module: code})
    install(site, "other-texts", {GROUP: {"fine": "other_texts:VALUE"}}, other_texts="VALUE = 'fine'")
    with pytest.raises(Unavailable, match=f"broken-texts.*{reason}"):
        plugins.find(GROUP, "broken", is_text)
    assert plugins.find(GROUP, "fine", is_text) == "fine"
    found, faults = plugins.load(GROUP, is_text)
    assert found == {"fine": "fine"}
    assert [str(fault) for fault in faults if "broken-texts" in str(fault) and reason in str(fault)]


def test_our_own_entry_points_are_left_to_the_tables_in_code(site: Path) -> None:
    install(site, "kilonova", {GROUP: {"ours": "os:name"}})
    assert plugins.find(GROUP, "ours", is_text) is None
    assert plugins.load(GROUP, is_text) == ({}, [])


def test_all_are_listed_ours_first_with_their_faults(site: Path) -> None:
    install(site, "a_stranger", {GROUP: {"good": "os:name", "bad": "os:no_such_name"}})
    install(site, "kilonova", {GROUP: {"ours": "os:name"}})
    listed = [(one.name, one.distribution, one.version, one.built_in, bool(one.fault)) for one in plugins.installed()]
    assert listed == [
        ("ours", "kilonova", "1.2", True, False),
        ("good", "a_stranger", "1.2", False, False),
        ("bad", "a_stranger", "1.2", False, True),
    ]


def test_what_is_resolved_is_the_object_itself() -> None:
    assert plugins.resolve("kilonova.errors:Unavailable") is Unavailable
