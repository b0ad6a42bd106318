"""Every endpoint on its best behaviour, over real sockets."""

import asyncio
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from nemod.media.info import MediaInfo
from nemod.media.probe import probe
from tests.sandbox.caller import SKILL, Caller, new_id, said, words
from tests.support.cloud import cloud
from tests.support.daemon import eventually


def media(path: Path) -> MediaInfo:
    return asyncio.run(probe(path, timeout_s=60))


def test_the_journey_from_a_session_to_a_file(caller: Caller, tmp_path: Path) -> None:
    """A clip goes up, a message makes it small, a render brings it back: playable, whole, below the size."""
    caller.open()
    (uploaded,) = caller.upload()["files"]
    assert (uploaded["filename"], uploaded["file_type"]) == ("holiday.mp4", "video")
    assert (uploaded["width"], uploaded["height"], uploaded["duration"], uploaded["fps"]) == (320, 180, 2.0, 30.0)
    assert [info["cdn_url"] for info in caller.state()["video_infos"]] == [uploaded["cdn_url"]]
    assert caller.draft() == {}
    assert "compressed" in words(caller.ask("compress this video to under 0.1 MB"))
    result = caller.file(tmp_path / "out.mp4")
    assert 0.7 * 100_000 < result.stat().st_size <= 100_000
    found = media(result)
    assert found.video is not None
    assert (found.video.codec, found.video.display_size, found.audio[0].codec) == ("h264", (320, 180), "aac")
    assert found.duration_s == pytest.approx(2.0, abs=0.1)
    assert found.video.fps == pytest.approx(30.0, abs=0.1)
    assert found.faststart
    assert caller.events("fault") == []


def test_the_session_id_is_a_long_number_in_a_string(caller: Caller) -> None:
    """Nineteen digits are more than a float can hold."""
    reply = caller.data("POST", "/api/tasks/me/with-session/nemo_agent", json={"task_name": "project"})
    assert isinstance(reply["session_id"], str)
    assert len(reply["session_id"]) == 19
    assert reply["user_id"].startswith("user_")


def test_an_anonymous_token_is_given_once_a_week_and_client(caller: Caller) -> None:
    """Without a client id there is none, and a second one is refused."""
    assert httpx.post(caller.cloud.url + "/api/auth/anonymous-token").status_code == 400
    assert caller.anonymous("x" * 65).status_code == 400
    granted = caller.anonymous("client-one").json()["data"]
    assert granted["token"].startswith("nmv_usr_")
    assert granted["user_id"].startswith("anon_")
    assert granted["expires_at"].endswith("Z")
    assert caller.anonymous("client-one").status_code == 429
    caller.token = granted["token"]
    assert caller.credits()[0] == granted["credits"]


def test_an_address_gets_ten_anonymous_tokens(tmp_path: Path, small: Path) -> None:
    """New client ids do not help against that."""
    with cloud(tmp_path) as own:
        caller = Caller(cloud=own, clip=small)
        assert [caller.anonymous(f"client-{n}").status_code for n in range(11)] == [200] * 10 + [429]


def test_a_wrong_token_is_refused_everywhere(caller: Caller) -> None:
    """With 1001 in the body of a 200."""
    caller.ready().token = "nmv_usr_wrong"  # noqa: S105 - a wrong one
    number = caller.session
    replies = [
        caller.call("POST", "/api/tasks/me/with-session/nemo_agent", json={}),
        caller.ask(),
        caller.upload_raw(),
        caller.call("GET", f"/api/state/nemo_agent/me/{number}/latest"),
        caller.call("GET", "/api/credits/balance/simple"),
        caller.submit(draft={}),
        caller.call("GET", "/api/render/proxy/lambda/any"),
        caller.call("GET", "/api/render/proxy/any/download"),
        caller.call("POST", "/api/render/proxy/lambda/any/cancel"),
        caller.call("POST", "/api/auth/claim-token", json={}),
    ]
    assert {(reply.status_code, reply.json()["code"]) for reply in replies} == {(200, 1001)}


def test_a_session_of_another_account_is_not_found(caller: Caller) -> None:
    """1002, as for one that never was."""
    caller.open()
    other = Caller(cloud=caller.cloud, clip=caller.clip, session=caller.session)
    other.token = caller.anonymous("client-two").json()["data"]["token"]
    assert other.ask().json()["code"] == 1002
    other.session = "1"
    assert other.upload_raw().json()["code"] == 1002


def test_several_files_go_up_in_one_body(caller: Caller, tmp_path: Path) -> None:
    """And a message means the one that it names, in whatever letters."""
    odd = tmp_path / "夏天 1.mp4"
    odd.write_bytes(caller.clip.read_bytes())
    caller.open()
    assert [file["filename"] for file in caller.upload(caller.clip, odd)["files"]] == ["holiday.mp4", odd.name]
    caller.ask("compress holiday.mp4 to under 0.1 MB")
    assert caller.draft()["t"][0]["sg"][0]["m"]["name"] == "holiday.mp4"


@pytest.fixture
def website(small: Path) -> Iterator[str]:
    """A server of files on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(small.parent))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_file_goes_up_by_its_url(caller: Caller, website: str) -> None:
    """One that cannot be fetched does not."""
    caller.open()
    path = f"/api/upload-video/nemo_agent/me/{caller.session}"
    body = {"urls": [f"{website}/holiday.mp4"], "source_type": "url"}
    assert caller.data("POST", path, json=body)["files"][0]["duration"] == 2.0
    for url in (f"{website}/gone.mp4", "file:///etc/passwd"):
        assert caller.call("POST", path, json={"urls": [url], "source_type": "url"}).json()["code"] == 400


def test_files_of_the_wrong_kind_or_size_are_refused(caller: Caller, tmp_path: Path) -> None:
    """4001 for the kind, by name or by content, and 4002 for the size."""
    (tmp_path / "notes.txt").write_text("no video")
    (tmp_path / "notes.mp4").write_text("no video either")
    (tmp_path / "huge.mp4").write_bytes(bytes(2_000_001))
    caller.open()
    codes = [caller.upload_raw(tmp_path / name).json()["code"] for name in ("notes.txt", "notes.mp4", "huge.mp4")]
    assert codes == [4001, 4001, 4002]
    assert caller.state()["video_infos"] == []


def test_pictures_and_sounds_are_taken_and_no_video(caller: Caller, tmp_path: Path) -> None:
    """The agent has nothing to compress then, and says so."""
    (tmp_path / "photo.JPG").write_bytes(b"\xff\xd8\xff")
    caller.open()
    assert caller.upload(tmp_path / "photo.JPG")["files"][0]["file_type"] == "image"
    assert "upload one first" in words(caller.ask())
    assert caller.draft() == {}


def test_a_message_costs_credits_until_they_run_out(caller: Caller) -> None:
    """Refused messages cost nothing."""
    caller.ready().cloud.credits(120)
    caller.ask()
    assert caller.credits() == (70, 0)
    caller.ask("and a little smaller, under 0.08 MB")
    assert caller.ask().json()["code"] == 2001
    assert caller.credits() == (20, 0)
    assert [entry["message"] for entry in caller.events("charged")] == [
        "compress this video to under 0.1 MB",
        "and a little smaller, under 0.08 MB",
    ]


def test_credits_are_frozen_while_a_message_is_worked_on(caller: Caller) -> None:
    """The session takes no other meanwhile, and they are gone afterwards although the client has hung up."""
    caller.ready().cloud.credits(100)
    caller.cloud.misbehave("slow-edit:1@1")
    with caller.asking() as reply:
        next(reply.iter_raw())
        assert caller.credits() == (50, 50)
        assert caller.ask().status_code == 409
    eventually(lambda: caller.credits() == (50, 0))
    assert caller.draft()["out"]["bytes"] == 100_000
    assert len(caller.events("charged", "edited")) == 2


def test_a_bad_message_is_refused_before_it_costs(caller: Caller) -> None:
    """Empty parts, no app name, not JSON."""
    caller.ready()
    before = caller.credits()
    bodies: list[Any] = [
        caller.body("  "),
        {**caller.body("hello"), "app_name": ""},
        {**caller.body("hello"), "new_message": {}},
        [],
    ]
    assert {caller.call("POST", "/run_sse", json=body).status_code for body in bodies} == {400}
    assert caller.call("POST", "/run_sse", content=b"{").status_code == 400
    assert caller.credits() == before


def test_a_follow_up_aims_lower(caller: Caller, tmp_path: Path) -> None:
    """The same goal again is met with more room."""
    caller.ready().ask()
    first = caller.draft()["out"]["aim"]
    caller.ask()
    assert caller.draft()["out"]["aim"] < first
    assert caller.file(tmp_path / "out.mp4").stat().st_size <= first


def test_edits_show_in_the_timeline_and_in_the_file(caller: Caller, tmp_path: Path) -> None:
    """Music and a title come when asked for and go when asked away; a length is kept."""
    caller.ready().ask('add music and a title "Summer", only the first 1 seconds, 120p')
    assert caller.kinds() == [0, 1, 7]
    assert caller.draft()["t"][2]["sg"][0]["m"]["text"] == "Summer"
    found = media(caller.file(tmp_path / "out.mp4"))
    assert found.video is not None
    assert found.duration_s == pytest.approx(1.0, abs=0.1)
    assert found.video.short_side == 120
    caller.ask("remove the music and the title")
    assert caller.kinds() == [0]


def test_a_render_needs_the_three_headers(caller: Caller) -> None:
    """402 without any of them."""
    caller.ready().ask()
    for name in SKILL:
        caller.headers = {key: value for key, value in SKILL.items() if key != name}
        assert caller.submit().status_code == 402
    caller.headers = dict(SKILL)
    assert caller.submit().json()["success"]


def test_a_render_id_is_used_once(caller: Caller) -> None:
    """The second is told that it exists already, and the first is what a poll finds."""
    number = new_id()
    caller.ready().ask()
    assert caller.submit(number).json()["data"]["id"] == number
    again = caller.submit(number)
    assert (again.status_code, again.json()["success"]) == (409, False)
    assert "Duplicate" in again.json()["error"]
    assert caller.ended(number)["status"] == "completed"
    assert len(caller.events("submitted")) == 1


def test_a_render_wants_the_draft_verbatim(caller: Caller) -> None:
    """One changed value deep inside is another draft, and none at all is none."""
    caller.ready()
    assert caller.submit(draft={}).status_code == 400
    caller.ask()
    draft = caller.draft()
    draft["t"][0]["sg"][0]["mask"]["feather"] = 0.2
    assert caller.submit(draft=draft).status_code == 400
    assert len(caller.events("fault")) == 2
    assert caller.submit().status_code == 200


def test_the_download_takes_no_credentials(caller: Caller) -> None:
    """Who sends them is refused and remembered; the fallback wants them."""
    caller.ready().ask()
    done = caller.rendered()
    path = httpx.URL(done["outputUrl"]).path
    assert caller.call("GET", path).status_code == 400
    assert caller.cloud.faults()[-1] == "Credentials were sent to the download address."
    plain = httpx.get(done["outputUrl"])
    fallback = f"/api/render/proxy/{done['id']}/download"
    assert caller.call("GET", fallback).content == plain.content
    assert httpx.get(caller.cloud.url + fallback).json()["code"] == 1001
    assert httpx.get(caller.cloud.url + "/render-result/none.mp4").status_code == 404


def test_a_render_that_has_ended_cannot_be_cancelled(caller: Caller) -> None:
    """Nor can one that never was."""
    caller.ready().ask()
    done = caller.rendered()["id"]
    assert caller.call("POST", f"/api/render/proxy/lambda/{done}/cancel").status_code == 400
    assert caller.call("POST", "/api/render/proxy/lambda/none/cancel").status_code == 404


def test_the_old_names_of_the_render_endpoints_answer(caller: Caller) -> None:
    """In their old shape."""
    caller.ready().ask()
    number = new_id()
    body = {"id": number, "sessionId": caller.session, "draft": caller.draft()}
    assert caller.call("POST", "/api/render/proxy/draft", json=body).json()["success"]
    caller.ended(number)
    old = caller.call("GET", f"/api/render/proxy/{number}").json()
    assert (old["taskId"], old["status"], old["output"]["duration"]) == (number, "completed", 2.0)
    assert old["output"]["size"] == len(httpx.get(old["output"]["url"]).content)


def test_a_claim_token_is_given_for_a_session(caller: Caller) -> None:
    """And not for a task that is not its own."""
    caller.open()
    body = {"task_id": caller.task, "session_id": caller.session}
    assert caller.data("POST", "/api/auth/claim-token", json=body)["claim_token"].startswith("clm_")
    assert caller.call("POST", "/api/auth/claim-token", json={**body, "task_id": "x"}).json()["code"] == 1002


def test_tokens_are_made_listed_and_revoked(caller: Caller) -> None:
    """A second token opens the same account until it is revoked."""
    made = caller.data("POST", "/api/tokens", json={"name": "ci", "scopes": ["read"]})
    assert {"id": made["id"]} in caller.data("GET", "/api/tokens")
    second = Caller(cloud=caller.cloud, clip=caller.clip, token=made["token"])
    assert second.credits() == caller.credits()
    caller.data("POST", f"/api/tokens/{made['id']}/revoke")
    assert second.call("GET", "/api/credits/balance/simple").json()["code"] == 1001


def test_the_word_export_in_a_message_is_remembered(caller: Caller) -> None:
    """It is a fault of the client."""
    caller.ready().ask("export the video under 0.1 MB")
    assert [entry["what"] for entry in caller.events("fault")] == ["The word export was sent to the agent."]


def test_the_agent_answers_in_the_language_of_the_session(caller: Caller) -> None:
    """Chinese for Chinese."""
    assert "已完成" in words(caller.ready("zh-CN").ask())


def test_the_journal_tells_who_called_with_what_and_never_the_token(caller: Caller) -> None:
    """Header names and the skill's values are there; neither it nor the log knows the token."""
    caller.ready().ask()
    request = next(entry for entry in caller.cloud.requests("state", "upload") if entry["session"] == caller.session)
    assert request["authorised"] is True
    assert request["skill"] == {"source": "compress-video", "version": "1.0.0", "platform": "unknown"}
    assert {"authorization", "x-skill-source"} <= set(request["headers"])
    assert request["status"] == 200
    journal = str(caller.cloud.journal()) + str(caller.cloud.accounts()) + caller.cloud.said()
    assert caller.cloud.token not in journal
    assert f"{caller.session}  upload  200" in caller.cloud.said()


def test_misbehaviours_are_switched_over_http(caller: Caller) -> None:
    """Listed, added and cleared; a wrong one is refused in words."""
    caller.cloud.misbehave("silent-edit@2", "drop")
    assert caller.cloud.call("GET", "/sandbox/misbehave") == {"names": ["silent-edit@2", "drop"]}
    wrong = httpx.post(caller.cloud.url + "/sandbox/misbehave", json={"names": ["nonsense"]})
    assert wrong.status_code == 400
    assert "nonsense" in wrong.json()["message"]
    caller.cloud.behave()
    assert caller.cloud.call("GET", "/sandbox/misbehave") == {"names": []}
    assert httpx.post(caller.cloud.url + "/sandbox/credits", json={"available": "many"}).status_code == 400


def test_an_event_stream_says_what_it_is(caller: Caller) -> None:
    """By its content type; thoughts, calls and results come before the words."""
    reply = caller.ready().ask()
    assert reply.headers["content-type"].startswith("text/event-stream")
    parts = [event["content"]["parts"][0] for event in said(reply)]
    assert [next(iter(part)) for part in parts] == ["text", "functionCall", "functionResponse", "text"]
    assert parts[0]["thought"] is True
    assert time.time() - said(reply)[0]["timestamp"] < 3600
