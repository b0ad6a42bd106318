"""The agent speaks as if there were a screen; here its words become actions of the API, or go. Pure.

Source: the published tables of what the agent says and what a client does, English and Chinese. Rules kept:
- nothing that tells a person to click survives, while what the agent says of the video stays;
- only a text that says nothing else is taken for a command: an edit never gets lost, it may only cost a message;
- the word for exporting is never sent to the agent, which would act on it.
"""

# ruff: noqa: RUF001 - Chinese has punctuation of its own width

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nemod.engines.nemo.questions import asks


class Action(StrEnum):
    """What can be done with a session."""

    EXPORT = "export"
    CREDITS = "credits"
    STATUS = "status"
    UPLOAD = "upload"
    EDIT = "edit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gist:
    """What an answer of the agent comes to: words fit to be shown, what its screen wording stands for, is it a question."""

    text: str
    actions: frozenset[Action]
    asks: bool


# ---- what a person asks for -------------------------------------------------------------------------------------------

_COMMAND_CHARS_MOST = 200
_EXTENSIONS = "mp4|mov|avi|webm|mkv|m4v|jpe?g|png|gif|webp|mp3|wav|m4a|aac"
_FILE = re.compile(rf"(?:https?://\S+|[^\s,;'\"]+\.(?:{_EXTENSIONS})(?![a-z0-9])|(?<!\S)[~.]?/\S+)")


def _words(english: str, chinese: str = "") -> re.Pattern[str]:
    """Whole English words, or any of the Chinese ones; longer ones stand first where one begins another."""
    return re.compile(rf"(?<![a-z0-9])(?:{english})(?![a-z0-9])" + (f"|{chinese}" if chinese else ""))


_FILLER = _words(
    r"please|pls|plz|hey|hi|ok(?:ay)?|thanks?|thank you|just|now|then|again|and|can|could|would|will|you|u|i|i'd like|want|need"
    r"|to|me|us|my|our|the|an?|it|its|this|that|for|of|as|go ahead|videos?|files?|clips?|movie|result|output|final|finished"
    r"|mp4|is|are|do|does|did|let|let's|right|here|so far",
    r"请|麻烦|帮|给|我们|我|你|您|一下|把|将|这个|这|那个|那|视频|文件|片子|成品|结果|了|吧|啊|呢|吗|么|的|要|想|能|可以|可不可以|再|重新|现在|一次|下来|来|出来|到|为",
)
_EXPORT = _words(
    r"(?:re-?)?exports?|exporting|(?:re-?)?download|downloading|send (?:me|us|over)|send|give (?:me|us)|save|deliver",
    r"导出|匯出|導出|下载|下載|发给我|发我|发送|发|保存",
)
_CREDITS = _words(
    r"credits?|balance|how (?:many|much)(?: credits?)? (?:is |are |do i have |have i )?left", r"积分|積分|余额|餘額|额度|点数"
)
_CREDITS_FILLER = _words(
    r"how|many|much|left|remain(?:ing|s)?|have|has|got|still|check|show|tell|see|get|what(?:'s| is)?"
    r"|whats|account|current|available",
    r"还有|还剩|剩余|剩下|剩|多少|几|查询|查看|查|看看|看|有|账户|账号|当前|目前|是",
)
_STATUS = _words(
    r"status|state|timeline|tracks?|progress|what(?:'s| is) done|what does (?:it|the video) look like"
    r"|how does (?:it|the video) look",
    r"状态|狀態|时间线|时间轴|轨道|进度|现在(?:是)?什么样子?|现在怎么样",
)
_STATUS_FILLER = _words(
    r"what(?:'s| is)?|whats|how(?:'s)?|in|on|show|list|see|view|display|check|tell|get|print|current"
    r"|currently|look|like|there|all"
    r"|going|session|project|export|render|download",
    r"查询|查看|查|看看|看|显示|列出|什么|怎么样|如何|当前|目前|有|是|哪些|里|上|项目|工程|编辑|导出",
)
_UPLOAD = _words(r"upload(?:ing)?|import", r"上传|上傳|导入")
_UPLOAD_FILLER = _words(
    r"add|new|another|with|from|url|link|picture|image|photo|logo|song|audio", r"图片|照片|音频|链接|和|从|新"
)
_ROUTES: tuple[tuple[Action, re.Pattern[str], re.Pattern[str]], ...] = (
    (Action.CREDITS, _CREDITS, _CREDITS_FILLER),
    (Action.STATUS, _STATUS, _STATUS_FILLER),
    (Action.EXPORT, _EXPORT, _FILLER),
)


def route(text: str) -> Action:
    """What a person asks for, in English or Chinese; everything that is not plainly a command is an edit."""
    said = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").strip()
    if not said or len(said) > _COMMAND_CHARS_MOST:
        return Action.EDIT
    files = _FILE.search(said) is not None
    plain = _FILE.sub(" ", said)
    if (_UPLOAD.search(plain) and not _rest(plain, _UPLOAD, _UPLOAD_FILLER)) or (files and not _rest(plain)):
        return Action.UPLOAD
    if re.fullmatch(rf"(?:please )?(?:upload|上传) ?[^,;]+\.(?:{_EXTENSIONS})", said) and not re.search(
        r"\b(?:and|then|as)\b", said
    ):
        return Action.UPLOAD  # a file name with blanks
    if files:
        return Action.EDIT
    return next((action for action, key, filler in _ROUTES if key.search(said) and not _rest(said, key, filler)), Action.EDIT)


def _rest(text: str, *patterns: re.Pattern[str]) -> str:
    """What is left of a text without these words, fillers and punctuation."""
    for pattern in (*patterns, _FILLER):
        text = pattern.sub(" ", text)
    return re.sub(r"[\W_]+", "", text)


# ---- what we send -----------------------------------------------------------------------------------------------------

_RESULT = re.compile(
    r"\b(the|an|this|that|my|your|our|his|her|their|last|first|final|new|each|every|next|old)(\s+)export(s?)\b", re.IGNORECASE
)
_EXPORT_WORD = re.compile(r"export", re.IGNORECASE)
_EXPORT_CHINESE = re.compile(r"导出|導出|匯出")


def without_export(text: str) -> str:
    """A message for the agent without the word for exporting, otherwise as it was; file names are no exception."""
    text = _RESULT.sub(lambda found: f"{_article(found[1])}{found[2]}result{found[3]}", text)
    return _EXPORT_CHINESE.sub("处理", _EXPORT_WORD.sub(_prepare, text))


def _article(word: str) -> str:
    return {"an": "a", "An": "A", "AN": "A"}.get(word, word)


def _prepare(found: re.Match[str]) -> str:
    word = found[0]
    verb = "prepar" if found.string[found.end() :].lower().startswith(("ed", "ing")) else "prepare"
    return verb.upper() if word.isupper() else verb.capitalize() if word[0].isupper() else verb


# ---- what the agent says ----------------------------------------------------------------------------------------------

_THING = (
    r"(?:button|icon|menu|tab|panel|sidebar|side bar|toolbar|drop-?down|dialog|window|editor|timeline"
    r"|canvas|library|workspace|dashboard|settings?|page|section|screen|player|slider|link|app)"
)
_LABEL = (
    r"(?:export|download|save|play|render|share|upload|apply|done|ok|okay|next|start|generate|preview"
    r"|publish|settings?|import|confirm|continue|cancel|create|undo|add|edit)"
)
_TOLD = (
    r"(?:^|\b(?:you(?:'ll| can| may| could| should| need to| must| have to|'d)?|please|then|and|just"
    r"|simply|to|now|or|by|next|first|finally|also|go ahead and|feel free to) )"
)
#: Wording, and what it stands for. Read on lower-case text without markup; the first to match names the action.
_SCREEN: tuple[tuple[Action, re.Pattern[str]], ...] = tuple(
    (action, re.compile(pattern))
    for action, pattern in (
        (Action.EXPORT, r"(?<![a-z])(?:re-?)?export[a-z]*|导出|導出|匯出"),
        (
            Action.EXPORT,
            (
                rf"\bdownload (?:button|icon|link|option|tab|page|menu|panel)|{_TOLD}(?:re-?)?download\b|\bready (?:to"
                r"|for) (?:be )?download"
            ),
        ),
        (Action.EXPORT, r"\b(?:tap|press|hit|click|push)(?: on)? (?:the )?[\"'“]?download\b"),
        (Action.EXPORT, r"\bdownload(?:ing)? (?:it|them|the|your|this)\b|\[download|下载|下載"),
        (Action.UPLOAD, r"\bupload (?:button|icon|panel|tab|page|area)|(?:点击|单击).{0,6}上传|上传按钮"),
        (
            Action.CREDITS,
            (
                r"\b(?:check|visit|see|view|open|go to|manage|review|head to)\b.{0,30}\b(?:account|billing"
                r"|subscription|balance|credits?|plan page)\b"
                r"|(?:查看|检查|前往|进入|打开|访问|去).{0,10}(?:账户|账号|帐户|账单|积分|余额|订阅)"
            ),
        ),
        (
            Action.STATUS,
            (
                rf"\bpreview(?:ing)?\b.{{0,40}}\b(?:in|on|from|using|inside) (?:the|your) (?:[\w-]+ ){{0,2}}{_THING}"
                rf"|{_TOLD}preview\b"
            ),
        ),
        (Action.STATUS, r"预览"),
        (
            Action.EDIT,
            (
                r"\bdrag[- ](?:and|&|n)[- ]drop|\bdrag(?:ging)? (?:and drop |& drop )?(?:the|your|an?|it|them|this"
                r"|that|any|files?|clips?|media|to|in|into|from|onto)\b"
            ),
        ),
        (Action.EDIT, rf"\bdrop (?:[\w'-]+ ){{0,4}}(?:into|onto|in|on|to) (?:the|your) (?:[\w-]+ ){{0,2}}{_THING}"),
        (Action.EDIT, r"拖拽|拖动|拖放|拖到|拖入|拖进|拖曳"),
        (
            Action.STATUS,
            (
                rf"\bopen(?:ing)? (?:up )?(?:(?:the|your|this|that|an?) )?(?:[\w-]+ ){{0,3}}{_THING}\b"
                rf"|{_TOLD}open (?:the|your|it)\b"
            ),
        ),
        (
            Action.STATUS,
            r"(?:(?<!人)(?<!他)(?<!她)(?<!男)(?<!女)(?<!孩)(?<!手)(?<!者))打开|打开.{0,12}(?:面板|菜单|窗口|页面|设置|编辑器|时间线|时间轴|项目|素材库|标签|选项|工具)",
        ),
        (
            Action.STATUS,
            (
                rf"{_TOLD}(?:go|navigate|head|switch|scroll|return|jump|move)(?: over| back| up| down)? to (?:the "
                rf"|your )?(?:[\w-]+ ){{0,3}}{_THING}\b"
                rf"|{_TOLD}(?:visit|use|see|find|look (?:in|at)|check) (?:the |your )(?:[\w-]+ ){{0,3}}{_THING}\b"
                r"|(?:前往|进入|转到|切换到|访问|去|到).{0,10}(?:设置|控制台|仪表盘|页面|面板|菜单|中心)"
            ),
        ),
        (
            Action.EDIT,
            (
                r"(?<!\ba )(?<!\bthe )(?<!mouse )\b(?:double[- ]|right[- ]|left[- ])?click(?:ing)?\b(?!-| sounds?\b"
                r"| tracks?\b| noises?\b| effects?\b)"
            ),
        ),
        (
            Action.EDIT,
            (
                rf"{_TOLD}(?:tap|press|hit|push|select|choose|pick|toggle)(?:ping|ing|ting)? (?:on )?(?:the |your )?"
                r"(?:[\w\"'+-]+ ){0,3}(?:button|icon|tab|menu|option|panel|toggle|slider|key|link|drop-?down)\b"
            ),
        ),
        (
            Action.EDIT,
            (
                rf"{_TOLD}(?:tap|press|hit|push)(?: on)? (?:the )?[\"'“]?{_LABEL}\b|{_TOLD}tap\b"
                rf"|{_TOLD}(?:select|choose|pick) (?:[\"'“]|\d+p\b|the (?:format|quality|resolution)\b)"
            ),
        ),
        (Action.EDIT, r"点击|點擊|单击|双击|点一下|点按|轻点|轻触|按下|选中|勾选|按钮|点选"),
    )
)
#: Where a sentence may be cut: what follows stands by itself.
_SENTENCES = re.compile(r"(?<=[.!?])(?:[\"'”’)\]*]*)\s+|(?<=[。！？；!?])|\n+")
_CLAUSES = re.compile(
    r"(\s*[,;:—–，；：]\s+|[，；：]|\s+[-—–]\s+"
    r"|,?\s+(?:and|then|or|so|but|where|while)(?: then)?\s+(?=(?:you|please|just|simply|then|now|i|we|the"
    r"|your|it|click|tap|press|hit|open|drag|drop|go|navigate|preview|download|export|select|choose|check"
    r"|visit)\b))",
    re.IGNORECASE,
)
_GROUPS = re.compile(r"\s*[(（\[][^()（）\[\]]{0,300}[)）\]](?:\(\S{0,500}\))?")
_DEPENDENT = re.compile(
    r"^(?:to|which|that|where|who|when|whenever|if|once|after|before|for|or|from|in|on|at|until|with|then"
    r"|in order to|under|and choose|and select)\b"
    r"|^(?:如果|如需|若|当|要|在|从|即可|就|就能|就可以|便可|然后|并|再|来|以便|以|完成后)",
    re.IGNORECASE,
)
_LEADING = re.compile(r"^(?:and then|and|then|but|so|or|now|also)\s+(?=\S)", re.IGNORECASE)
_MARKER = re.compile(r"^\s*(?:[-*•]\s|\d{1,2}[.)、]\s*|#{1,6}\s)?\s*")
_READY = re.compile(
    r"\s*(?:,\s*)?\b(ready|prepared)(?: now)? (?:to|for) (?:be )?(?:export(?:ed|ing)?|download(?:ed|ing)?)\b", re.IGNORECASE
)


def gist(text: str) -> Gist:
    """What an answer of the agent comes to."""
    actions: set[Action] = set()
    lines = []
    for line in _plain(text).split("\n"):
        marker = _MARKER.match(line)
        head = marker[0] if marker else ""
        kept = _without_screen(line[len(head) :], actions)
        lines.append(f"{head}{kept}" if kept else ("" if line.strip() else line))
    shown = re.sub(r"\n{3,}", "\n\n", "\n".join(_without_hanging(lines, text))).strip()
    return Gist(text=shown, actions=frozenset(actions), asks=asks(text))


def _plain(text: str) -> str:
    """Without invisible marks that could hide a word, and with one kind of line end."""
    text = re.sub(r"[\u200b-\u200d\u2060\ufeff]", "", text)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _bare(clause: str) -> str:
    """A clause as the patterns want it."""
    plain = re.sub(r"[*_`#>]+", "", unicodedata.normalize("NFKC", clause)).casefold().replace("’", "'")
    return " ".join(plain.split())


def _action(clause: str) -> Action | None:
    bare = _bare(clause)
    return next((action for action, pattern in _SCREEN if pattern.search(bare)), None)


def _without_hanging(lines: list[str], text: str) -> Iterator[str]:
    """Leaves out an announcement whose list has gone."""
    before = _plain(text).split("\n")
    for at, line in enumerate(lines):
        if line.rstrip().endswith((":", "：")):
            after = [(was, now) for was, now in zip(before[at + 1 :], lines[at + 1 :], strict=True) if was.strip()]
            if after and not after[0][1].strip():
                continue
        yield line


def _without_screen(line: str, actions: set[Action]) -> str:
    kept = []
    at = 0
    for cut in (*_SENTENCES.finditer(line), None):
        sentence, gap = (line[at : cut.end()], cut.end()) if cut else (line[at:], len(line))
        at = gap
        if sentence:
            kept.append(_sentence(sentence, actions))
    return "".join(kept).strip()


def _sentence(sentence: str, actions: set[Action]) -> str:
    """A sentence without its clauses about a screen; as it was when there are none."""
    found = _action(sentence)
    if found is None:
        return sentence
    ready = _READY.sub(r" \1", sentence)
    if ready != sentence:
        actions.add(Action.EXPORT)
        sentence = ready if ready[:1] != " " else ready[1:]
        if _action(sentence) is None:
            return sentence
    for group in _GROUPS.findall(sentence):
        if (inside := _action(group)) is not None:
            actions.add(inside)
            sentence = sentence.replace(group, "", 1)
    if _action(sentence) is None:
        return sentence
    seen: set[Action] = set()
    kept = _clauses(sentence, seen)
    actions |= seen or {found}  # wording that only shows across the cuts is that of the whole
    if not kept:
        return ""
    whole = _LEADING.sub("", kept).strip(" ,;:—–-，；：")
    if _action(whole) is not None:
        return ""
    end = re.search(r"[.!?。！？][\"'”’)\]*]*\s*$", sentence)
    whole = whole[:1].upper() + whole[1:]
    if whole.endswith((".", "!", "?", "。", "！", "？")):
        return f"{whole} "
    return f"{whole}{end[0].strip()[0] if end else '.' if whole.isascii() else ''}{' ' if whole.isascii() else ''}"


def _clauses(sentence: str, actions: set[Action]) -> str:
    """The clauses of a sentence that speak of no screen and lean on none that does, with what joins them."""
    pieces = _CLAUSES.split(sentence)
    clauses, joints = pieces[::2], ["", *pieces[1::2]]
    found = [_action(clause) for clause in clauses]
    actions.update(each for each in found if each is not None)
    gone = [each is not None for each in found]
    for at in range(1, len(clauses)):
        if gone[at - 1] and _DEPENDENT.match(clauses[at].strip()):
            gone[at] = True  # "to get the file", after "click here"
    for at in reversed(range(len(clauses) - 1)):
        if gone[at + 1] and _DEPENDENT.match(clauses[at].strip()):
            gone[at] = True  # "if you like it", before "click here"
    kept = ""
    for at, clause in enumerate(clauses):
        if gone[at] or not re.search(r"\w", clause):
            continue
        # A joint between two that stay is theirs; after a gap a comma does.
        kept += (joints[at] if not gone[at - 1] else ", ") + clause if kept else clause
    return kept
