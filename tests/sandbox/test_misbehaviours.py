"""Every misbehaviour does what it says; a table that must name them all."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from nemod.media.info import MediaInfo
from nemod.media.probe import probe
from nemod.sandbox.faults import CATALOGUE, parse
from tests.sandbox.caller import NEVER_S, Caller, new_id, said, words
from tests.support.daemon import eventually

Check = Callable[[Caller, Path], None]
STATE = "/api/state/nemo_agent/me/{}/latest"
CREDITS = "/api/credits/balance/simple"
#: Misbehaviours as they are switched on → what then is to be seen. Filled by `shows`.
CHECKS: dict[str, Check] = {}


def shows(*switches: str) -> Callable[[Check], Check]:
    """Name what a check needs switched on."""

    def keep(check: Check) -> Check:
        CHECKS.update(dict.fromkeys(switches, check))
        return check

    return keep


def test_a_misbehaviour_with_a_count_ends(caller: Caller) -> None:
    """The second time all is well."""
    caller.ready().cloud.misbehave("silent-edit@1")
    assert [bool(words(caller.ask())) for _ in range(2)] == [False, True]


def test_all_of_them_are_in_the_table() -> None:
    """Those of streams' forms are shown elsewhere."""
    assert {parse(switch).name for switch in CHECKS} == set(CATALOGUE) - {"dialect", "heartbeats"}


def media(path: Path) -> MediaInfo:
    return asyncio.run(probe(path, timeout_s=60))


def rendered(caller: Caller, folder: Path) -> MediaInfo:
    caller.ready().ask()
    return media(caller.file(folder / "out.mp4"))


def url_of(caller: Caller) -> str:
    """Where the file of a finished render is said to be."""
    caller.ready().ask()
    url: str = caller.rendered()["outputUrl"]
    return url


@contextmanager
def nothing_comes(*reasons: type[httpx.TransportError]) -> Iterator[None]:
    with pytest.raises(reasons):
        yield


# -- what the agent does and says


@shows("silent-edit")
def silent_edit(caller: Caller, _: Path) -> None:
    reply = caller.ready().ask()
    assert words(reply) == ""
    assert any("functionResponse" in part for event in said(reply) for part in event["content"]["parts"])
    assert caller.draft()


@shows("silent-nothing")
def silent_nothing(caller: Caller, _: Path) -> None:
    caller.ready()
    before = caller.credits()[0]
    assert words(caller.ask()) == ""
    assert caller.draft() == {}
    assert caller.credits()[0] == before - 50


@shows("no-content")
def no_content(caller: Caller, _: Path) -> None:
    last = said(caller.ready().ask())[-1]
    assert last["errorCode"] == "MODEL_RETURNED_NO_CONTENT"
    assert "content" not in last
    assert caller.draft()


@shows("temporary-issue")
def temporary_issue(caller: Caller, _: Path) -> None:
    assert words(caller.ready().ask()).endswith("temporary issue. Please try again later.")
    assert caller.draft()


@shows("refuse-words")
def refuse_words(caller: Caller, _: Path) -> None:
    reply = caller.ready().ask()
    assert "I can't help" in words(reply)
    assert "functionCall" not in reply.text
    assert caller.draft() == {}


@shows("question")
def question(caller: Caller, _: Path) -> None:
    assert "?" in words(caller.ready().ask("compress it under 0.05 MB"))
    assert caller.draft() == {}
    assert "Done" in words(caller.ask("size first"))
    assert caller.draft()["out"]["bytes"] == 50_000


@shows("question:tool")
def question_tool(caller: Caller, _: Path) -> None:
    parts = [part for event in said(caller.ready().ask()) for part in event["content"]["parts"]]
    (call,) = [part["functionCall"] for part in parts if "functionCall" in part]
    assert call["name"] == "ask_question"
    assert call["args"]["questions"][0]["options"] == ["quality", "size"]


@shows("question-always")
def question_always(caller: Caller, _: Path) -> None:
    caller.ready()
    assert all("?" in words(caller.ask()) for _ in range(3))
    assert caller.draft() == {}


@shows("gui-wording", "gui-wording:zh")
def gui_wording(caller: Caller, _: Path) -> None:
    text = words(caller.ready().ask())
    assert "Export button" in text or "导出" in text
    assert caller.draft()


@shows("gui-only", "gui-only:zh")
def gui_only(caller: Caller, _: Path) -> None:
    text = words(caller.ready().ask())
    assert text.startswith(("Click", "请点击"))
    assert caller.draft() == {}
    caller.ask()
    assert caller.draft()


@shows("unasked-music")
def unasked_music(caller: Caller, _: Path) -> None:
    caller.ready().ask()
    assert caller.kinds() == [0, 1]
    caller.ask("remove the music")
    assert caller.kinds() == [0]


@shows("unasked-title")
def unasked_title(caller: Caller, folder: Path) -> None:
    assert rendered(caller, folder).video is not None
    assert caller.kinds() == [0, 7]
    caller.ask("take the title away, and stay under 0.1 MB")
    assert caller.kinds() == [0]


@shows("keeps-music")
def keeps_music(caller: Caller, folder: Path) -> None:
    assert rendered(caller, folder).audio
    caller.ask("remove the music")
    assert caller.kinds() == [0, 1]


@shows("own-sound")
def own_sound(caller: Caller, folder: Path) -> None:
    assert len(rendered(caller, folder).audio) == 1
    assert caller.kinds() == [0, 1]
    assert caller.draft()["t"][1]["sg"][0]["m"]["name"] == "holiday.mp4"


@shows("overshoot:1.5")
def overshoot(caller: Caller, folder: Path) -> None:
    media_of = rendered(caller, folder)
    assert 149_000 < media_of.size_bytes < 160_000
    caller.ask("It is 0.15 MB, it must be under 0.1 MB")
    assert caller.file(folder / "again.mp4").stat().st_size <= 100_000


@shows("overshoot-always")
def overshoot_always(caller: Caller, folder: Path) -> None:
    caller.ready()
    for _ in range(2):
        caller.ask()
        assert caller.file(folder / "out.mp4").stat().st_size > 129_000


# -- what becomes of a stream


@shows("drop", "drop:1")
def drop(caller: Caller, _: Path) -> None:
    caller.ready()
    with nothing_comes(httpx.RemoteProtocolError):
        caller.ask()
    eventually(caller.draft)
    assert len(caller.events("charged")) == 1


@shows("drop-cancel")
def drop_cancel(caller: Caller, _: Path) -> None:
    caller.ready()
    before = caller.credits()[0]
    with nothing_comes(httpx.RemoteProtocolError):
        caller.ask()
    eventually(lambda: caller.events("cancelled"))
    assert caller.credits() == (before - 50, 0)
    assert caller.draft() == {}


@shows("drop-unsent")
def drop_unsent(caller: Caller, _: Path) -> None:
    caller.ready()
    with nothing_comes(httpx.RemoteProtocolError, httpx.ReadError):  # as the kernel closes it
        caller.ask()
    assert caller.events("charged") == []


@shows("cancel-on-hangup")
def cancel_on_hangup(caller: Caller, _: Path) -> None:
    caller.ready().cloud.misbehave("slow-edit:3600@1")
    with caller.asking() as reply:
        next(reply.iter_raw())
    eventually(lambda: caller.events("cancelled"))
    assert caller.draft() == {}


@shows("slow-edit:3600@1")
def slow_edit(caller: Caller, _: Path) -> None:
    with caller.ready().asking() as reply:
        next(reply.iter_raw())
        assert caller.ask().status_code == 409
        assert caller.draft() == {}


@shows("heartbeat-only", "heartbeat-only:edit")
def heartbeat_only(caller: Caller, _: Path) -> None:
    with caller.ready().asking() as reply:
        lines = reply.iter_lines()
        assert [next(lines) for _ in range(6)] == ['data: {"type": "heartbeat"}', ""] * 3
        edited = bool(caller.draft())
    assert edited is bool(caller.events("edited"))
    assert len(caller.events("charged")) == 1


@shows("stall", "stall:state")
def stall(caller: Caller, _: Path) -> None:
    caller.ready()
    at_state = "state" in str(caller.cloud.call("GET", "/sandbox/misbehave"))
    with nothing_comes(httpx.ReadTimeout):
        if at_state:
            caller.call("GET", STATE.format(caller.session), timeout=NEVER_S)
        else:
            caller.call("POST", "/run_sse", json=caller.body("under 1 MB"), timeout=NEVER_S)
    assert len(caller.events("charged")) == (0 if at_state else 1)


@shows("error-frame", "error-frame:edit")
def error_frame(caller: Caller, _: Path) -> None:
    last = said(caller.ready().ask())[-1]
    assert last["error"].startswith("RuntimeError: ")
    assert last["error_details"]["error_type"] == "RuntimeError"
    assert bool(caller.draft()) is bool(caller.events("edited"))


@shows("error-frame-broken", "error-frame-broken:edit")
def error_frame_broken(caller: Caller, _: Path) -> None:
    text = caller.ready().ask().text
    frame = text[text.index('data: {"error"') :]
    with pytest.raises(json.JSONDecodeError):
        json.loads(frame.partition("\n")[0].removeprefix("data: "))


@shows("llm-error", "llm-error:edit")
def llm_error(caller: Caller, _: Path) -> None:
    last = said(caller.ready().ask())[-1]
    assert (last["errorCode"], "overloaded" in last["errorMessage"]) == ("RESOURCE_EXHAUSTED", True)


# -- accounts, sessions, uploads, states


@shows("cost-per-session")
def cost_per_session(caller: Caller, _: Path) -> None:
    before = caller.credits()[0]
    caller.ready().ask()
    caller.ask()
    assert caller.credits()[0] == before - 50


@shows("no-credits")
def no_credits(caller: Caller, _: Path) -> None:
    assert caller.ready().ask().json()["code"] == 2001
    assert caller.events("charged") == []


@shows("token-expires:2@1")
def token_expires(caller: Caller, _: Path) -> None:
    first = caller.anonymous("expires").json()["data"]
    caller.token = first["token"]
    codes = [caller.call("GET", CREDITS).json()["code"] for _ in range(4)]
    assert codes == [0, 0, 1001, 1001]
    again = caller.anonymous("expires").json()["data"]
    assert again["user_id"] == first["user_id"]
    assert again["token"] != first["token"]
    caller.token = again["token"]
    assert caller.credits()


@shows("session-lost@1", "session-lost:ask@1")
def session_lost(caller: Caller, _: Path) -> None:
    caller.open()
    if "ask" in str(caller.cloud.call("GET", "/sandbox/misbehave")):
        caller.upload()
    assert caller.ask().json()["code"] == 1002
    assert caller.upload_raw().json()["code"] == 1002
    assert caller.ready().draft() == {}


@shows("session-number")
def session_number(caller: Caller, _: Path) -> None:
    assert isinstance(caller.data("POST", "/api/tasks/me/with-session/nemo_agent", json={})["session_id"], int)
    assert caller.ready().state()["video_infos"]


@shows("bare-ids")
def bare_ids(caller: Caller, _: Path) -> None:
    assert set(caller.anonymous("bare").json()["data"]) == {"token", "credits"}
    assert set(caller.data("POST", "/api/tasks/me/with-session/nemo_agent", json={})) == {"task_id", "session_id"}


@shows("http-statuses")
def http_statuses(caller: Caller, _: Path) -> None:
    caller.ready().cloud.credits(0)
    reply = caller.ask()
    assert (reply.status_code, reply.json()["code"]) == (402, 2001)
    caller.token = "nmv_usr_wrong"  # noqa: S105 - a wrong one
    assert caller.ask().status_code == 401


@shows("render-errors-200")
def render_errors_200(caller: Caller, _: Path) -> None:
    reply = caller.call("GET", "/api/render/proxy/lambda/none")
    assert (reply.status_code, reply.json()) == (200, {"success": False, "error": "Render not found."})


@shows("flat-body", "flat-body:credits")
def flat_body(caller: Caller, _: Path) -> None:
    assert set(caller.call("GET", CREDITS).json()) == {"available", "frozen", "total"}


@shows("upload-lost-reply@1")
def upload_lost_reply(caller: Caller, _: Path) -> None:
    caller.open()
    with nothing_comes(httpx.RemoteProtocolError):
        caller.upload()
    assert len(caller.state()["video_infos"]) == 1


@shows("upload-not-applied", "upload-not-applied:3600")
def upload_not_applied(caller: Caller, _: Path) -> None:
    late = "3600" in str(caller.cloud.call("GET", "/sandbox/misbehave"))
    reply = caller.open().upload()
    assert reply["session_state_applied"] is False
    if late:
        assert caller.state()["video_infos"] == []
    else:
        eventually(lambda: caller.state()["video_infos"])


@shows("draft-on-upload")
def draft_on_upload(caller: Caller, _: Path) -> None:
    assert caller.ready().kinds() == [0]


@shows("draft-absent-before")
def draft_absent_before(caller: Caller, _: Path) -> None:
    assert "draft" not in caller.ready().state()
    caller.ask()
    assert caller.kinds() == [0]


@shows("draft-null-before")
def draft_null_before(caller: Caller, _: Path) -> None:
    assert caller.ready().state()["draft"] is None


@shows("draft-string")
def draft_string(caller: Caller, _: Path) -> None:
    caller.ready().ask()
    text = caller.state()["draft"]
    assert isinstance(text, str)
    assert caller.submit(draft=json.loads(text)).json()["success"]


@shows("state-lag:3600")
def state_lag(caller: Caller, _: Path) -> None:
    caller.ready().ask()
    assert caller.draft() == {}
    assert caller.state()["video_infos"] == []
    caller.cloud.behave()
    assert caller.draft()


# -- renders and downloads


@shows("render-402")
def render_402(caller: Caller, _: Path) -> None:
    caller.ready().ask()
    reply = caller.submit()
    assert (reply.status_code, reply.json()["success"]) == (402, False)


@shows("render-402:anonymous")
def render_402_anonymous(caller: Caller, _: Path) -> None:
    caller.ready().ask()
    assert caller.submit().status_code == 200
    caller.token = caller.anonymous("exports").json()["data"]["token"]
    caller.cloud.credits(1000)
    caller.ready().ask()
    assert caller.submit().status_code == 402


@shows("render-failed@1")
def render_failed(caller: Caller, _: Path) -> None:
    caller.ready().ask()
    done = caller.rendered()
    assert (done["status"], done["error"]) == ("failed", "Lambda function timed out.")
    assert caller.rendered()["status"] == "completed"


@shows("render-slow:3600@1", "render-stuck@1")
def render_slow(caller: Caller, _: Path) -> None:
    number = new_id()
    caller.ready().ask()
    caller.submit(number)
    eventually(lambda: caller.poll(number)["data"]["progress"] == 90)
    assert caller.poll(number)["data"]["status"] == "processing"
    assert caller.rendered()["status"] == "completed"


@shows("render-queued@1")
def render_queued(caller: Caller, _: Path) -> None:
    number = new_id()
    caller.ready().ask()
    caller.submit(number)
    assert caller.poll(number)["data"]["status"] == "pending"
    assert caller.call("POST", f"/api/render/proxy/lambda/{number}/cancel").json()["success"]
    assert caller.ended(number)["error"] == "Cancelled."


@shows("render-id-changed")
def render_id_changed(caller: Caller, _: Path) -> None:
    number = new_id()
    caller.ready().ask()
    other = caller.submit(number).json()["data"]["id"]
    assert other != number
    assert caller.ended(other)["status"] == "completed"
    assert caller.call("GET", f"/api/render/proxy/lambda/{number}").status_code == 404
    assert caller.submit(number).status_code == 409


@shows("render-lost-reply@1")
def render_lost_reply(caller: Caller, _: Path) -> None:
    number = new_id()
    caller.ready().ask()
    with nothing_comes(httpx.RemoteProtocolError):
        caller.submit(number)
    assert caller.ended(number)["status"] == "completed"
    assert caller.submit(number).status_code == 409


@shows(*(f"poll-shape:{kind}" for kind in CATALOGUE["poll-shape"].choices))
def poll_shape(caller: Caller, _: Path) -> None:
    (name,) = caller.cloud.call("GET", "/sandbox/misbehave")["names"]
    caller.cloud.behave()
    caller.ready().ask()
    done = caller.rendered()
    caller.cloud.misbehave(name)
    body = caller.poll(done["id"])
    inner, file = body.get("data", body), body.get("data", body).get("output", {})
    places = {"wrapped": inner.get("outputUrl"), "code": inner.get("outputUrl"), "output-url": body.get("outputUrl")}
    places |= {"flat": file.get("url"), "old": file.get("url"), "nested-old": file.get("url")}
    places |= {"underscore": body.get("output_url"), "url": body.get("url")}
    assert inner["status"] == "completed"
    assert places[name.removeprefix("poll-shape:")] == done["outputUrl"]


@shows("completed-no-url")
def completed_no_url(caller: Caller, _: Path) -> None:
    caller.ready().ask()
    done = caller.rendered()
    assert "outputUrl" not in done
    assert len(caller.call("GET", f"/api/render/proxy/{done['id']}/download").content) > 10_000


@shows("fetch-json")
def fetch_json(caller: Caller, _: Path) -> None:
    caller.ready().ask()
    done = caller.rendered()
    output = caller.call("GET", f"/api/render/proxy/{done['id']}/download").json()["output"]
    assert output["url"] == done["outputUrl"]
    assert output["size"] == len(httpx.get(output["url"]).content)


@shows("wrong-picture")
def wrong_picture(caller: Caller, folder: Path) -> None:
    video = rendered(caller, folder).video
    assert video is not None
    assert video.display_size == (180, 320)


@shows("undershoot-length")
def undershoot_length(caller: Caller, folder: Path) -> None:
    assert rendered(caller, folder).duration_s == pytest.approx(1.2, abs=0.1)


@shows("hevc")
def hevc(caller: Caller, folder: Path) -> None:
    video = rendered(caller, folder).video
    assert video is not None
    assert video.codec == "hevc"


@shows("moov-at-end")
def moov_at_end(caller: Caller, folder: Path) -> None:
    assert not rendered(caller, folder).faststart


@shows("url-404")
def url_404(caller: Caller, _: Path) -> None:
    assert httpx.get(url_of(caller)).status_code == 404


@shows("url-private")
def url_private(caller: Caller, _: Path) -> None:
    assert url_of(caller).startswith("http://169.254.169.254/")


@shows("url-file")
def url_file(caller: Caller, _: Path) -> None:
    assert url_of(caller) == "file:///etc/passwd"


@shows("url-redirect")
def url_redirect(caller: Caller, _: Path) -> None:
    reply = httpx.get(url_of(caller), follow_redirects=True)
    assert [hop.status_code for hop in reply.history] == [302]
    assert len(reply.content) > 10_000


@shows("url-redirect-private")
def url_redirect_private(caller: Caller, _: Path) -> None:
    assert httpx.get(url_of(caller)).headers["location"].startswith("http://169.254.169.254/")


@shows("url-redirect-loop")
def url_redirect_loop(caller: Caller, _: Path) -> None:
    with pytest.raises(httpx.TooManyRedirects):
        httpx.get(url_of(caller), follow_redirects=True)


@shows("cut-download")
def cut_download(caller: Caller, _: Path) -> None:
    url = url_of(caller)
    with nothing_comes(httpx.RemoteProtocolError):
        httpx.get(url)


@shows("short-length@1")
def short_length(caller: Caller, _: Path) -> None:
    url = url_of(caller)
    assert len(httpx.get(url).content) == len(httpx.get(url).content) // 2


@shows("html-download")
def html_download(caller: Caller, _: Path) -> None:
    reply = httpx.get(url_of(caller))
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")


# -- replies of any endpoint


@shows("code:2001:credits")
def code(caller: Caller, _: Path) -> None:
    reply = caller.call("GET", CREDITS)
    assert (reply.status_code, reply.json()["code"]) == (200, 2001)
    assert caller.open().session


@shows("http:503:credits")
def http_status(caller: Caller, _: Path) -> None:
    assert caller.call("GET", CREDITS).status_code == 503


@shows("detail:422:credits")
def detail(caller: Caller, _: Path) -> None:
    reply = caller.call("GET", CREDITS)
    assert (reply.status_code, list(reply.json())) == (422, ["detail"])


@shows("throttle:credits", "throttle:7:credits")
def throttle(caller: Caller, _: Path) -> None:
    (name,) = caller.cloud.call("GET", "/sandbox/misbehave")["names"]
    reply = caller.call("GET", CREDITS)
    assert (reply.status_code, reply.headers.get("retry-after")) == (429, "7" if ":7:" in name else None)


@shows("html-error:ask")
def html_error(caller: Caller, _: Path) -> None:
    reply = caller.ready().ask()
    assert (reply.status_code, reply.text[:9]) == (502, "<!doctype")
    assert caller.events("charged") == []


@shows("reset:state@1")
def reset(caller: Caller, _: Path) -> None:
    caller.open()
    with nothing_comes(httpx.ReadError):
        caller.state()
    assert caller.state()["video_infos"] == []


@shows("close:upload@1")
def close(caller: Caller, _: Path) -> None:
    caller.open()
    with pytest.raises((httpx.RemoteProtocolError, httpx.WriteError, httpx.ReadError)):
        caller.upload()
    assert caller.state()["video_infos"] == []


@shows("garbage:credits", "empty-body:credits")
def garbage(caller: Caller, _: Path) -> None:
    reply = caller.call("GET", CREDITS)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        reply.json()


@shows("lost-reply:session@1")
def lost_reply(caller: Caller, _: Path) -> None:
    before = len(caller.cloud.journal("opened"))
    with nothing_comes(httpx.RemoteProtocolError):
        caller.open()
    assert len(caller.cloud.journal("opened")) == before + 1


@shows("late-reply:3600:session@1")
def late_reply(caller: Caller, _: Path) -> None:
    before = len(caller.cloud.journal("opened"))
    with nothing_comes(httpx.ReadTimeout):
        caller.call("POST", "/api/tasks/me/with-session/nemo_agent", json={}, timeout=NEVER_S)
    assert len(caller.cloud.journal("opened")) == before + 1


@shows("slow:1000:state")
def slow(caller: Caller, _: Path) -> None:
    caller.ready()
    headers = {"Authorization": f"Bearer {caller.cloud.token}"}
    with httpx.stream("GET", caller.cloud.url + STATE.format(caller.session), headers=headers, timeout=60) as reply:
        assert len(list(reply.iter_raw())) > 1


@pytest.mark.parametrize("switch", CHECKS)
def test_a_misbehaviour_does_what_it_says(caller: Caller, tmp_path: Path, switch: str) -> None:
    """Switched on, it shows as its check expects."""
    caller.cloud.misbehave(switch)
    CHECKS[switch](caller, tmp_path)
