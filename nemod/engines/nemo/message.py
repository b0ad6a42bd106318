"""Every message that the agent is sent, in words. Pure.

The agent reads words, not our configuration, so each message names the limit as "under 10 MB", in decimal megabytes and rounded
down; no foreign text stands before it that could name another, save the person's own wish. The word for exporting is never
sent.
"""

# ruff: noqa: RUF001 - Chinese has punctuation of its own width

import re
from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from nemod.config.model import Preset
from nemod.engines.nemo.translate import without_export
from nemod.media.verdict import Reason, Refuse
from nemod.text import safe

DEFAULT = "Compress this video to {limit} without losing too much quality."
_NOTHING_ELSE = "Change nothing else: keep the whole length and the sound, and add no music, titles or effects."
#: What people see of names that others chose.
_NAME_CHARS = 200

_SIZE = re.compile(
    r"\b(?:under|below|less than|at most|max(?:imum)?) (?P<figure>\d+(?:\.\d+)?) ?(?P<unit>[KMG]i?B)\b", re.IGNORECASE
)
_UNITS = {"k": 10**3, "m": 10**6, "g": 10**9}

_ADDITION = (
    r"(?:background music|music|bgm|songs?|sound ?tracks?|sounds?|audio|voice[- ]?overs?|voice|narrat(?:ion|ions|or|e)|titles?"
    r"|text|captions?|subtitles?|intros?|outros?|watermarks?|effects?|end credits|credits? roll)"
)
_ADDITION_CHINESE = r"(?:背景音乐|音乐|配乐|歌曲|歌|声音|音频|音效|配音|旁白|解说|标题|文字|字幕|片头|片尾|水印|特效|效果)"
#: Wishes that these stay away or stay as they are ask for none.
_DECLINED = re.compile(
    r"\b(?:no|without|remove|delete|mute|drop|keep|preserve|(?:don't|do not|never) (?:add|use|include|touch|change)|not)"
    rf"(?: (?:any|the|an?|all|extra|original|existing|its|my|your))* {_ADDITION}\b"
    rf"(?:(?:,| or| and|, or|, and)(?: any| the| no)? {_ADDITION}\b)*"
    rf"|(?:不要|不需要|不用|不加|别加|别|去掉|删除|删掉|移除|去除|没有|无需|无|保留|保持)(?:任何|添加|加|原来的?|原有的?|原)*{_ADDITION_CHINESE}"
    rf"(?:(?:[、和或]|以及){_ADDITION_CHINESE})*"
)
_WANTED = re.compile(rf"\b{_ADDITION}\b|{_ADDITION_CHINESE}")


def megabytes(limit_bytes: int) -> str:
    """A limit in decimal megabytes, rounded down to three digits, whole from 100 on: "10 MB", "0.3 MB", "22.7 MB"."""
    return _megabytes(limit_bytes, ROUND_DOWN)


def first(preset: Preset, *, limit_bytes: int, language: str, instruction: str | None = None, file: str | None = None) -> str:
    """The message that a job begins with.

    Args:
        preset: its message is sent where nobody has asked for anything else; its bound of the picture is named.
        limit_bytes: what the output may have.
        language: stands where a text says {language}.
        instruction: a person's own words instead.
        file: the file that is meant, when the session holds several.
    """
    wish = (instruction or "").strip()
    text = wish or (preset.message or "").strip() or DEFAULT
    height = "its own height" if preset.max_height is None else f"{preset.max_height}p"
    filled = (
        _within(text, limit_bytes)
        .replace("under {limit}", "{limit}")
        .replace("{limit}", _under(limit_bytes))
        .replace("{height}", height)
        .replace("{language}", language)
    )
    sentences = [filled]
    if not re.search(rf"(?<!\bnot )(?<!\bnot be ){re.escape(_under(limit_bytes))}(?![\w/])", filled):
        sentences.append(f"The file must be {_under(limit_bytes)}.")
    if preset.max_height is not None and height not in filled:
        sentences.append(f"The picture may have at most {height}.")
    if not wish:
        sentences.append(_NOTHING_ELSE)
    if file:
        sentences.append(f'This is about the video "{_named(file)}".')
    return _message(*sentences)


def follow_up(refusals: Sequence[Refuse], *, limit_bytes: int) -> str:
    """What is wrong with the last result, with its real figures."""
    if not refusals:
        return _message(f"Make the file {_under(limit_bytes)}.", "Change nothing else.")
    last = refusals[-1]
    if last.reason is Reason.OVER_LIMIT and last.size_bytes:
        return _message(
            f"The result has {last.size_bytes:,} bytes ({_megabytes(last.size_bytes, ROUND_UP)}). "
            f"Make it {_under(limit_bytes)}: lower the bitrate, and the resolution if that is not enough.",
            "Change nothing else.",
        )
    return _message(
        f"The result must still be {_under(limit_bytes)}, but it cannot be used yet. What is wrong: {last.detail}",
        "Mend that and change nothing else.",
    )


def answer(reply: str, *, limit_bytes: int) -> str:
    """The answer to a question that nobody is there to answer."""
    return _message(reply, f"The file must be {_under(limit_bytes)}.")


def no_screen(limit_bytes: int) -> str:
    """What to say when the agent asks for a click."""
    return _message(
        "There is no screen here and nobody who could press anything: do it yourself with your tools.",
        f"The file must be {_under(limit_bytes)}.",
    )


def take_away(unasked: Sequence[str], *, limit_bytes: int) -> str:
    """Asks away what was added unasked."""
    return _message(
        f"Keep the file {_under(limit_bytes)}, and remove from the timeline what nobody asked for: {', '.join(unasked)}.",
        "Change nothing else, and keep the video's own picture, length and sound.",
    )


def allows(instruction: str | None) -> bool:
    """Whether a person's own words ask for music, sound, titles or the like, so that such tracks are not unasked."""
    plain = " ".join((instruction or "").casefold().replace("\u2019", "'").split())
    return _WANTED.search(_DECLINED.sub(" ", plain)) is not None


def _within(wish: str, limit_bytes: int) -> str:
    """A wish that names a larger size than may be delivered names the limit instead: the agent would take its word."""

    def lowered(found: re.Match[str]) -> str:
        size = Decimal(found["figure"]) * _UNITS[found["unit"][0].casefold()]
        return found[0] if size <= limit_bytes else _under(limit_bytes)

    return _SIZE.sub(lowered, wish)


def _under(limit_bytes: int) -> str:
    return f"under {megabytes(limit_bytes)}"


def _megabytes(size_bytes: int, rounding: str) -> str:
    exact = Decimal(size_bytes).scaleb(-6)
    digits = min(0, exact.adjusted() - 2)
    plain = f"{exact.quantize(Decimal(1).scaleb(digits), rounding=rounding):f}"
    return f"{plain.rstrip('0').rstrip('.') if '.' in plain else plain} MB"


def _named(file: str) -> str:
    return safe(file).replace('"', "'")[:_NAME_CHARS]


def _message(*sentences: str) -> str:
    closed = (
        text if text.endswith((".", "!", "?", "。", "！", "？")) else f"{text}." for text in map(str.strip, sentences) if text
    )
    return without_export(" ".join(closed))
