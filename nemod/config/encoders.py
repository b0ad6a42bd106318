"""Which encoder makes a picture, as it is written in a config: `software`, `auto-hw`, or a kind of hardware by name."""

from typing import Final

from nemod.config.model import Codec, Encoder
from nemod.config.problem import did_you_mean
from nemod.config.units import UnitError, shown

#: The kinds of hardware, in the order in which `auto-hw` asks for them.
KINDS: Final = (Encoder.NVENC, Encoder.QSV, Encoder.VAAPI, Encoder.VIDEOTOOLBOX, Encoder.AMF)
#: ffmpeg's names for the codecs' own encoders, which are what nemod uses anyway.
SOFTWARE: Final = {"libx264": Codec.H264, "libx265": Codec.HEVC, "libsvtav1": Codec.AV1}


def name_of(kind: Encoder, codec: Codec) -> str:
    """What ffmpeg calls the encoder of a kind of hardware for a codec: `h264_nvenc`."""
    return f"{codec.value}_{kind.value}"


def parse_encoder(value: object, codec: Codec | None = None) -> Encoder:
    """A kind of encoder: `vaapi`, or ffmpeg's whole name, which says the codec as well.

    Args:
        value: what was written.
        codec: what its preset makes; None: whatever a preset makes.

    Raises:
        UnitError: there is none of that name, or it makes another codec.
    """
    names = {name_of(kind, c): (kind, c) for kind in KINDS for c in Codec}
    names |= {name: (Encoder.SOFTWARE, c) for name, c in SOFTWARE.items()}
    words = [word.value for word in Encoder]
    if value in words:
        return Encoder(value)
    if not isinstance(value, str) or value not in names:
        known = ", ".join(f'"{word}"' for word in words)
        close = did_you_mean(value, [*words, *names], otherwise="") if isinstance(value, str) else ""
        raise UnitError(f'expected one of {known}, or an encoder of theirs such as "h264_nvenc", found {shown(value)}', close)
    kind, makes = names[value]
    if codec is not None and makes is not codec:
        hint = f'write "{kind.value}", or codec = "{makes.value}" in the preset'
        raise UnitError(f"{shown(value)} makes {makes.value}, and the preset wants {codec.value}", hint)
    return kind
