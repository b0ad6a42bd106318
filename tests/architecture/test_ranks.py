"""Arrows point one way: what decides knows nothing of what acts, and what acts knows nothing of who commands it."""

from graphlib import TopologicalSorter

import pytest

from tests.architecture.source import MODULES, OWN, PACKAGE

#: Low to high. A module belongs to its longest name here; it imports what is lower, and its own package's other modules.
RANKS: tuple[tuple[str, ...], ...] = (
    ("text", "failure", "resources", "durable", "ownership", "threads", "config.model"),
    ("media",),
    ("engines.base",),
    ("job",),
    ("config", "logs"),
    ("ledger", "delivery"),
    ("intake", "engines.local", "herald"),
    ("engines.nemo",),
    ("daemon",),
    ("views", "host", "sandbox"),
    ("cli",),
    ("__main__",),
)
RANK_OF = {name: rank for rank, names in enumerate(RANKS) for name in names}


def room(module: str) -> str:
    """The entry of `RANKS` that a module belongs to."""
    rooms = [name for name in RANK_OF if module == name or module.startswith(f"{name}.")]
    assert rooms, f"{module} has no rank"
    return max(rooms, key=len)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_is_lower_or_beside_it(module: str) -> None:
    """Sideways within a package, down to any other, up to none."""
    mine = room(module)
    wrong = [i for i in sorted(OWN[module]) if room(i) != mine and RANK_OF[room(i)] >= RANK_OF[mine]]
    assert wrong == []


def test_no_imports_go_in_a_ring() -> None:
    """Not within a package either; a ring would be named in the error."""
    order = list(TopologicalSorter(OWN).static_order())
    assert set(order) >= set(MODULES)


def test_every_rank_is_used() -> None:
    """A name that nobody has any more would hide a mistake."""
    assert {room(module) for module in MODULES} == set(RANK_OF)


def test_package_files_are_empty() -> None:
    """An import of a package runs nothing and re-exports nothing."""
    assert [path for path in PACKAGE.rglob("__init__.py") if path.read_bytes()] == []
    folders = {path.parent for path in MODULES.values()}
    assert all((folder / "__init__.py").is_file() for folder in folders)


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_too_long_to_read(module: str) -> None:
    """Four hundred lines are the alarm."""
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= 400
