"""What a person's message asks of the agent, found by key words in English and Chinese. Pure."""
# ruff: noqa: RUF001 - Chinese has its own punctuation

import re
from dataclasses import dataclass
from enum import StrEnum

_UNITS = {"k": 1e3, "m": 1e6, "g": 1e9}
_GOAL = re.compile(
    r"(?:under|below|less than|smaller than|at most|no more than|up to|within|\bto|低于|小于|不超过)\s*"
    r"(\d+(?:\.\d+)?)\s*([kmg])i?b?(?![a-z])",
    re.IGNORECASE,
)
_HEIGHT = re.compile(r"\b(\d{3,4})p\b", re.IGNORECASE)
_LENGTH = re.compile(
    r"(?:first\s+|trim\w*\s+(?:\w+\s+){0,3}?to\s+|前)(\d+(?:\.\d+)?)\s*-?\s*(?:s\b|sec|秒)",
    re.IGNORECASE,
)
_SENTENCES = re.compile(r"[;!?\n。；！？]|\.(?:\s|$)")
_TAKE = re.compile(
    r"\bremov|\btake\b.*\b(?:away|out|off)\b|\bdelet|\bdrop\b|\bget rid\b|\bstrip\b|去掉|删除|移除|不要", re.IGNORECASE
)
_ADD = re.compile(r"\b(?:add|put|insert)\b|添加|加上|加入|配上", re.IGNORECASE)
_NOT = re.compile(r"\bnot\b|n't\b|\bnever\b|\bno\b|\bnothing\b|\bwithout\b|不要|别|不", re.IGNORECASE)
_ADDED = re.compile(r"\badded\b|\bextra\b|\bunasked\b|多余", re.IGNORECASE)
_SMALLER = re.compile(r"compress|small|shrink|reduce|压缩|变小", re.IGNORECASE)
_QUOTED = re.compile(r"[\"“”「]([^\"“”「」]{1,80})[\"“”」]")
_EXPORT = re.compile(r"\bexport|导出", re.IGNORECASE)
_TARGETS = {
    "music": re.compile(r"music|\bbgm\b|soundtrack|sound|audio|song|音乐|配乐", re.IGNORECASE),
    "title": re.compile(r"title|caption|\btext|subtitle|字幕|标题|文字", re.IGNORECASE),
}


class Extra(StrEnum):
    """What a timeline may hold beside the video."""

    MUSIC = "music"
    TITLE = "title"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """A message's wishes; `smaller` is one without a figure, `title` the text of a title to add."""

    goal_bytes: int | None
    smaller: bool
    height: int | None
    length_s: float | None
    add: frozenset[Extra]
    remove: frozenset[Extra]
    title: str

    @property
    def known(self) -> bool:
        """Whether anything was understood."""
        return bool(self.goal_bytes or self.smaller or self.height or self.length_s or self.add or self.remove)


def read(text: str) -> Wishes:
    """Find the wishes of a message; of several sizes the last one counts."""
    add: set[Extra] = set()
    remove: set[Extra] = set()
    for sentence in _SENTENCES.split(text):
        targets = {extra for extra in Extra if _TARGETS[extra].search(sentence)}
        verb = _ADD.search(sentence)
        if verb and not _NOT.search(sentence[: verb.start()]):
            add |= targets
        elif _TAKE.search(sentence) and not re.search(r"\b(?:not|never)\b|n't\b", sentence, re.IGNORECASE):
            remove |= targets or (set(Extra) if _ADDED.search(sentence) else set())
    goals = _GOAL.findall(text)
    height, length, quoted = _HEIGHT.search(text), _LENGTH.search(text), _QUOTED.search(text)
    return Wishes(
        goal_bytes=int(float(goals[-1][0]) * _UNITS[goals[-1][1].lower()]) if goals else None,
        smaller=bool(_SMALLER.search(text)),
        height=int(height[1]) if height else None,
        length_s=float(length[1]) if length else None,
        add=frozenset(add),
        remove=frozenset(remove),
        title=quoted[1] if quoted else "Urban Dreams",
    )


def says_export(text: str) -> bool:
    """Whether a message says the one word that must never be sent to the agent."""
    return bool(_EXPORT.search(text))
