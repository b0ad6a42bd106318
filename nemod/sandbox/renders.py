"""Renders: a timeline encoded by ffmpeg into an MP4 of about the size that the agent aimed at.

It is a moderately good encoder: one pass at a rate, a second one where that misses, the picture made smaller when the rate is
poor. Equal timelines of equal files share one encode.
"""

import asyncio
import hashlib
import json
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemod.media.child import run
from nemod.media.formats import source_input
from nemod.sandbox.world import Asset, Render, World

#: At most the short side of 1080p; smaller while there are fewer bits per pixel and frame than this.
SIDES, BITS_PER_PIXEL = (1080, 720, 480, 360, 240), 0.03
#: A result may be this much above its aim before it is encoded once more.
SLACK = 1.03
#: Bytes of a result, and seconds that it may take.
FILE_MOST = 4 * 1024**3
TIMEOUT_S = 3600.0
_HDR = "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:desat=0,zscale=t=bt709:m=bt709:r=limited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to encode: a file, how much of it, into about how many bytes; `habits` are misbehaviours."""

    asset: Asset
    length_s: float
    aim_bytes: int | None
    forced: bool
    short_side: int | None
    music: bool
    title: bool
    habits: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Renders:
    """Does renders in the background, a few at a time."""

    world: World
    ffmpeg: Path
    render_s: float
    turnstile: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    running: set[asyncio.Task[None]] = field(default_factory=set)

    def begin(self, render: Render) -> None:
        """Set it to work; one that is to stay in the queue is not."""
        if "render-queued" in render.habits:
            return
        task = asyncio.create_task(self._run(render))
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def _run(self, render: Render) -> None:
        try:
            await self._work(render)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must hear of it as of any failed render
            render.status, render.error = "failed", f"The render failed: {error}."
        self.world.note("rendered", render=render.id, session=render.session, status=render.status)

    async def _work(self, render: Render) -> None:
        async with self.turnstile:
            if render.status != "pending":
                return  # cancelled meanwhile
            render.status, render.progress = "processing", 20
            if "render-failed" in render.habits:
                render.status, render.error = "failed", "Lambda function timed out."
                return
            order = order_of(render, self.world)
            file = self.world.folder / "renders" / f"{_digest(order)}.mp4"
            if not file.exists():
                part = file.with_name(f"{render.id}.part")
                await encode(self.ffmpeg, order, part)
                part.replace(file)
            render.progress = 90
        await asyncio.sleep(self.render_s + float(render.habits.get("render-slow", "0") or 5))
        if "render-stuck" in render.habits:
            await asyncio.Event().wait()
        render.file, render.seconds = file, order.length_s
        render.completed_ms, render.progress, render.status = round(time.time() * 1000), 100, "completed"


def order_of(render: Render, world: World) -> Order:
    """What a timeline asks of the encoder.

    Raises:
        LookupError: it shows nothing that was uploaded.
    """
    draft: dict[str, Any] = render.draft
    (segment, *_) = next(track["sg"] for track in draft["t"] if track["tt"] == 0)
    session = world.sessions[render.session]
    asset = next(asset for asset in session.assets if asset.shown["cdn_url"] == segment["m"]["url"])
    return Order(
        asset=asset,
        length_s=segment["d"] / 1000,
        aim_bytes=draft["out"]["aim"],
        forced=draft["out"]["forced"],
        short_side=draft["out"]["short_side"],
        music=any(track["tt"] == 1 and track["sg"][0].get("generated") for track in draft["t"]),
        title=any(track["tt"] == 7 for track in draft["t"]),
        habits={name: arg for name, arg in render.habits.items() if name in ENCODED},
    )


#: The misbehaviours that are seen in the file itself.
ENCODED = frozenset({"wrong-picture", "undershoot-length", "hevc", "moov-at-end"})


def _digest(order: Order) -> str:
    facts = (
        order.asset.shown["hash"],
        order.length_s,
        order.aim_bytes,
        order.forced,
        order.short_side,
        order.music,
        order.title,
        sorted(order.habits),
    )
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


async def encode(ffmpeg: Path, order: Order, out: Path) -> None:
    """Encode into a file.

    Raises:
        RuntimeError: ffmpeg says no.
    """
    aim = order.aim_bytes or _size(order.asset.path)
    rate = 0.98 * aim * 8 / max(order.length_s, 0.1)
    for _ in range(3):
        await _pass(ffmpeg, order, out, rate)
        size = _size(out)
        if size <= aim * SLACK:
            break
        rate *= 0.97 * aim / size
    if order.forced and _size(out) < aim:
        # Too little to see to fill so many bytes: a box that players skip does.
        _pad(out, aim - _size(out))


async def _pass(ffmpeg: Path, order: Order, out: Path, rate_bps: float) -> None:
    sound = min(128_000, max(16_000, rate_bps * 0.15)) if order.asset.has_sound or order.music else 0
    picture = max(8_000, rate_bps - sound)
    argv = [str(ffmpeg), "-hide_banner", "-nostdin", "-v", "error", "-y", *source_input(order.asset.path)]
    if order.music:
        argv += ["-f", "lavfi", "-i", f"sine=frequency=330:sample_rate=48000:duration={order.length_s}"]
    chain = ",".join(_filters(order, picture))
    argv += ["-filter_complex", f"[0:v:0]{chain}[v]" + _mix(order), "-map", "[v]", *_sound_map(order)]
    codec = ["libx265", "-tag:v", "hvc1", "-x265-params", "log-level=error"] if "hevc" in order.habits else ["libx264"]
    argv += ["-c:v", *codec, "-preset", "veryfast", "-pix_fmt", "yuv420p", "-b:v", f"{picture:.0f}"]
    argv += ["-maxrate", f"{picture * 1.3:.0f}", "-bufsize", f"{picture * 2:.0f}", "-threads", "1"]
    # Every frame keeps its time, also where the rate varies.
    argv += ["-fps_mode", "passthrough", "-enc_time_base", "1:90000"]
    if sound:
        argv += ["-c:a", "aac", "-ac", "2", "-ar", "48000", "-b:a", f"{sound:.0f}"]
    argv += [
        "-t",
        f"{order.length_s * (0.6 if 'undershoot-length' in order.habits else 1):.3f}",
        "-map_metadata",
        "-1",
        "-sn",
        "-dn",
    ]
    argv += [] if "moov-at-end" in order.habits else ["-movflags", "+faststart"]
    done = await run([*argv, "-f", "mp4", f"file:{out}"], timeout_s=TIMEOUT_S, file_bytes=FILE_MOST)
    if done.returncode:
        raise RuntimeError(done.stderr_tail.partition("\n")[0] or f"ffmpeg ended with code {done.returncode}")


def _filters(order: Order, picture_bps: float) -> list[str]:
    shown: dict[str, Any] = order.asset.shown
    side = _side(min(shown["width"], shown["height"]), picture_bps, shown, order)
    chain = [_HDR] if order.asset.hdr else []
    # The shorter side is bounded, whichever it is, and both come out even.
    chain.append(f"scale='if(gt(iw,ih),-2,{side})':'if(gt(iw,ih),{side},-2)'")
    if order.title:
        chain.append("drawbox=x=iw/8:y=ih*3/4:w=iw*3/4:h=ih/8:color=cyan@0.8:t=fill:enable='lt(t,3)'")
    if "wrong-picture" in order.habits:
        chain.append("transpose=1")
    return [*chain, "setsar=1"]


def _side(source: int, picture_bps: float, shown: Mapping[str, Any], order: Order) -> int:
    wide = max(shown["width"], shown["height"]) / max(1, source)
    best = min(source, order.short_side or SIDES[0], SIDES[0])
    for side in (best, *(s for s in SIDES if s < best)):
        if picture_bps >= BITS_PER_PIXEL * side * side * wide * order.asset.frames_per_s:
            return side // 2 * 2
    return min(best, SIDES[-1]) // 2 * 2


def _mix(order: Order) -> str:
    if order.music and order.asset.has_sound:
        return ";[0:a:0][1:a:0]amix=inputs=2:duration=first:weights='1 0.35'[a]"
    return ""


def _sound_map(order: Order) -> list[str]:
    if order.music:
        return ["-map", "[a]" if order.asset.has_sound else "1:a:0"]
    return ["-map", "0:a:0"] if order.asset.has_sound else []


def _size(file: Path) -> int:
    return file.stat().st_size


def _pad(file: Path, missing: int) -> None:
    size = max(8, missing)
    with file.open("ab") as stream:
        stream.write(struct.pack(">I4s", size, b"free"))
        stream.truncate(stream.tell() + size - 8)
