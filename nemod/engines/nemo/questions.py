"""Whether the agent asks something back, or is merely polite. Pure.

It matters, because nobody is there to answer: a question that is missed ends in a refusal, a closing phrase that is taken for a
question costs another message. Rules kept:
- a request to decide, confirm or tell something is a question, with or without a question mark;
- an offer to do more is none once the work is said to be done, unless it names alternatives or waits for a word to go on.
"""

# ruff: noqa: RUF001 - Chinese has punctuation of its own width

import re
import unicodedata

_SENTENCES = re.compile(r"(?<=[.!?])[\"'”’)\]*]*\s+|(?<=[。！？；!?])|\n+")
_MARK = re.compile(r"\?[\s\"'”’)\]*_!.\U0001f300-\U0001faff\u2600-\u27bf\ufe0f]*$")
_ASIDE = re.compile(r"\"[^\"]*\"|“[^”]*”")

#: It waits before it begins, whatever else it says.
_WAITS = re.compile(
    r"\b(?:proceed|go ahead|go forward|move forward|before i|your (?:confirmation|choice|answer|reply|approval|go-ahead))\b"
    r"|\b(?:should|shall) i (?:start|begin|continue)\b|\b(?:me|i should|i can) (?:to )?(?:start|begin|continue)\b"
    r"|please (?:confirm|specify|clarify|choose|decide|answer|reply|advise)\b|\bconfirm (?:that|whether|if|which|the|your)\b"
    r"|继续(?:吗|处理|执行|操作)?[?]|(?:我|可以|是否|要|现在)(?:开始|继续)|请(?:您|你)?(?:先)?(?:确认|选择|说明|指定|回复|明确|补充|决定|提供)|等待(?:您|你)的"
)
#: Polite endings.
_CLOSERS = re.compile(
    r"\b(?:any|some)(?:thing|body|one)? else\b|\bwhat else\b|\bwhat(?:'s| is) next\b|\bwhat would you like (?:me )?to do next\b"
    r"|\b(?:any|further|more|other|additional|some) (?:\w+ )?(?:changes?|edits?|adjustments?|tweaks?"
    r"|requests?|questions?|help|assistance|modifications?|revisions?|improvements?|edits?|refinements?)\b"
    r"|\b(?:anything|something) (?:you'd|you would|you want|to (?:change|adjust|add)|more|further)"
    r"|\bhow can i help\b|\bhow may i help\b"
    r"|\bhow (?:does|do) (?:it|that|this|they|the \w+) (?:look|sound|feel)|\bwhat do you think\b"
    r"|\bwhat you think\b|\bhow it (?:looks|goes|sounds)\b"
    r"|\b(?:are you |you )?(?:happy|satisfied|pleased) with\b|\b(?:do|did) you like (?:it|this|the)\b"
    r"|\bneed (?:more|any) help\b"
    r"|\blet me know (?:if|when|whenever|once|how|in case)\b(?!.*\b(?:should i|i should|i can|which"
    r"|whether|prefer|720p|1080p)\b)"
    r"|\blet me know what (?:else|other|you'd like to (?:change|adjust|add|tweak|do next))"
    r"|(?:其他|其它|别的|更多|进一步|什么需要|什么可以|什么能|还需要|另外).{0,14}(?:帮助|帮忙|帮|需要|需求|要求|问题|吗|调整|修改|效劳)"
    r"|(?:还有|还需要|还想|还要)(?:什么|哪些|其他)|满意吗|(?:效果|感觉|觉得)(?:如何|怎么样|怎样)|接下来.{0,6}(?:做|想|要).{0,4}什么|需要(?:我的?)?帮助吗"
    r"|(?:如果|如有|如需|若|有).{0,20}(?:请|随时|可以|欢迎).{0,4}(?:告诉我|告知|联系|找我|提出|跟我说|和我说|说)"
)
#: An offer to do something more: a question while nothing is done, a courtesy afterwards.
_OFFERS = re.compile(
    r"^(?:also,? )?(?:would you like|do you want|want|need|should i|shall i|can i|may i|do you need"
    r"|would you want|how about|interested in|like me to)\b"
    r"|要不要|需要.{0,20}吗|想要.{0,20}吗|是否(?:需要|想|要|希望)|要.{0,12}吗"
)
#: Offers to decorate, of whatever choice, are for somebody who is there.
_EXTRAS = re.compile(r"\b(?:add|include|apply|insert|also|another)\b|添加|增加|加上|加入")
_CHOICE = re.compile(r"\bor\b(?! (?:anything|something|more|other|any|further|so)\b)|还是|\bwhich\b|哪")
_HANDOVER = re.compile(r"\b(?:export|download|preview|save|share|publish)\b|导出|下载|预览|保存")
_WH = re.compile(r"\b(?:which|what|how|where|when|who|whose)\b|哪|什么|多少|多大|几|怎么|怎样|如何")
_OTHER_REQUESTS = re.compile(
    r"\b(?:please|kindly) (?:tell me|let me know|provide|share|indicate|pick|select|describe|give me"
    r"|send)\b(?! me? ?know (?:if|when) you)"
    r"|\blet me know\b(?=.*\b(?:which|whether|what|how|where|when|if|your|prefer))"
    r"|\btell me (?:which|what|how|where|when|whether|if|more|your)\b"
    r"|\bi(?:'d| would)? (?:still )?need (?:to know|more (?:info|detail|context)|a (?:bit|little) more"
    r"|some more|you to|your|further)"
    r"|\b(?:waiting for|awaiting) your\b|\b(?:reply|respond|answer) with\b|\b(?:just )?say (?:the word"
    r"|[\"'“]?(?:yes|go|ok))|\bonce you (?:confirm|decide|choose|tell me|let me know)"
    r"|^(?:would you like|do you want|should i|shall i|could you|can you|which|do you prefer|would you prefer)\b"
    r"|请问|请(?:您|你)?(?:先)?(?:告诉我|告知)|(?:您|你)(?:想|希望|需要|要|更喜欢|倾向).{0,16}(?:什么|哪|多少|多大|怎)|(?:是|要|用"
    r"|选).{0,20}还是.{1,20}[呢吗?]|要不要|吗$|呢$"
)
#: Asked in so many words, only without the mark.
_ASKED = re.compile(
    r"^(?:which|what|where|how (?:long|short|much|many|big|small))\b.{0,40} (?:should|would|do"
    r"|shall) (?:i|you|we|the|it)\b"
)
_DONE = re.compile(
    r"\b(?:done|finished|completed?|successfully|all set(?! to))\b|\bi(?:'ve| have) (?:\w+ly |just |now "
    r"|also )?\w+(?:ed|t|de|ut)\b"
    r"|\b(?:has|have) been \w+|\bhere(?:'s| is) (?:your|the)\b|\bis (?:now )?ready\b(?! to)"
    r"|\b(?:compressed|trimmed|resized|reduced|shrunk) (?:it|your|the|to|from)\b|\bis now\b"
    r"|已经?(?!上传|收到|分析|接收|读取|导入).{0,12}(?:完成|压缩|剪|处理|生成|添加|调整|修改|删除|移除|裁|转换|优化|好)|(?:完成|做好|搞定|成功)了?|完毕|好了"
)
_NOT_THE_WORK = re.compile(
    r"\b(?:upload\w*|receiv\w*|analy[sz]\w*|review\w*|check\w*|look\w*|notic\w*|load\w*|import\w*"
    r"|examin\w*|watch\w*|detect\w*|got|not|n't|cannot|unable)\b|上传|收到|分析|未|没有|无法|不能"
)


def claims_done(text: str) -> bool:
    """Whether an answer says that the work is done."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    sentences = (" ".join(sentence.split()) for sentence in _SENTENCES.split(re.sub(r"[*_`#]+", "", plain)))
    return any(_DONE.search(said) and not _NOT_THE_WORK.search(said) for said in sentences)


def asks(text: str) -> bool:
    """Whether an answer holds a question that the agent needs answered."""
    done = False
    plain = unicodedata.normalize("NFKC", text).replace("’", "'")
    for sentence in _SENTENCES.split(re.sub(r"[*_`#]+", "", plain)):
        said = _ASIDE.sub("", " ".join(sentence.split()).casefold())
        said = re.sub(
            r"^(?:[-•]|\d{1,2}[.)])\s*|^(?:done|great|ok|okay|sure|so|and|but|alright|perfect|now|also|hi|hello|well)[!,.]? ",
            "",
            said,
        )
        if _question(said, done=done):
            return True
        done = done or (bool(_DONE.search(sentence.casefold())) and not _NOT_THE_WORK.search(sentence.casefold()))
    return False


def _question(said: str, *, done: bool) -> bool:
    marked = _MARK.search(said) is not None
    requested = bool(_WAITS.search(said)) and (
        marked or _OTHER_REQUESTS.search(said) is not None or "请" in said or "please" in said
    )
    if requested or re.search(r"\bbefore i (?:proceed|start|begin|continue|go)|等待(?:您|你)的", said):
        return True
    if not marked and not _OTHER_REQUESTS.search(said) and not _ASKED.search(said):
        return False
    chooses = _CHOICE.search(said) is not None
    if _CLOSERS.search(said) and not re.search(r"\bor should i\b", said):
        return False
    if _HANDOVER.search(said) and not chooses and not _WH.search(said):
        return False  # it is rendered and fetched anyway
    return not (done and _OFFERS.search(said) and (not chooses or _EXTRAS.search(said)))
