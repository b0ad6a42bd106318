"""Reading a timeline: what is on it, whether it can be rendered, what an edit has changed. Pure.

Public documents agree on `t` tracks, `tt` a track's type (0 picture, 1 sound, 7 text), `sg` segments, `d` milliseconds and `m`
metadata; what is inside a segment is shown nowhere, so names, texts and sources are looked for at every level. Nothing here
changes a draft: it goes back to the cloud verbatim.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from nemod.engines.nemo.foreign import identity, mapping, number
from nemod.engines.nemo.wire import State
from nemod.text import safe

PICTURE, SOUND, TEXT = 0, 1, 7
#: What people see of a name, and of the segments of one track.
_NAME_CHARS, _SHOWN_MOST = 60, 4
_NAMES = ("name", "title", "label", "filename", "file_name", "fileName", "text", "content")
_TEXTS = ("text", "content", "title", "name", "label")
_SOURCES = ("src", "source", "url", "cdn_url", "cdnUrl", "path", "file", "uri")
_STARTS = ("start", "st", "start_time", "startTime", "begin", "offset")
_ENDS = ("end", "et", "end_time", "endTime")
#: Keys whose values are words of a format, never a name of something.
_FORMAT = frozenset({"type", "kind", "category", "role", "tt", "mime", "mime_type", "format", "codec"})
_OWN_SOUND = re.compile(r"\boriginal (?:audio|sound)|原声|原音", re.IGNORECASE)
#: A sound track that is merely called one is the video's; music has a name.
_PLAIN_SOUND = re.compile(r"(?:audio|sound)(?: ?track)?[ _#-]?\d*|音频|声音", re.IGNORECASE)
#: Shorter names of ours could begin anybody's.
_STEM_LEAST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One track; `kind` None is unknown."""

    kind: int | None
    segments: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    segment: Mapping[str, object]
    start_s: float
    end_s: float | None


def tracks(draft: Mapping[str, object] | None) -> tuple[Track, ...]:
    """The tracks of a draft, whatever of it can be read."""
    found = []
    for each in _items((draft or {}).get("t")):
        track = mapping(each)
        kind = number(track.get("tt"))
        segments = tuple(segment for segment in _items(track.get("sg")) if isinstance(segment, Mapping))
        found.append(Track(kind=None if kind is None else int(kind), segments=segments))
    return tuple(found)


def exportable(draft: Mapping[str, object] | None) -> bool:
    """Whether there is anything to render: at least one track with a segment."""
    return any(_items(mapping(each).get("sg")) for each in _items((draft or {}).get("t")))


def duration_s(draft: Mapping[str, object] | None) -> float | None:
    """The length in seconds: the draft's own figure, else where its last segment ends; None when nothing tells."""
    if draft is None:
        return None
    for level in (draft, mapping(draft.get("m"))):
        for key in ("d", "duration"):
            if (told := number(level.get(key), least=1.0)) is not None:
                return told / 1000
    lengths = [_milliseconds(mapping(each), ("d", "duration")) for each in _items(draft.get("t"))]
    ends = [placed.end_s for track in tracks(draft) for placed in _placed(track)]
    return max((length for length in [*lengths, *ends] if length), default=None)


def summary(draft: Mapping[str, object] | None) -> str:
    """The timeline on one line, as `Timeline (1 track): 1. Video: city timelapse (0-10s)`."""
    found = tracks(draft)
    head = f"Timeline ({_count(len(found), 'track')})"
    lines = (f"{at}. {_label(track.kind)}: {_described(track)}" for at, track in enumerate(found, 1))
    return ": ".join(filter(None, (head, " ".join(lines))))


def without_picture(draft: Mapping[str, object] | None) -> dict[str, object] | None:
    """A draft with all but its picture: enough to tell later what has appeared; None when there is no draft."""
    if draft is None:
        return None
    rest = [
        each for each in _items(draft.get("t")) if (kind := number(mapping(each).get("tt"))) is None or int(kind) != PICTURE
    ]
    return {"t": rest}


def unasked(before: Mapping[str, object] | None, after: Mapping[str, object] | None, *, own: Iterable[str]) -> tuple[str, ...]:
    """What has appeared on the timeline that is no picture, in words such as `music "Lo-fi"`.

    Args:
        before: the timeline before the message.
        after: the timeline now.
        own: names and addresses of what we uploaded; a sound that names one of them is the video's own.
    """
    ours = {form for each in own for form in _forms(each)}
    pictures = {_place(source) for source in _pictured(after) if "/" in source}
    known = set(_extras(before, ours, frozenset()))
    return tuple(dict.fromkeys(words for words in _extras(after, ours, pictures) if words not in known))


def anothers(draft: Mapping[str, object] | None, *, own: Iterable[str], infos: Iterable[object]) -> bool:
    """Whether the picture is of another file of the session: it names one of those, and none of ours."""
    ours = {form for each in own for form in _forms(each)}
    files = {form for text in _strings(list(infos)) if "." in text or "/" in text for form in _forms(text)} - ours
    named = {form for text in _pictured(draft) for form in _forms(text)}
    return bool(named & files) and not named & ours


def _pictured(draft: Mapping[str, object] | None) -> Iterator[str]:
    """Every text in the segments of the picture."""
    return (text for track in tracks(draft) if track.kind == PICTURE for each in track.segments for text in _strings(each))


def changes(before: State, after: State) -> str:
    """One sentence on what an edit has changed; "" when it has changed nothing."""
    if before.fingerprint == after.fingerprint:
        return ""
    told = []
    was, now = tracks(before.draft), tracks(after.draft)
    if len(was) != len(now):
        told.append(f"{_count(len(now), 'track')} instead of {len(was)}" if was else _count(len(now), "track"))
    was_s, now_s = duration_s(before.draft), duration_s(after.draft)
    if now_s is not None and was_s != now_s:
        told.append(
            f"{_seconds(now_s)} s instead of {_seconds(was_s)} s" if was_s is not None else f"a length of {_seconds(now_s)} s"
        )
    known = set(_extras(before.draft, set(), frozenset()))
    told += dict.fromkeys(words for words in _extras(after.draft, set(), frozenset()) if words not in known)
    media = len(after.infos) - len(before.infos)
    if media > 0:
        told.append(f"{_count(media, 'new file')}")
    if told:
        return f"The session now has {_listed(told)}."
    if before.draft != after.draft:
        return "The timeline was changed."
    return "The session's media or canvas were changed."


def _extras(draft: Mapping[str, object] | None, ours: set[str], pictures: Iterable[str]) -> Iterator[str]:
    """What is on a timeline beside the picture and the video's own sound, in words."""
    shared = set(pictures)
    stems = tuple(form for form in ours if len(form) >= _STEM_LEAST)
    for track in tracks(draft):
        for segment in track.segments:
            name = _name(segment, _TEXTS if track.kind == TEXT else _NAMES)
            quoted = f' "{name}"' if name else ""
            if track.kind == TEXT:
                yield f"title{quoted}"
            elif track.kind == SOUND:
                strings = tuple(_strings(segment))
                forms = {form for each in strings for form in _forms(each)}
                named = (
                    _PLAIN_SOUND.fullmatch(name) or name.casefold().startswith(stems) or any(map(_OWN_SOUND.search, strings))
                )
                own = named or forms & ours or any(_place(each) in shared for each in strings)
                if not own:
                    yield f"music{quoted}"


def _described(track: Track) -> str:
    placed = tuple(_placed(track))
    if not placed:
        return "empty"
    shown = [_shown(each, track.kind) for each in placed[:_SHOWN_MOST]]
    rest = len(placed) - len(shown)
    return ", ".join([*shown, f"and {rest} more"] if rest else shown)


def _shown(placed: _Placed, kind: int | None) -> str:
    name = _name(placed.segment, _TEXTS if kind == TEXT else _NAMES) or "unnamed"
    facts = []
    if placed.end_s is not None:
        facts.append(f"{_seconds(placed.start_s)}-{_seconds(placed.end_s)}s")
    volume = _value(placed.segment, ("volume", "vol", "gain")) if kind == SOUND else None
    if volume is not None:
        facts.append(f"{volume * 100 if volume <= 1 else volume:.0f}%")
    name = f'"{name}"' if kind == TEXT else name
    return f"{name} ({', '.join(facts)})" if facts else name


def _placed(track: Track) -> Iterator[_Placed]:
    """Where each segment lies; one that does not say it follows the one before."""
    at = 0.0
    for segment in track.segments:
        start, end = _milliseconds(segment, _STARTS), _milliseconds(segment, _ENDS)
        length = _milliseconds(segment, ("d", "duration"))
        start = at if start is None else start
        end = start + length if length is not None else end
        yield _Placed(segment, start, end)
        at = max(at, end or 0.0)


def _value(segment: Mapping[str, object], keys: tuple[str, ...]) -> float | None:
    for level in (segment, mapping(segment.get("m"))):
        for key in keys:
            if (found := number(level.get(key), least=0.0)) is not None:
                return found
    return None


def _milliseconds(segment: Mapping[str, object], keys: tuple[str, ...]) -> float | None:
    found = _value(segment, keys)
    return None if found is None else found / 1000


def _name(segment: Mapping[str, object], keys: tuple[str, ...]) -> str:
    """What a person would call a segment: its name, else the last part of its source."""
    levels = (segment, mapping(segment.get("m")), *(mapping(value) for value in segment.values()))
    for level in levels:
        for key in keys:
            if found := identity(level.get(key)):
                return _tidy(found)
    for level in levels:
        for key in _SOURCES:
            if found := identity(level.get(key)):
                return _tidy(PurePosixPath(_place(found)).name)
    return ""


def _tidy(name: str) -> str:
    plain = safe(" ".join(name.split()))
    return plain if len(plain) <= _NAME_CHARS else f"{plain[: _NAME_CHARS - 1]}…"


def _strings(value: object) -> Iterator[str]:
    """Every string below a value, but the words of the format; nesting is bounded where JSON is read."""
    rest = [value]
    while rest:
        each = rest.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            rest += [child for key, child in each.items() if key not in _FORMAT]
        elif isinstance(each, list):
            rest += each


def _place(text: str) -> str:
    """An address without what changes from one signature to the next."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return text.strip().casefold()
    path = f"{parts.netloc}{parts.path}" if parts.scheme in {"http", "https"} else text.strip()
    return unquote(path).casefold()


def _forms(text: str) -> set[str]:
    """The forms in which a file may be named: address, file name, name without its extension."""
    place = _place(text)
    name = PurePosixPath(place).name
    return {place, name, PurePosixPath(name).stem} - {""}


def _items(value: object) -> list[object]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _label(kind: int | None) -> str:
    return {PICTURE: "Video", SOUND: "BGM", TEXT: "Title"}.get(
        -1 if kind is None else kind, "Track" if kind is None else f"Type {kind}"
    )


def _seconds(seconds: float) -> str:
    return f"{round(seconds, 1):.10g}"


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
