"""The agent speaks as if there were a screen; what of it is an action, what a person reads, what is a question."""

# ruff: noqa: RUF001 - Chinese has punctuation of its own width

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemod.engines.nemo.translate import Action, gist, route, without_export

SCREEN = re.compile(
    r"\bclick|\bexport|\bdrag|\bopen the|\btap the|\bbutton|\bpreview it in|\bbilling|\bdashboard"
    r"|点击|单击|打开|拖拽|拖动|导出|按钮",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        *(
            (text, Action.EXPORT)
            for text in ("export", "Export the video please", "导出", "导出视频", "download it", "send me the video")
        ),
        *(
            (text, Action.EXPORT)
            for text in ("Download", "请帮我导出一下", "把视频发给我", "下载", "can you export it again?", "re-export")
        ),
        *(
            (text, Action.CREDITS)
            for text in ("how many credits are left?", "balance", "积分", "余额", "credits", "check my balance")
        ),
        *((text, Action.CREDITS) for text in ("我还有多少积分？", "查询余额", "how many left?")),
        *(
            (text, Action.STATUS)
            for text in ("status", "show tracks", "what's in the timeline?", "状态", "现在什么样了", "What’s the status")
        ),
        *((text, Action.STATUS) for text in ("list the tracks", "progress", "查看状态", "what does it look like now?")),
        *(
            (text, Action.UPLOAD)
            for text in ("upload logo.png", "upload", "上传 a.mp4", "upload https://example.org/a", "上传")
        ),
        *((text, Action.UPLOAD) for text in ("please upload /tmp/my clip.mov", "upload a.png and b.png", "logo.png")),
        *(
            (text, Action.EDIT)
            for text in ("make it shorter", "compress for download", "add a credits roll", "balance the audio")
        ),
        *(
            (text, Action.EDIT)
            for text in ("export at 720p with a title", "regenerate", "重新生成", "redo", "再来一个", "", "👍")
        ),
        *(
            (text, Action.EDIT)
            for text in ("upload logo.png and put it in the corner", "track the ball", "save 5 seconds at the end")
        ),
        *((text, Action.EDIT) for text in ("把状态栏去掉", "导出为720p并加标题", "x" * 5000, "the balance of colours is off")),
    ],
)
def test_a_command_is_told_from_an_edit(text: str, action: Action) -> None:
    """Only a text that says nothing else is a command; everything else is an edit."""
    assert route(text) is action


@pytest.mark.parametrize(
    ("text", "shown", "actions"),
    [
        ("Your video is now 8 MB. Click the Export button to download it.", "Your video is now 8 MB.", {Action.EXPORT}),
        ("Click **Export** in the top right corner.", "", {Action.EXPORT}),
        (
            "I trimmed the clip and added a title, click Export to get it.",
            "I trimmed the clip and added a title.",
            {Action.EXPORT},
        ),
        ("To download it, tap the Download button.", "", {Action.EXPORT}),
        ("Once you're happy, press Export.", "", {Action.EXPORT}),
        ("Drag your clip to the timeline.", "", {Action.EDIT}),
        ("Drag and drop the file.", "", {Action.EDIT}),
        ("Open the media panel and drag your clip onto the timeline.", "", {Action.STATUS, Action.EDIT}),
        ("You can preview it in the timeline.", "", {Action.STATUS}),
        ("I cut the first 5 s; you can preview the result in the timeline.", "I cut the first 5 s.", {Action.STATUS}),
        ("Check your account for billing details.", "", {Action.CREDITS}),
        ("Please check your credit balance on the billing page.", "", {Action.CREDITS}),
        ("Go to Settings and choose the output tab.", "", {Action.STATUS, Action.EDIT}),
        ("Head to the dashboard.", "", {Action.STATUS}),
        ("Compressed to 9.2 MB (click Export to download).", "Compressed to 9.2 MB.", {Action.EXPORT}),
        ("The video is ready to export.", "The video is ready.", {Action.EXPORT}),
        ("1. Click Export\n2. Press Download", "", {Action.EXPORT}),
        ("Here is what to do:\n- Click Export\n- Tap Save", "", {Action.EXPORT, Action.EDIT}),
        ("视频已压缩到8MB，点击导出按钮即可下载。", "视频已压缩到8MB。", {Action.EXPORT}),
        ("请点击右上角的按钮。", "", {Action.EDIT}),
        ("请打开媒体面板。", "", {Action.STATUS}),
        ("将素材拖拽到时间线。", "", {Action.EDIT}),
        ("拖动片段即可。已添加标题。", "已添加标题。", {Action.EDIT}),
        ("剪辑完成。您可以在时间线中预览。", "剪辑完成。", {Action.STATUS}),
        ("请前往账户页面查看账单。", "", {Action.CREDITS}),
        ("请进入设置页面。", "", {Action.STATUS}),
        ("The clip shows a drag racer opening a door.", "The clip shows a drag racer opening a door.", set()),
        ("I added a click sound at 0:03 and a tap dance scene.", "I added a click sound at 0:03 and a tap dance scene.", set()),
        (
            "The opening shot now lasts 3 s. The bass drops at 0:10.",
            "The opening shot now lasts 3 s. The bass drops at 0:10.",
            set(),
        ),
        ("A man pressing a red button is kept.", "A man pressing a red button is kept.", set()),
        ("Next steps:\n1. Click Export\n2. Choose 1080p", "", {Action.EXPORT, Action.EDIT}),
        ("一个女孩打开礼物的镜头已保留。", "一个女孩打开礼物的镜头已保留。", set()),
        (
            "Compressed to 9.2 MB, e.g. for chats.\n\n1. Video (0-10s)",
            "Compressed to 9.2 MB, e.g. for chats.\n\n1. Video (0-10s)",
            set(),
        ),
        ("", "", set()),
    ],
)
def test_the_screen_goes_and_the_content_stays(text: str, shown: str, actions: set[Action]) -> None:
    """Wording about a screen becomes an action or goes; what is said of the video stays as it is."""
    found = gist(text)
    assert (found.text, set(found.actions)) == (shown, actions)


@pytest.mark.parametrize(
    "wording",
    [
        "Click the Export button",
        "click “Export”",
        "Click on __Export__ now",
        "CLICK EXPORT",
        "just click\u200b Export",
        "you can then click Export",
        "simply hit Export",
        "use the Export button",
        "go to File > Export",
        "drag it to the timeline",
        "open the Export panel",
        "tap the download button",
        "[Export](https://example.org/x)",
        "点击“导出”",
        "单击导出按钮",
        "请打开导出面板",
        "把它拖拽到时间轴",
        "點擊匯出",
    ],
)
@pytest.mark.parametrize(
    "frame",
    ["{}.", "Done. {}.", "The video has 8 MB now, {}.", "{} and I will wait", "I trimmed it and {}", "**{}**", "已完成，{}。"],
)
def test_no_instruction_for_a_screen_survives(wording: str, frame: str) -> None:
    """Wherever it stands in an answer, wording about a screen never reaches a person, and stands for an action."""
    found = gist(frame.format(wording))
    assert not SCREEN.search(found.text), found.text
    assert found.actions


@pytest.mark.parametrize(
    "text",
    [
        "Which part should I keep?",
        "Would you like 720p or 1080p?",
        "Done! Would you like 720p or 1080p?",
        "Please confirm that I may change the frame rate.",
        "Let me know if I should proceed",
        "Let me know which part to keep.",
        "Let me know if you'd like me to proceed.",
        "What resolution do you want?",
        "I received your video. Would you like me to compress it?",
        "Your upload is complete. Should I compress it to 480p?",
        "Before I start, I need to know the target length.",
        "Please tell me how short it should be.",
        "I'll reduce it to 480p. Shall I go ahead?",
        "Should I keep the sound? 🙂",
        "How long should the clip be",
        "Could you clarify what you mean?",
        "**Would you like me to continue?**",
        "请问您想保留哪一部分？",
        "请问需要压缩到多大？",
        "要不要保留原来的声音？",
        "您想要720p还是1080p？",
        "是否继续？",
        "请确认是否可以降低分辨率。",
        "请告诉我您想保留哪一段",
        "需要我降低分辨率吗？",
    ],
)
def test_a_question_back_is_one(text: str) -> None:
    """What the agent must have answered before it goes on is a question, with or without its mark."""
    assert gist(text).asks


@pytest.mark.parametrize(
    "text",
    [
        "Done! Let me know if you want anything else.",
        "Anything else?",
        "Is there anything else I can help you with?",
        "需要其他帮助吗？",
        "请问还需要其他帮助吗？",
        "视频已压缩完成，如有其他需要请告诉我。",
        "还有什么可以帮您的吗？",
        "Your video has been compressed to 8 MB. How does it look?",
        "Compressed it to 9 MB. Would you like to make any other changes?",
        "Done. What would you like to do next?",
        "I've compressed your video. Would you like me to add some music?",
        "All done. Would you like to export the video?",
        "Let me know what you think!",
        "Let me know if you have any questions.",
        "Feel free to ask for further adjustments.",
        "I've kept the part that you asked for.",
        "I cannot do that.",
        "视频已经压缩好了，效果还是不错的。",
        "已完成。您满意吗？",
        "视频处理完成！是否需要添加字幕或背景音乐？",
        "Done. Would you like me to add captions or music?",
        "",
    ],
)
def test_politeness_is_no_question(text: str) -> None:
    """Closing phrases and offers after the work need no answer."""
    assert not gist(text).asks


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("export at 720p with a title", "prepare at 720p with a title"),
        ("Export it, then re-export the export", "Prepare it, then re-prepare the result"),
        ("exported exports while exporting an export", "prepared prepares while preparing a result"),
        ("导出为720p", "处理为720p"),
        ("make it shorter, under 10 MB", "make it shorter, under 10 MB"),
    ],
)
def test_the_agent_is_never_told_to_export(text: str, sent: str) -> None:
    """The word for exporting is replaced; everything else stays as it was."""
    assert without_export(text) == sent


@given(
    st.text()
    | st.lists(
        st.sampled_from(["click", "Export", "导出", "？", ". ", "\n", "(", ")", "- ", ":", ", ", "open the ", "请", "and "])
    ).map("".join)
)
def test_any_text_can_be_read(text: str) -> None:
    """No text makes a reader fail, and none brings the word for exporting back."""
    assert route(text) in Action
    assert not re.search(r"(?<![a-z])export", gist(text).text.lower())
    assert "export" not in without_export(text).lower()
    assert "导出" not in gist(text).text + without_export(text)
