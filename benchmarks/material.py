"""Clips of many kinds, made here by drawing and by ffmpeg, each with a limit that starves it.

Rules kept here:
- the same checkout makes the same clips; nothing is fetched and nothing stands in git;
- a clip is made once, under another name first, so that one half made is never measured;
- where a folder of real clips is given, what wants real texture is cut from those that are known by name.
"""

import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.drawing import figure, scenery
from benchmarks.score import facts, ffmpeg

ROOT = Path(__file__).resolve().parents[1]
LIMITS: Mapping[str, int] = {
    "anim_720p.mp4": 2_000_000,
    "code_1080p.mp4": 1_000_000,
    "film_720p.mp4": 3_000_000,
    "trailer_720p.mp4": 2_000_000,
    "game_1080p60.mp4": 4_000_000,
    "phone_portrait.mp4": 2_000_000,
    "slides_1080p.mp4": 400_000,
    "tiny_2s.mp4": 250_000,
    "night_720p.mp4": 1_000_000,
}
BUNNY, PHONE, CAR, WATER = "bbb_1080p_51.mp4", "syn_cam_1080p_12s.mp4", "car.mp4", "flower.mp4"
#: Grain that moves, as every sensor and film has it.
GRAIN = "noise=alls=3:allf=t:all_seed=1"


class CannotMakeError(Exception):
    """A clip that cannot be made here; its text is the reason."""


def make(name: str, cache: Path, real: Path | None) -> Path:
    """The clip, from the cache or made now; `real` is a folder of real clips. Raises CannotMakeError."""
    kind = "real" if real is not None and (real / BUNNY).is_file() else "drawn"
    path = cache / kind / name
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        half = path.with_name(f"half-{name}")
        MAKERS[name](half, Path(place), real if kind == "real" else None)
        return half.rename(path)


def _animation(out: Path, work: Path, _real: Path | None) -> None:
    """Eleven drawn scenes of five seconds with hard cuts: a pan, somebody walking, somebody jumping."""
    _scenes(out, work, seconds=55, each=5, fps=24, size=(1280, 720), after="null")


def _scenes(out: Path, work: Path, *, seconds: int, each: int, fps: int, size: tuple[int, int], after: str) -> None:
    width, height = size
    inputs: list[str | Path] = []
    graphs = []
    count = seconds // each
    for at in range(count):
        back = (
            scenery(work / f"back{at % 4}.pam", width * 2, height * 5 // 4, seed=at % 4)
            if at < 4
            else work / f"back{at % 4}.pam"
        )
        who = figure(work / f"who{at}.pam", seed=at)
        inputs += ["-i", back, "-i", who]
        speed = (40 + 35 * (at % 5)) * (1 if at % 2 else -1)
        start = 0 if speed > 0 else width
        pan = f"crop={width}:{height}:x='clip({start}+{speed}*t,0,iw-ow)':y='(ih-oh)/2+(ih-oh)/2*sin(t/{1 + at % 3})'"
        scaled = f"scale={150 + 40 * (at % 4)}:-2"
        walk = f"overlay=x='{width // 6}+{60 + 30 * (at % 3)}*t':y='{height // 3}+40*abs(sin({3 + at % 4}*t))':shortest=1"
        held = _still(fps, each)
        graphs.append(f"[{2 * at}:v]format=yuv444p,{held},{pan}[b{at}];[{2 * at + 1}:v]{scaled},format=yuva444p,{held}[w{at}]")
        graphs.append(f"[b{at}][w{at}]{walk},setsar=1,format=yuv420p[s{at}]")
    joined = "".join(f"[s{at}]" for at in range(count)) + f"concat=n={count},{after}[v]"
    _encode(out, inputs, ";".join([*graphs, joined]), seconds, music=True)


def _code(out: Path, work: Path, _real: Path | None) -> None:
    """Source code that is read and scrolled through in turn, in two colours, with a cursor that blinks."""
    lines = "".join(path.read_text() for path in sorted((ROOT / "benchmarks").glob("*.py"))).splitlines()[:420]
    comment = [line.lstrip().startswith(("#", '"""', "import", "from", "@", "def", "class")) for line in lines]
    for name, kept in (("code.txt", False), ("words.txt", True)):
        # An empty line is lower than a full one, and the two colours would drift apart.
        shown = (line if line.strip() and is_word is kept else "." for line, is_word in zip(lines, comment, strict=True))
        (work / name).write_text("\n".join(shown))
    tall = 24 * len(lines) + 200
    typed = "drawtext=font=monospace:fontsize=20:line_spacing=3:expansion=none:y_align=font:x=90:y=40"
    texts = f"{typed}:textfile=code.txt:fontcolor=0xcdd6f4,{typed}:textfile=words.txt:fontcolor=0x89dceb"
    drawn = f"color=0x1e1e2e:size=1920x{tall},drawbox=w=70:h=ih:color=0x181825:t=fill,{texts}"
    done = subprocess.run(
        [ffmpeg(), "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", drawn, "-frames:v", "1", "page.png"],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CannotMakeError(f"no text can be drawn here; a font for it may be missing ({done.stderr.strip()[-120:]})")
    # A second of reading, a second of scrolling: 12 lines at a time, then a fast flight.
    scroll = "crop=1920:1080:0:y='min(ih-oh, 288*(floor(t/2)+clip(mod(t\\,2)-1\\,0\\,1)) + if(gt(t\\,14)\\,(t-14)*700\\,0))'"
    cursor = "drawbox=x=600:y=520:w=10:h=22:color=white:t=fill:enable='lt(mod(t,1),0.5)'"
    _encode(out, ["-i", work / "page.png"], f"[0:v]format=yuv420p,{_still(30, 20)},{scroll},{cursor}[v]", 20, music=False)


def _film(out: Path, work: Path, real: Path | None) -> None:
    """Three minutes with a cut every six seconds; from real clips, windows of them, half of them mirrored."""
    if real is None:
        _scenes(out, work, seconds=180, each=6, fps=24, size=(1280, 720), after=f"gblur=0.8,{GRAIN}")
    else:
        _cut(out, real, seconds=180, each=6, windows=(0.75, 0.0, 0.4, 1.0))


def _trailer(out: Path, work: Path, real: Path | None) -> None:
    """Fifty-five seconds, short shots; only from real clips does it differ from the film in more than its length."""
    if real is None:
        _scenes(out, work, seconds=55, each=5, fps=25, size=(1280, 720), after=f"gblur=0.6,{GRAIN}")
    else:
        _cut(out, real, seconds=54, each=3, windows=(0.0, 0.6))


def _cut(out: Path, real: Path, *, seconds: int, each: int, windows: Sequence[float]) -> None:
    """Shots of several sources in turn; a window of 0 is the whole picture, others lie so far to the right and bottom of it."""
    shots = [(name, start) for start in range(0, 28, each) for name in (BUNNY, BUNNY, BUNNY, PHONE, CAR, WATER)]
    lengths = {name: facts(real / name).seconds for name in (BUNNY, PHONE, CAR, WATER) if (real / name).is_file()}
    inputs: list[str | Path] = []
    graphs = []
    count = seconds // each
    usable = [(name, start) for name, start in shots if name in lengths]
    for at in range(count):
        name, start = usable[at % len(usable)]
        begin = (start + 7 * at) % max(1, int(lengths[name]) - each + 1)
        inputs += ["-stream_loop", "2", "-ss", str(begin), "-t", str(each), "-i", real / name]
        share = windows[at % len(windows)]
        window = "null" if not share or name != BUNNY else f"crop=1280:720:x=(iw-ow)*{share}:y=(ih-oh)*{share}"
        mirror = "hflip" if at % 2 else "null"
        fitted = "scale=1280:720:force_original_aspect_ratio=increase,crop=1280:720,setsar=1"
        graphs.append(
            f"[{at}:v:0]fps=24,trim=duration={each},setpts=PTS-STARTPTS,{window},{fitted},{mirror},format=yuv420p[s{at}]"
        )
    joined = "".join(f"[s{at}]" for at in range(count)) + f"concat=n={count}[v]"
    _encode(out, inputs, ";".join([*graphs, joined]), seconds, music=True)


def _game(out: Path, work: Path, _real: Path | None) -> None:
    """A fast flight over a large land at 60 pictures a second, a still frame of figures over it, and flashes."""
    land = scenery(work / "land.pam", 3600, 2000, seed=9)
    flight = "crop=1920:1080:x='(iw-ow)/2*(1+sin(1.7*t+sin(t)))':y='(ih-oh)/2*(1+sin(1.1*t))'"
    # The ground's roughness is drawn once, and then flown over with it.
    rough = "perlin=size=1800x1000:octaves=6:persistence=0.8:xscale=60:yscale=60:random_mode=seed:random_seed=3"
    board = ",".join(
        f"drawbox={box}"
        for box in (
            "x=40:y=930:w=420:h=110:color=black@0.6:t=fill",
            "x=60:y=990:w=380:h=20:color=0x40c040:t=fill",
            "x=1640:y=40:w=240:h=240:color=0x203050@0.8:t=fill",
            "x=1640:y=40:w=240:h=240:color=white:t=3",
        )
    )
    blend = "blend=c0_mode=softlight:c1_mode=normal:c2_mode=normal"
    flash = "eq=brightness=0.35:enable='lt(mod(t,4.3),0.1)'"
    ground = f"[0:v]format=yuv420p[a];{rough},scale=3600:2000,format=yuv420p,trim=end_frame=1[t];[a][t]{blend}"
    graph = f"{ground},{_still(60, 20)},{flight},{flash},{board}[v]"
    _encode(out, ["-i", land], graph, 20, music=True)


def _phone(out: Path, work: Path, real: Path | None) -> None:
    """Held upright by a hand that shakes; real texture where there is some."""
    shake = "crop=1080:1920:x='(iw-ow)/2+18*sin(9*t)+9*sin(23*t+1)+40*sin(t)':y='(ih-oh)/2+14*sin(11*t+2)+7*sin(29*t)'"
    if real is not None and (real / PHONE).is_file():
        source: list[str | Path] = ["-stream_loop", "1", "-t", "15", "-i", real / PHONE]
        begin = "scale=-2:2080:flags=lanczos"
    else:
        source = ["-i", scenery(work / "land.pam", 1400, 2080, seed=5)]
        begin = f"format=yuv420p,gblur=0.7,{_still(30, 15)}"
    _encode(out, source, f"[0:v]{begin},{shake},setsar=1,{GRAIN},format=yuv420p[v]", 15, music=False)


def _slides(out: Path, work: Path, _real: Path | None) -> None:
    """Six still pictures, ten seconds each, over which a pointer wanders now and then."""
    inputs: list[str | Path] = []
    for at in range(6):
        inputs += ["-i", scenery(work / f"{at}.pam", 1920, 1080, seed=20 + at)]
    pointer = "[p]overlay=x='300+900*abs(sin(t/7))*between(mod(t,10),3,6)':y='200+500*abs(sin(t/5))':shortest=1"
    held = ";".join(f"[{at}:v]format=yuv420p,{_still(30, 10)}[h{at}]" for at in range(6))
    joined = "".join(f"[h{at}]" for at in range(6))
    graph = f"{held};{joined}concat=n=6[s];color=white:size=18x26:rate=30[p];[s]{pointer}[v]"
    _encode(out, inputs, graph, 60, music=False)


def _tiny(out: Path, work: Path, real: Path | None) -> None:
    """Two seconds: tables and key frames weigh most."""
    if real is None:
        _scenes(out, work, seconds=2, each=2, fps=30, size=(1920, 1080), after=GRAIN)
    else:
        _encode(out, ["-ss", "11", "-t", "2", "-i", real / BUNNY], "[0:v:0]format=yuv420p[v]", 2, music=True)


def _night(out: Path, work: Path, _real: Path | None) -> None:
    """Dark, with the strong grain of a small sensor, and lights that pass."""
    land = scenery(work / "land.pam", 1600, 900, seed=12)
    dark = "crop=1280:720:x='(iw-ow)/2+60*sin(t/2)':y='(ih-oh)/2+20*sin(t)',eq=brightness=-0.28:contrast=0.45:saturation=0.5"
    lamps = "color=0xffe0a0:size=26x16:rate=30[p];color=0xffc0c0:size=30x18:rate=30[q]"
    coming = "[p]overlay=x='mod(170*t,1280)':y=470:shortest=1"
    going = "[q]overlay=x='1280-mod(240*t,1280)':y=520:shortest=1"
    grain = "noise=alls=7:allf=t:all_seed=4,gblur=0.6"
    graph = f"{lamps};[0:v]format=yuv420p,{_still(30, 15)},{dark}[d];[d]{coming}[e];[e]{going},{grain}[v]"
    _encode(out, ["-i", land], graph, 15, music=False)


MAKERS: Mapping[str, Callable[[Path, Path, Path | None], None]] = {
    "anim_720p.mp4": _animation,
    "code_1080p.mp4": _code,
    "film_720p.mp4": _film,
    "trailer_720p.mp4": _trailer,
    "game_1080p60.mp4": _game,
    "phone_portrait.mp4": _phone,
    "slides_1080p.mp4": _slides,
    "tiny_2s.mp4": _tiny,
    "night_720p.mp4": _night,
}


def _still(fps: int, seconds: int) -> str:
    """One picture held: read and decoded once, where `-loop 1` would do it for every frame."""
    return f"loop=loop=-1:size=1,setpts=N/{fps}/TB,settb=1/{fps * 1000},fps={fps},trim=duration={seconds},setsar=1"


def _encode(out: Path, inputs: Sequence[str | Path], graph: str, seconds: int, *, music: bool) -> None:
    """At high quality, with chords or the murmur of a room beside it."""
    low = "0.2*sin(440*PI*t*(1+0.25*mod(floor(t),4)))*exp(-2*mod(t,1))"
    high = "0.2*sin(660*PI*t*(1+0.2*mod(floor(t),3)))*exp(-3*mod(t,0.5))"
    chords = f"aevalsrc='{low}|{high}':s=48000"
    noise = "anoisesrc=color=pink:amplitude=0.08:seed=1:sample_rate=48000"
    murmur = f"{noise},tremolo=f=0.7:d=0.6,aformat=channel_layouts=stereo"
    sound = f"{chords if music else murmur},atrim=duration={seconds}[a]"
    picture = ["-map", "[v]", "-c:v", "libx264", "-preset", "veryfast", "-crf", "14", "-pix_fmt", "yuv420p"]
    heard = ["-map", "[a]", "-c:a", "aac", "-b:a", "160k", "-t", str(seconds), "-movflags", "+faststart", "-f", "mp4"]
    argv = [ffmpeg(), "-v", "error", "-nostdin", "-y", *inputs, "-filter_complex", f"{graph};{sound}", *picture, *heard, out]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise CannotMakeError(f"ffmpeg cannot make it ({done.stderr.strip()[-300:]})")
