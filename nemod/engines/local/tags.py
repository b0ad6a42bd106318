"""What a file says of itself beside picture and sound, as it is said to ffmpeg. Pure."""

from nemod.media import chapters
from nemod.media.info import MediaInfo

#: Bytes around a text in an MP4's index.
_TAG_BYTES = 24


def metadata(media: MediaInfo, *, keep_location: bool) -> list[str]:
    """Only what is wanted: title, when it was made, the sound's language, room for chapters, and the place if asked for."""
    argv = ["-map_metadata", "-1", "-map_chapters", "-1"]
    if media.title:
        argv += ["-metadata", f"title={media.title}"]
    if media.creation_time:
        argv += ["-metadata", f"creation_time={media.creation_time}"]
    if keep_location and media.location:
        argv += ["-metadata", f"location={media.location}"]
    if media.chapter_marks:
        argv += ["-metadata", f"{chapters.SPACE_TAG}={chapters.space(media.chapter_marks)}"]
    audio = media.main_audio
    if audio is not None and audio.language and audio.language != "und":
        argv += ["-metadata:s:a:0", f"language={audio.language}"]
    return argv


def bytes_of(media: MediaInfo) -> int:
    """How many bytes of the file all that takes, at most; the time and the language have their place in any case."""
    texts = [text for text in (media.title, media.location) if text]
    return sum(_TAG_BYTES + len(text.encode()) for text in texts) + len(chapters.box(media.chapter_marks))
