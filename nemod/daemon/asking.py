"""A person's further wish for a job that was made in the cloud: a job of its own that goes on in the same session.

Rules kept here:
- nothing is asked of the cloud here, and nothing paid: that is the new job's business, on the scheduler's way;
- a refusal is a whole sentence.
"""

from collections.abc import Mapping

from nemod.config.model import EnginePolicy, Folder
from nemod.engines.base import Token
from nemod.job import ENDED, Job, JobState
from nemod.ledger.ledger import Ledger

#: Nothing is under way in a job's session in these states, or nothing goes on by itself.
ASKABLE = ENDED | {JobState.PARKED}


def session_token(ledger: Ledger, job: Job) -> Token | None:
    """What tells of the cloud session that a job was made in: its own, else the one that it should have gone on in."""
    own = ledger.own_token(job.id)
    return ledger.session_token(job.id) if own is None and job.asked else own


def no_session(ledger: Ledger, job: Job, folders: Mapping[str, Folder]) -> str:
    """Why nothing can be asked about a job in the cloud, or "".

    Args:
        ledger: the ledger.
        job: which one.
        folders: as the config has them now: one that was made local since keeps its jobs here.
    """
    folder = folders.get(job.folder.name, job.folder)
    if folder.engine is EnginePolicy.LOCAL:
        return f'The folder "{folder.name}" is worked on by this machine alone; nothing of job {job.id} goes to the cloud.'
    if session_token(ledger, job) is not None:
        return ""
    if job.state is JobState.DONE:
        return f"Job {job.id} was made on this machine; there is no cloud session to go on in."
    return f"Job {job.id} has not come to the cloud; there is no session to go on in."


def under_way(job: Job) -> str:
    """Why nothing can be done in a job's session now, or ""."""
    return "" if job.state in ASKABLE else f"Job {job.id} is {job.state}; ask again when it has ended."
