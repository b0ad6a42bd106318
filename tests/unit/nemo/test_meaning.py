"""What an answer comes to: the state decides, then the words."""

import pytest

from nemod.engines.nemo.frames import Call, Complaint, Frame, Question, Text
from nemod.engines.nemo.listener import Listener
from nemod.engines.nemo.meaning import Meaning, meaning
from nemod.engines.nemo.wire import Trouble

EDIT = Call(name="edit_multitrack")


def heard(*frames: Frame) -> Listener:
    """A listener that has heard these."""
    listener = Listener()
    for frame in frames:
        listener.hear(frame)
    return listener


def says(text: str) -> Text:
    """Words of the agent."""
    return Text(text=text, author="nemo_agent")


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ((EDIT,), Meaning.EDITED),
        ((), Meaning.EDITED),
        ((says("Compressed to 8.2 MB. Is that okay?"),), Meaning.EDITED),
        ((says("视频已压缩至 9MB，是否继续渲染？"),), Meaning.EDITED),  # noqa: RUF001 - Chinese punctuation
        ((Complaint(text="429", trouble=Trouble.THROTTLED),), Meaning.EDITED),
    ],
)
def test_a_changed_timeline_is_an_edit_whatever_is_said(frames: tuple[Frame, ...], expected: Meaning) -> None:
    """It can be rendered, so nothing need be asked again."""
    assert meaning(heard(*frames), lost=False, changed=True, exportable=True) is expected


@pytest.mark.parametrize(
    ("frames", "lost", "expected"),
    [
        ((), False, Meaning.UNCLEAR),
        ((EDIT,), False, Meaning.UNCLEAR),
        ((says("I've compressed your video to under 0.3 MB."),), False, Meaning.UNCLEAR),
        ((EDIT, says("Done.")), False, Meaning.UNCLEAR),
        ((says("I cannot do that."),), False, Meaning.REFUSAL),
        ((says("抱歉，我无法处理这个视频。"),), False, Meaning.REFUSAL),  # noqa: RUF001 - Chinese punctuation
        ((says("I cannot do that."),), True, Meaning.UNCLEAR),
        ((says("Which part should I keep?"),), False, Meaning.QUESTION),
        ((Question(text="720p or 1080p?"),), False, Meaning.QUESTION),
        ((says("Please click the Compress button."),), False, Meaning.SCREEN),
        ((Complaint(text="no credits", trouble=Trouble.CREDITS),), False, Meaning.TOLD),
        ((says("Let me start."), Complaint(text="no credits", trouble=Trouble.CREDITS)), False, Meaning.TOLD),
        ((Complaint(text="oops"),), False, Meaning.UNCLEAR),
    ],
)
def test_with_nothing_changed_the_words_decide(frames: tuple[Frame, ...], lost: bool, expected: Meaning) -> None:  # noqa: FBT001
    """Only words that neither edit, ask nor claim are a refusal; what is lost or silent is looked after."""
    assert meaning(heard(*frames), lost=lost, changed=False, exportable=False) is expected


def test_an_answer_that_only_wants_to_be_exported_is_rendered() -> None:
    """When there is a timeline; without one the state may only lag behind the words, and another message would cost."""
    words = says("Your video is ready. Click the Export button.")
    assert meaning(heard(words), lost=False, changed=False, exportable=True) is Meaning.READY
    assert meaning(heard(words), lost=False, changed=False, exportable=False) is Meaning.UNCLEAR


def test_a_question_before_any_timeline_is_a_question() -> None:
    """Something has changed in the session, but nothing that could be rendered, and the agent waits."""
    words = says("Should I go ahead with 720p?")
    assert meaning(heard(words), lost=False, changed=True, exportable=False) is Meaning.QUESTION
