"""What there is to be said of ffmpeg: its encoders, its filters, and the hardware that it finds."""

from nemod.config.encoders import KINDS
from nemod.config.model import Codec, Config, Encoder
from nemod.engines.local import tools
from nemod.engines.local.codecs import CODERS
from nemod.engines.local.hardware import Driver, find
from nemod.failure import Failure
from nemod.host.finding import Finding


async def encoders(config: Config | None) -> tuple[Finding, ...]:
    """What the ffmpeg of a config can do, and which hardware encodes."""
    named = None if config is None else config.settings.ffmpeg
    ffmpeg = tools.find_ffmpeg(named)
    whose = "the one that nemod brings" if named is None else "named in the config"
    found = await tools.inspect(ffmpeg)
    if isinstance(found, Failure):
        return (Finding(what="ffmpeg", found=found.detail, ok=False, todo=found.hint),)
    if found.tone_maps:
        hdr = Finding(what="HDR", found="tone-mapped to ordinary colours")
    else:
        hdr = Finding(
            what="HDR",
            found="this ffmpeg cannot tone-map (it lacks zscale)",
            ok=False,
            todo="leave `ffmpeg` out of the config, or name one that was built with zimg",
        )
    lacking = [codec for codec in Codec if not found.codes(codec)]
    known = {coder.encoder for coder in CODERS.values()} | {"aac", "libfdk_aac"}
    other = "leave `ffmpeg` out of the config, or name one that was built with"
    return (
        Finding(what="ffmpeg", found=f"{found.version} at {ffmpeg}, {whose}"),
        Finding(
            what="encoders",
            found=", ".join(sorted(found.encoders & known)),
            # Nobody needs the newer codecs but presets that ask for them.
            todo=f'for codec = "{lacking[0]}", {other} {CODERS[lacking[0]].encoder}' if lacking else "",
        ),
        hdr,
        Finding(
            what="measuring",
            found="VMAF by libvmaf" if found.scores else "this ffmpeg cannot score pictures (it lacks libvmaf)",
            todo="" if found.scores else f"{other} libvmaf: picture sizes are chosen by a rule until then",
        ),
        await _hardware(found, config),
    )


async def _hardware(found: tools.Tools, config: Config | None) -> Finding:
    """Which hardware encodes; a fault only where a folder asks for one that does not."""
    tried = {kind: await find(found.ffmpeg, found.encoders, kind, Codec.H264) for kind in KINDS}
    works = [driver.name for driver in tried.values() if isinstance(driver, Driver)]
    wanted = {f.preset.encoder for f in config.folders} - {Encoder.SOFTWARE} if config is not None else set[Encoder]()
    lacking = sorted(w for w in wanted if not (works if w is Encoder.AUTO_HW else isinstance(tried[w], Driver)))
    if not lacking:
        return Finding(
            what="hardware", found=f"{', '.join(works) + '; used where a config asks for it' if works else 'none that encodes'}"
        )
    why = [said for kind, said in tried.items() if isinstance(said, str) and (kind in lacking or Encoder.AUTO_HW in lacking)]
    return Finding(
        what="hardware",
        found=f"{', '.join(lacking)} is asked for; {'; '.join(why)}",
        ok=False,
        todo="install its driver, and let the user that runs nemod use it (sudo usermod -aG render,video USER); or set"
        ' encoder = "software", which does the work meanwhile',
    )
