"""The project's own source as data: its modules, what each imports, and its documents."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "nemod"
#: Every module by its dotted name without "nemod.", such as "ledger.store"; the package files are checked by themselves.
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def _imports(tree: ast.Module) -> Iterator[str]:
    """Everything imported, wherever it stands: a late import and one for types only point the same way."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                below = [f"{module}.{alias.name}" for alias in names]
                found = [name for name in below if name.removeprefix("nemod.") in MODULES]
                yield from found or [module]
            case ast.ImportFrom():
                message = f"line {node.lineno}: imports are absolute"
                raise AssertionError(message)
            case _:
                pass


_ALL = {name: set(_imports(tree)) for name, tree in TREES.items()}
#: Module → modules of the project that it imports.
OWN = {name: {i.removeprefix("nemod.") for i in found if i.startswith("nemod.")} for name, found in _ALL.items()}
#: Module → foreign packages that it imports, by their top names.
FOREIGN = {name: {i.partition(".")[0] for i in found if i.partition(".")[0] != "nemod"} for name, found in _ALL.items()}
