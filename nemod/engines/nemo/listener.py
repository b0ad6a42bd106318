"""What was said and done in an answer: the frames of its stream folded together. Pure.

Rules kept here:
- a text that comes in parts and once more as a whole counts once;
- who never stops talking is heard for a while only: what is kept is bounded, however long the stream.
"""

# ruff: noqa: RUF001 - Chinese has punctuation of its own width

import re
from dataclasses import replace
from itertools import pairwise
from typing import assert_never

from nemod.engines.nemo.frames import Call, Complaint, Frame, Heartbeat, Other, Question, Result, Text

#: What a listener keeps: characters of what was said, and of each kind of other things so many.
_SAID_MOST, _KEPT_MOST, _NAME_MOST = 10_000, 100, 200
_EDITS = re.compile(r"edit|generat|draft|multitrack|render|compress|seedance|suno|music|voice_?over|trim|crop|resize|transcode")
_READS = re.compile(r"^(?:get|read|list|fetch|query|show|load|check|inspect|view|describe|understand|analy[sz]e)(?:_|$)")
_TEMPORARY = (
    r"I(?:'ve| have)? encountered a temporary (?:issue|problem|error)"
    r"|我?(?:遇到|碰到)了?(?:一个|一些)?(?:临时|暂时)性?的?(?:问题|故障|错误)"
)
_NOISE = re.compile(
    rf"(?:^|(?<=[\s.!?。！？]))(?:(?:I'm |I am )?sorry,? (?:but )?|Apologies,? (?:but )?)?(?:{_TEMPORARY}).{{0,300}}\Z",
    re.IGNORECASE | re.DOTALL,
)


class Listener:
    """Folds frames into what was said, asked and done."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self._said: list[Text] = []
        self._room = 2 * _SAID_MOST  # characters: what comes in pieces may come once more as a whole
        self._pending: dict[str, list[str]] = {}  # by author: pieces whose whole has not come yet
        self._broken = False  # a tool was used since the last text, so the next piece begins a new line
        self._calls: list[str] = []
        self._questions: list[str] = []
        self._complaints: list[Complaint] = []

    def hear(self, frame: Frame) -> None:
        """Take in one frame, in the order of the stream."""
        match frame:
            case Text():
                self._hear_text(frame)
            case Call():
                if len(self._calls) < _KEPT_MOST:
                    self._calls.append(frame.name[:_NAME_MOST])
                self._broken = True
            case Result():
                self._broken = True
            case Question():
                if frame.text not in self._questions and len(self._questions) < _KEPT_MOST:  # a part of a stream and its whole
                    self._questions.append(frame.text)
            case Complaint():
                if len(self._complaints) < _KEPT_MOST:
                    self._complaints.append(frame)
            case Heartbeat() | Other():
                pass
            case _ as never:
                assert_never(never)

    def _hear_text(self, text: Text) -> None:
        if self._room <= 0:
            return
        text = replace(text, text=text.text[:_SAID_MOST])
        self._room -= len(text.text) + 1
        if text.partial:
            self._pending.setdefault(text.author, []).append(text.text)
            return
        self._pending.pop(text.author, None)
        last = self._said[-1] if self._said else None
        if last and not self._broken and last.author == text.author:
            if text.delta and last.delta:
                # The whole after its pieces, without being marked as such.
                whole = text.text if text.text == last.text and len(text.text) > 20 else last.text + text.text
                self._said[-1] = Text(text=whole, author=text.author, delta=True)
                return
            if text.text == last.text:
                return
        self._said.append(text)
        self._broken = False

    @property
    def words(self) -> str:
        """What the agent said to a person."""
        texts = [text.text for text in self._said]
        texts += [_joined(pieces) for pieces in self._pending.values()]
        whole = "\n".join(filter(None, (text.strip() for text in texts)))
        return _NOISE.sub("", whole[:_SAID_MOST]).strip()

    @property
    def calls(self) -> tuple[str, ...]:
        """The tools that the agent used, by name, in order."""
        return tuple(self._calls)

    @property
    def question(self) -> str:
        """What the agent asked with its tool for questions; "" when it did not."""
        return "\n".join(self._questions)

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """The errors that the stream told of."""
        return tuple(self._complaints)

    @property
    def changes_things(self) -> bool:
        """Whether a tool was used whose name suggests that it edits."""
        names = (re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).casefold() for name in self._calls)
        return any(_EDITS.search(name) and not _READS.match(name) for name in names)


def _joined(pieces: list[str]) -> str:
    """The pieces as one text; where each repeats the one before and goes on, the last is the whole."""
    grows = len(pieces) > 1 and all(after.startswith(before) and before for before, after in pairwise(pieces))
    return pieces[-1] if grows else "".join(pieces)
