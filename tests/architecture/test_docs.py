"""The documents say what the program does: commands, the life of a job, the words of the log."""

import ast
import re
import shlex
from collections.abc import Iterator

import pytest

from nemod import logs
from nemod.cli.main import main
from nemod.views import state_diagram
from tests.architecture.source import ROOT, TREES

README = (ROOT / "README.md").read_text("utf-8")


def commands() -> Iterator[str]:
    """Every `nemod …` line of the README's code blocks, and every one within a sentence."""
    inside = False
    for line in README.splitlines():
        if line.startswith("```"):
            inside = not inside
        elif inside and line.removeprefix("$ ").startswith("nemod "):
            yield line.removeprefix("$ ")
    yield from re.findall(r"`(nemod [^`\n]+)`", README)


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_a_command_of_the_readme_is_one(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its words and options are taken; the help that follows them shows that the parser came that far."""
    words = shlex.split(line, comments=True)[1:]
    assert main([*words, "--help"]) == 0, capsys.readouterr().err
    assert "Usage: nemod" in capsys.readouterr().out


def test_the_readme_shows_commands() -> None:
    """The test above is about something."""
    assert len(set(commands())) >= 10


def test_the_readme_shows_the_life_of_a_job_as_it_is() -> None:
    """The diagram is printed from the table of moves, not drawn."""
    shown = re.search(r"<!-- states -->\s*```mermaid\n(.*?)```\s*<!-- /states -->", README, flags=re.DOTALL)
    assert shown is not None
    assert shown[1] == state_diagram()


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "ARCHITECTURE.md", "LICENSE"])
def test_there_is_a_document(name: str) -> None:
    """With something in it."""
    assert len((ROOT / name).read_text("utf-8").strip().splitlines()) >= 3


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "ARCHITECTURE.md"])
def test_every_link_to_a_file_leads_to_one(name: str) -> None:
    """Pictures among them."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", (ROOT / name).read_text("utf-8"))
    assert [t for t in targets if "://" not in t and not (ROOT / t).exists()] == []


LEVELS = frozenset({"debug", "info", "warning", "error", "critical", "exception", "log"})


def told(tree: ast.Module) -> Iterator[str]:
    """The event words of a module: what stands first in `log.info(…)`, or what is assigned to the name that stands there."""
    for call in ast.walk(tree):
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log") | ast.Attribute(attr="log"), attr=level), args=args) if (
                level in LEVELS
            ):
                word = args[1] if level == "log" else args[0]
                nodes = [word] if not isinstance(word, ast.Name) else _assigned(tree, word.id)
                words = [n.value for node in nodes for n in ast.walk(node) if isinstance(n, ast.Constant)]
                texts = [w for w in words if isinstance(w, str)]
                assert texts, f"line {call.lineno}: an event that cannot be found"
                yield from texts
            case _:
                pass


def _assigned(tree: ast.Module, name: str) -> list[ast.AST]:
    """What a name may hold, without the condition that decides."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            found += [node.value.body, node.value.orelse] if isinstance(node.value, ast.IfExp) else [node.value]
    return found


def test_the_table_of_events_names_every_word_that_is_told() -> None:
    """And none that nobody tells."""
    assert logs.__doc__ is not None
    table = re.findall(r"^\| `([a-z_.]+)`", logs.__doc__, flags=re.MULTILINE)
    assert len(table) == len(set(table))
    assert set(table) == {word for tree in TREES.values() for word in told(tree)}
