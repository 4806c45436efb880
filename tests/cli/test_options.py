"""The options of all commands: an option that several commands have is one and the same."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import typer.main

from kilonova.cli import options
from kilonova.cli.main import app
from tests.cli.test_cli import kilonova

SHARED = {
    "--data", "--store", "--collection", "--model", "--host", "--port", "--limit", "-k", "--json", "--log-level",
    "--purpose", "--detail",
}  # fmt: skip


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each command with the words that call it."""
    for name, command in (group or cast(Any, typer.main.get_command(app))).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_options_of_several_commands_have_the_same_flags() -> None:
    spellings = defaultdict(set)
    for _, command in commands():
        for option in command.params:
            for flag in (flag for flag in option.opts if option.param_type_name == "option"):
                spellings[flag].add(tuple(sorted(option.opts)))
    assert {flag: found for flag, found in spellings.items() if len(found) > 1} == {}
    assert spellings["-k"] == {("--limit", "-k")}


def test_shared_options_are_declared_in_one_place() -> None:
    for path in Path(options.__file__).parent.glob("*.py"):
        if path.name == "options.py":
            continue
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "Option":
                flags = {argument.value for argument in call.args if isinstance(argument, ast.Constant)}
                assert not flags & SHARED, f"{path}:{call.lineno}"


@pytest.mark.parametrize(
    ("old", "new"), [("--min-score", "--min-similarity"), ("--good", "--relevant"), ("--bad", "--irrelevant")]
)
def test_old_names_of_options_are_gone(old: str, new: str) -> None:
    done = kilonova("search", "x", old, "0.5")
    assert done.returncode == 2
    assert f"No such option: {old}" in done.stderr
    assert new in kilonova("search", "--help").stdout
