"""What a file says of itself beside picture and sound, as it is said to ffmpeg. Pure."""

from nemod.media.info import MediaInfo


def metadata(media: MediaInfo, *, keep_location: bool) -> list[str]:
    """Only what is wanted: when it was made, the sound's language, and the place if the preset says so."""
    argv = ["-map_metadata", "-1", "-map_chapters", "-1"]
    if media.creation_time:
        argv += ["-metadata", f"creation_time={media.creation_time}"]
    if keep_location and media.location:
        argv += ["-metadata", f"location={media.location}"]
    audio = media.main_audio
    if audio is not None and audio.language and audio.language != "und":
        argv += ["-metadata:s:a:0", f"language={audio.language}"]
    return argv
