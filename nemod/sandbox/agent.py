"""What the agent makes of a message: a new timeline, and what it says meanwhile.

Nothing is done here: `plan` reads a session and answers with a `Plan`, which a turn then carries out. The inner keys of drafts
are invented, because no public document shows any. They hold keys, numbers and letters that a client must hand back untouched.
"""
# ruff: noqa: RUF001 - Chinese has its own punctuation

import copy
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nemod.sandbox.wishes import Extra, Wishes, read
from nemod.sandbox.world import Asset, Session

#: Where an encode lands, as a part of the goal; each follow-up aims lower still.
LANDS, FOLLOW_UP = 0.93, 0.94
#: A wish for "smaller" without a figure, as a part of the source.
SMALLER = 0.6
#: Never more than this part of the source is spent.
USEFUL = 0.95
_QUESTION = {
    "en": "Before I start: should I put quality or size first? I can also lower the resolution. Which do you prefer?",
    "zh": "开始之前请确认：您更看重画质还是文件大小？我也可以降低分辨率。您希望哪一种？",
}
_GUI = {
    "en": "Click the Export button in the top right corner to download it, or drag the clip in the timeline to preview it.",
    "zh": "请点击右上角的“导出”按钮下载，或打开时间线拖拽片段进行预览。",
}
_REFUSES = "I'm sorry, but I can't help with this video. Compression of such material is not something I can do."
_NO_VIDEO = "I don't see a video in this project yet. Please upload one first, then I can compress it for you."
_ASKS = "ask_question"
_EDITS = "edit_multitrack"

Draft = dict[str, Any]
Take = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a turn does: the tool it calls, the timeline afterwards (None: as before), its words, and what it remembers."""

    tool: str | None = None
    args: Mapping[str, object] = field(default_factory=dict)
    draft: Draft | None = None
    words: str = ""
    question: str | None = None
    marks: frozenset[str] = frozenset()


def plan(session: Session, message: str, take: Take) -> Plan:
    """What the agent does with a message; `take` says which habits it has, and is asked only where one would show."""
    language = "zh" if session.language.startswith("zh") else "en"
    if take("refuse-words") is not None:
        return Plan(words=_REFUSES)
    if (kind := _asks_back(session, take)) is not None:
        return _ask(kind, session, message, language)
    if "gui-only" not in session.marks and (wanted := take("gui-only")) is not None:
        return Plan(words=_GUI[wanted or "en"], marks=frozenset({"gui-only"}))
    request = message if session.question is None else f"{session.question}\n{message}"
    asset = _meant(session, request)
    if asset is None:
        return Plan(words=_NO_VIDEO)
    if take("silent-nothing") is not None:
        return Plan(tool="understand_video", args={"detail": "timeline"})
    before = session.draft if session.draft and _shows(session.draft, asset) else None
    draft: Draft = copy.deepcopy(before) if before is not None else timeline(asset)
    edited = _edit(draft, asset, read(request), request, take, follow_up=before is not None)
    words = _done(draft, edited, language)
    if (wanted := take("gui-wording")) is not None:
        words = f"{_done(draft, edited, wanted or 'en')} {_GUI[wanted or 'en']}"
    return Plan(tool=_EDITS, args={"task": request, "tracks": len(draft["t"])}, draft=draft, words=words)


def _asks_back(session: Session, take: Take) -> str | None:
    if (kind := take("question-always")) is not None:
        return kind
    return take("question") if "question" not in session.marks else None


def _ask(kind: str, session: Session, message: str, language: str) -> Plan:
    pending = message if session.question is None else f"{session.question}\n{message}"
    words = _QUESTION[language]
    if kind == "tool":
        options = ["quality", "size"]
        asked = {"questions": [{"id": "q1", "prompt": words, "options": options, "allow_multiple": False}]}
        return Plan(tool=_ASKS, args=asked, question=pending, marks=frozenset({"question"}))
    return Plan(words=words, question=pending, marks=frozenset({"question"}))


def _meant(session: Session, request: str) -> Asset | None:
    """The file that a message names, else the newest video."""
    videos = [asset for asset in session.assets if asset.shown.get("file_type") == "video"]
    named = [asset for asset in videos if str(asset.shown["filename"]) in request]
    # The longest name wins: "a.mp4" is also in "bella.mp4".
    if named:
        return max(named, key=lambda asset: len(str(asset.shown["filename"])))
    return videos[-1] if videos else None


def _shows(draft: Draft, asset: Asset) -> bool:
    return any(s.get("m", {}).get("url") == asset.shown["cdn_url"] for t in draft["t"] if t["tt"] == 0 for s in t["sg"])


def timeline(asset: Asset) -> Draft:
    """A new timeline with one file on it."""
    shown: dict[str, Any] = asset.shown
    length = round(shown["duration"] * 1000)
    segment = {
        "id": f"seg_{secrets.token_hex(4)}",
        "d": length,
        "m": {"name": shown["filename"], "url": shown["cdn_url"], "hash": shown["hash"]},
        "from": 0,
        "to": length,
        "speed": 1.0,
        "volume": 100,
        "fx": [],
        "lut": None,
        "mask": {"feather": 0.1, "points": [[0, 0], [1, 0.5]], "on": False},
    }
    return {
        "id": f"draft_{secrets.token_hex(6)}",
        "v": 3,
        "d": length,
        "m": {
            "title": f"{shown['filename']} · 草稿",
            "width": shown["width"],
            "height": shown["height"],
            "fps": asset.frames_per_s,
        },
        "t": [{"id": f"trk_{secrets.token_hex(4)}", "tt": 0, "sg": [segment], "locked": False}],
        "out": {"bytes": None, "aim": None, "forced": False, "short_side": None, "round": 0},
        "x_seed": 5_529_798_706_024_415_232,
    }


def _edit(draft: Draft, asset: Asset, wishes: Wishes, request: str, take: Take, *, follow_up: bool) -> list[str]:
    done: list[str] = []
    source = asset.path.stat().st_size
    first = draft["out"]["bytes"] is None
    goal = wishes.goal_bytes or (round(source * SMALLER) if wishes.smaller else None)
    if goal is not None:
        draft["out"] |= _aim(goal, source, draft["out"]["round"], take, first=first)
        done.append(f"compressed to about {draft['out']['aim'] / 1e6:.1f} MB")
    if wishes.height is not None:
        draft["out"]["short_side"] = wishes.height
    if wishes.length_s is not None:
        _trim(draft, round(wishes.length_s * 1000))
        done.append(f"kept the first {wishes.length_s:g} seconds")
    done += _extras(draft, wishes, take, follow_up=follow_up)
    if not wishes.known:
        draft["t"][0]["sg"][0]["fx"].append({"what": request[:200], "strength": 0.35})
        done.append("made the change you described")
    if not follow_up and asset.has_sound and take("own-sound") is not None:
        sound = copy.deepcopy(draft["t"][0]["sg"][0])
        draft["t"].append({"id": f"trk_{secrets.token_hex(4)}", "tt": 1, "sg": [sound], "locked": False})
    return done


def _aim(goal: int, source: int, earlier: int, take: Take, *, first: bool) -> Draft:
    factor = take("overshoot-always")
    if factor is None and first:
        factor = take("overshoot")
    if factor is not None:
        return {"bytes": goal, "aim": round(goal * float(factor or 1.3)), "forced": True, "round": earlier + 1}
    aim = min(goal * LANDS * FOLLOW_UP**earlier, source * USEFUL)
    return {"bytes": goal, "aim": round(aim), "forced": False, "round": earlier + 1}


def _trim(draft: Draft, most_ms: int) -> None:
    draft["d"] = min(draft["d"], most_ms)
    for track in draft["t"]:
        for segment in track["sg"]:
            segment["d"] = min(segment["d"], most_ms)
            if "to" in segment:
                segment["to"] = min(segment["to"], most_ms)


def _extras(draft: Draft, wishes: Wishes, take: Take, *, follow_up: bool) -> list[str]:
    done: list[str] = []
    for extra in sorted(wishes.remove):
        kept = extra is Extra.MUSIC and take("keeps-music") is not None
        if not kept and any(_is(track, extra) for track in draft["t"]):
            draft["t"] = [track for track in draft["t"] if not _is(track, extra)]
            done.append(f"removed the {extra}")
    wanted = set(wishes.add)
    if not follow_up:
        # Each is asked, so that each counts as having acted.
        music = [name for name in ("unasked-music", "keeps-music") if take(name) is not None]
        wanted |= {Extra.MUSIC} if music else set()
        wanted |= {Extra.TITLE} if take("unasked-title") is not None else set()
    for extra in sorted(wanted):
        if not any(_is(track, extra) for track in draft["t"]):
            draft["t"].append(_track(extra, draft["d"], wishes.title))
            done.append(f"added a {extra} track")
    return done


def _is(track: Draft, extra: Extra) -> bool:
    if extra is Extra.TITLE:
        return bool(track["tt"] == 7)
    return bool(track["tt"] == 1 and any(segment.get("generated") for segment in track["sg"]))


def _track(extra: Extra, length_ms: int, title: str) -> Draft:
    segment: Draft
    match extra:
        case Extra.MUSIC:
            segment = {"d": length_ms, "m": {"name": "Lo-fi"}, "volume": 35, "generated": True}
        case Extra.TITLE:
            segment = {"d": min(3000, length_ms), "m": {"text": title, "color": "neon blue", "animation": "fade-in"}}
    return {"id": f"trk_{secrets.token_hex(4)}", "tt": 1 if extra is Extra.MUSIC else 7, "sg": [segment], "locked": False}


def _done(draft: Draft, edited: list[str], language: str) -> str:
    if language == "zh":
        return f"已完成：视频现在约 {(draft['out']['aim'] or 0) / 1e6:.1f} MB，共 {len(draft['t'])} 条轨道。"
    return f"Done: {', '.join(edited) or 'nothing was left to change'}. Tracks on the timeline: {len(draft['t'])}."


def canvas(draft: Draft | None) -> dict[str, object] | None:
    """The picture that a timeline is drawn on."""
    if draft is None:
        return None
    width, height = draft["m"]["width"], draft["m"]["height"]
    return {"width": width, "height": height, "ratio": f"{width}:{height}"}


def as_text(draft: Draft | None) -> str | None:
    """A draft as a string of JSON."""
    return None if draft is None else json.dumps(draft, ensure_ascii=False)
