"""A picture made by hardware, within the same law: corrected until it fits, looked at before anybody believes it.

Rules kept here:
- whatever hardware makes of a video is decoded from end to end and held against its source here: drivers have been seen to
  make green or frozen pictures without a word;
- whatever is wrong with hardware is no fault of the video: the words say what it was, and the processor does the work.
"""

from dataclasses import replace

from nemod.engines.base import EngineError, Output
from nemod.engines.local import plan
from nemod.engines.local.approach import MORE_TRIES, Missed, approach
from nemod.engines.local.codecs import Rate
from nemod.engines.local.hardware import find
from nemod.engines.local.steps import CHOICE_TO, Sounds, Steps
from nemod.failure import Kind, NemodError
from nemod.media.decode import decode_errors
from nemod.media.likeness import unlikeness
from nemod.media.look import Picture
from nemod.media.probe import probe
from nemod.media.verdict import Accept, How, judge

PROBE_TIMEOUT_S = 300.0


async def by_hardware(steps: Steps, picture: Picture, sounds: Sounds) -> Output | str:
    """The output, or in words why hardware cannot make it.

    Raises:
        EngineError: NO_SPACE; the work folder is full, whoever encodes.
    """
    task = steps.task
    driver = await find(steps.tools.ffmpeg, steps.tools.encoders, task.preset.encoder, task.preset.codec)
    if isinstance(driver, str):
        return driver
    budget = plan.budget_bytes(task.limit_bytes, task.media, picture, sounds.size_bytes)
    useful = plan.useful_bytes(task.media, picture)
    if budget <= 0:
        return f"{driver.name} has no picture small enough"
    try:
        made = await approach(
            replace(steps, driver=driver),
            picture,
            plan.rate_bps(min(budget, useful), task.media.picture_s),
            lambda bps: Rate(passing=0, bitrate_bps=bps),
            sounds,
            begin=CHOICE_TO,
            stage=driver.name,
            how=driver.name,
            tries=MORE_TRIES,
            stop_early=useful < budget,
        )
        if isinstance(made, Missed):
            return f"{driver.name} did not keep to the limit"
        wrong = await _wrong(steps)
    except EngineError as error:
        if error.failure.kind is Kind.NO_SPACE:
            raise
        return f"{driver.name} failed: {error.failure.detail.rstrip('.')}"
    return made if wrong is None else f"{driver.name} made something else: {wrong.rstrip('.')}"


async def _wrong(steps: Steps) -> str | None:
    """What is wrong with an output, as a sentence."""
    task, ffmpeg = steps.task, steps.tools.ffmpeg
    try:
        made = await probe(steps.out, timeout_s=PROBE_TIMEOUT_S)
        broken = await decode_errors(ffmpeg, steps.out, timeout_s=plan.patience_s(task.media))
        unlike = None if broken else await unlikeness(ffmpeg, (task.source, task.media), (steps.out, made))
    except NemodError as error:
        return str(error)
    verdict = judge(
        task.media,
        made,
        preset=task.preset,
        limit_bytes=task.limit_bytes,
        decode_error=broken,
        how=How.ENCODE,
        unlike=unlike,
    )
    return None if isinstance(verdict, Accept) else verdict.detail
