"""How outputs are named: a template with a few fields in braces. Pure.

Rules kept here:
- a template is checked when the config is read, so that filling it can never fail;
- it names files, not folders, and not their extension: sub-folders are the source's, the extension is the container's.
"""

from collections.abc import Mapping
from string import Formatter

from nemod.config.problem import did_you_mean
from nemod.config.units import UnitError, shown

#: What a template may speak of, and what each stands for.
FIELDS: Mapping[str, str] = {
    "stem": "the source's name without its extension",
    "preset": "the preset's name",
    "date": "the day the file was dropped, as 2026-11-21",
    "height": "the shorter side of the output's picture, as 720",
    "limit": "the limit, as 10MB",
}
PLAIN = "{stem}"
_HINT = f"write it like \"{{stem}} {{limit}}\", with {', '.join(f'{{{field}}}' for field in FIELDS)}; '{{{{' is a brace"


def parse_template(value: object) -> str:
    """A template for the names of outputs; raises UnitError for anything that cannot name a file."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise UnitError(f"{shown(value)} is not a name", _HINT)
    if "/" in value:
        raise UnitError(
            f"{shown(value)} names a folder", "outputs lie in the outbox, in the sub-folders that their sources had"
        )
    if value.lower().endswith(".mp4"):
        raise UnitError(f"{shown(value)} ends in .mp4", "leave it out; every output gets it")
    try:
        fields = [(field, spec, conversion) for _, field, spec, conversion in Formatter().parse(value) if field is not None]
    except ValueError as error:
        raise UnitError(f"{shown(value)} has a brace that stands alone", _HINT) from error
    for field, spec, conversion in fields:
        if field not in FIELDS:
            raise UnitError(f'there is no "{{{field}}}" for a name', did_you_mean(field, FIELDS, otherwise=_HINT))
        if spec or conversion:
            raise UnitError(f'"{{{field}}}" takes no format', _HINT)
    return value


def literal(text: str) -> str:
    """The template that means just this text."""
    return text.replace("{", "{{").replace("}", "}}")


def fill(template: str, facts: Mapping[str, str]) -> str:
    """The name that a template means; `facts` holds every one of `FIELDS`."""
    return template.format_map(facts)
