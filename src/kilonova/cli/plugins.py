"""``kilonova plugins``."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

from kilonova.cli import options
from kilonova.cli.out import cell, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kilonova.plugins import Plugin
    from kilonova.stores.registry import Backend

__all__ = ["plugins"]


def plugins(as_json: Annotated[bool, options.json("A JSON array, for scripts.")] = False) -> None:
    """List model families, vector stores, readers of files and rerankers: built in, and of other distributions.

    Whatever Python package registers an entry point in one of these groups is used; nothing has to be configured.

    **Examples**

        kilonova plugins

        kilonova plugins --json
    """
    from kilonova import plugins as registered
    from kilonova.models import registry as models
    from kilonova.search import rerank
    from kilonova.segments import documents
    from kilonova.stores import registry

    checks: dict[str, Callable[[object], bool]] = {
        models.GROUP: models.is_family,
        registry.GROUP: registry.is_backend,
        documents.GROUP: documents.is_reader,
        rerank.GROUP: rerank.is_reranker,
    }
    found = [
        _with_extra(one, registry.BUILT_IN) if one.group == registry.GROUP and one.built_in else one
        for one in registered.installed(checks)
    ]
    if as_json:
        print_json([asdict(one) for one in found])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("group", "name", "from", "fault")
    for one in found:
        origin = "built in" if one.built_in else f"{one.distribution} {one.version}".strip()
        table.add_row(one.group, cell(one.name), cell(origin), cell(one.fault))
    Console().print(table)
    empty = [group for group in registered.GROUPS if group not in {one.group for one in found}]
    if empty:
        print(f"There are no plug-ins in {', '.join(empty)}.")


def _with_extra(one: Plugin, stores: Mapping[str, Backend]) -> Plugin:
    """A built-in store with what is missing for it."""
    backend = stores.get(one.name)
    missing = backend.missing() if backend is not None else ""
    return replace(one, fault=one.fault or missing)
