"""The API of the page: what it answers, and whom it does not (realtime/web/README.md lists the threats)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from avel_live.realtime.core.clock import ManualClock
from avel_live.realtime.core.errors import OutputError, UsageError
from avel_live.realtime.memory import EventRow, Memory
from avel_live.realtime.memory.write import ClipRow
from avel_live.realtime.sinks.web import WebOptions
from avel_live.realtime.web.answers import (
    EventPage,
    EventView,
    Health,
    Names,
    SessionView,
    Statistics,
    StreamView,
)
from avel_live.realtime.web.guard import LARGEST
from avel_live.realtime.web.server import PageSink
from pydantic import TypeAdapter
from support.about import Said, about
from support.media import make_clip
from support.peers import eventually
from support.web import Client, page, remember

NOON_US = 1_794_999_600_000_000
SECRET = "correct horse battery staple"
HASHED = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(SECRET)
"""Cheap: what a test counts is tries, not how long each takes."""
TOKEN = "t0ken-of-the-house"


def bark(number: int, label: str = "Bark", confidence: float = 0.9, at_us: int = NOON_US) -> EventRow:
    return EventRow(
        number, label, at_us + number * 60_000_000, at_us + number * 60_000_000 + 2_000_000, confidence
    )


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_clip(folder / "a.mp4", seconds=8.0, fps=10, size=(160, 90))
    (folder / "a.jpg").write_bytes(b"\xff\xd8 a picture")
    return folder


@pytest.fixture
def memory(tmp_path: Path, clips: Path) -> Memory:
    return three_events(tmp_path / "memory.sqlite", clips)


def three_events(path: Path, clips: Path) -> Memory:
    shown = ClipRow(
        str(clips / "a.mp4"), str(clips / "a.jpg"), NOON_US - 3_000_000, NOON_US + 5_000_000, (0,)
    )
    return remember(path, [bark(0), bark(1, "Bus <17>", 0.6), bark(2, confidence=0.7)], shown)


@pytest.fixture(scope="module")
def standing_page(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Iterator[Client]:
    """For tests that change nothing."""
    memory = three_events(tmp_path_factory.mktemp("memory") / "memory.sqlite", clips)
    with page(memory, (clips,)) as sink:
        yield Client(sink.page.port)


@pytest.fixture
def open_page(memory: Memory, clips: Path) -> Iterator[Client]:
    with page(memory, (clips,)) as sink:
        yield Client(sink.page.port)


@pytest.fixture
def shut_page(memory: Memory, clips: Path) -> Iterator[Client]:
    with page(memory, (clips,), ManualClock(), password=HASHED, token=TOKEN) as sink:
        yield Client(sink.page.port)


# What is answered -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/session", SessionView),
        ("/api/streams", list[StreamView]),
        ("/api/events", EventPage),
        ("/api/events/1", EventView),
        ("/api/names", Names),
        ("/api/statistics?since=2026-11-18&until=2026-11-18", Statistics),
        ("/api/health", Health),
    ],
)
def test_answers_have_the_form_that_the_document_says(standing_page: Client, path: str, kind: Any) -> None:
    answer = standing_page.get(path)
    assert answer.status == 200
    TypeAdapter(kind).validate_json(answer.body)
    document = standing_page.get("/openapi.json").json()
    route = next(r for r in document["paths"] if r.replace("{number}", "1") == path.split("?")[0])
    schema = document["paths"][route]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    name = str(schema.get("items", schema)["$ref"]).rpartition("/")[2]
    first = answer.json()[0] if path == "/api/streams" else answer.json()
    assert set(document["components"]["schemas"][name]["properties"]) == set(first)


def test_events_are_filtered_and_paged(standing_page: Client) -> None:
    def labels(query: str) -> list[str]:
        return [event["label"] for event in standing_page.get(f"/api/events?{query}").json()["events"]]

    assert labels("") == ["Bark", "Bus <17>", "Bark"]
    assert labels("label=Bark&min_confidence=0.8") == ["Bark"]
    assert labels("stream=yard") == []
    assert labels("since=2026-11-18T12:00:30Z") == []
    assert labels("until=2026-11-18T11:00:30Z") == ["Bark"]
    assert labels("clips=true") == ["Bark"]
    first = standing_page.get("/api/events?limit=2").json()
    rest = standing_page.get(f"/api/events?limit=2&before={first['next']}").json()
    assert [len(first["events"]), len(rest["events"]), rest["next"]] == [2, 1, None]
    assert standing_page.get("/api/events/count?label=Bark").json() == 2
    assert standing_page.get("/api/events?since=soon").status == 422
    assert standing_page.get("/api/events?limit=100000").status == 422


def test_a_clip_comes_in_ranges_with_its_labels_and_thumbnail(standing_page: Client, clips: Path) -> None:
    (event,) = standing_page.get("/api/events?clips=true").json()["events"]
    assert (event["clip_offset_s"], event["thumbnail"]) == (3.0, True)
    whole = (clips / "a.mp4").read_bytes()
    where = f"/api/events/{event['id']}"
    assert standing_page.get(f"{where}/clip.mp4").body == whole
    part = standing_page.get(f"{where}/clip.mp4", range="bytes=100-199")
    assert (part.status, part.body) == (206, whole[100:200])
    assert standing_page.get(f"{where}/thumbnail.jpg").body == b"\xff\xd8 a picture"
    track = standing_page.get(f"{where}/labels.vtt").body.decode()
    assert "00:00:03.000 --> 00:00:05.000\nBark (90%)" in track


def test_a_mark_is_kept_and_taken_back(open_page: Client, memory: Memory) -> None:
    client = open_page.browser()
    assert client("PUT", "/api/events/2/mark", {"verdict": "other", "label": "Chainsaw"}).status == 200
    kept = memory.event(2)
    assert kept is not None
    assert (kept.verdict, kept.is_label) == ("other", "Chainsaw")
    assert client("PUT", "/api/events/2/mark", {"verdict": "right"}).json()["mark"] == "right"
    assert client("DELETE", "/api/events/2/mark").json()["mark"] is None
    for wrong in ({"verdict": "maybe"}, {"verdict": "other"}, {"verdict": "right", "label": "Bus"}, [], "x"):
        assert client("PUT", "/api/events/2/mark", wrong).status == 422, wrong
    assert client("PUT", "/api/events/99/mark", {"verdict": "right"}).status == 404


def test_live_records_and_pictures_come_while_somebody_looks(memory: Memory) -> None:
    import http.client

    from support.stream import make_stream

    with page(memory) as sink:
        connection = http.client.HTTPConnection("127.0.0.1", sink.page.port, timeout=20)
        connection.request("GET", "/api/live")
        response = connection.getresponse()
        assert response.readline() == b"retry: 1000\n"
        _, hops, _ = make_stream(14)
        sink.hop(hops[12])
        line = b""
        while not line.startswith(b'data: {"type"'):
            line = response.readline()
        record = json.loads(line[6:])
        assert (record["type"], record["stream"], record["hop"]) == ("hop", "door", 12)
        bell = sink._bell
        assert bell.heard
        response.close()
        connection.close()
        eventually(lambda: not bell.heard, "nobody looks any more")

        client = Client(sink.page.port)
        picture = client.get("/api/streams/door/snapshot.jpg")
        assert picture.headers["content-type"] == "image/jpeg"
        assert picture.body.startswith(b"\xff\xd8")
        assert client.get("/api/streams/yard/snapshot.jpg").status == 404


def test_the_page_of_one_stream_adds_none(standing_page: Client) -> None:
    refused = standing_page.browser()("POST", "/api/streams", {"name": "yard", "url": "rtsp://yard"})
    assert (refused.status, "avel serve" in refused.json()["detail"]) == (409, True)


def test_without_a_memory_it_says_so() -> None:
    with page() as sink:
        client = Client(sink.page.port)
        assert client.get("/api/events").json() == {"events": [], "next": None}
        assert client.get("/api/health").json()["remembering"] is False
        assert "--memory" in client.get("/api/events/1").json()["detail"]


def test_a_reload_turns_nobody_away(memory: Memory) -> None:
    import threading
    from dataclasses import replace

    from avel_live.realtime.sinks.base import Predecessor

    with page(memory) as old:
        port = old.page.port
        now = replace(about(Said(), name="door"), replaces=Predecessor(old, threading.Event()))
        # Port 0 is not the one that was got: as configured, both say the same number.
        old.page.address = ("127.0.0.1", port)
        new = PageSink(WebOptions(listen=str(port)), now, memory, ())
        try:
            client = Client(port)
            closing = threading.Thread(target=old.close)
            closing.start()
            while closing.is_alive():
                assert client.get("/api/names").status == 200
            closing.join()
            assert client.get("/api/names").status == 200
        finally:
            new.close()


# Who may not ----------------------------------------------------------------------------------------------


def every_route(client: Client, **headers: str) -> list[tuple[str, str]]:
    document = client.get("/openapi.json", **headers).json()
    return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]


def filled_in(path: str) -> str:
    return path.replace("{number}", "1").replace("{name}", "door")


def test_no_route_answers_without_a_token_or_a_password(shut_page: Client) -> None:
    routes = every_route(shut_page, authorization=f"Bearer {TOKEN}")
    assert len(routes) == 22
    for method, path in routes:
        answer = shut_page(method, filled_in(path), {} if method in ("POST", "PUT", "PATCH") else None)
        if path in ("/api/session", "/api/login"):
            assert answer.status in (200, 422), path
            assert SECRET.encode() not in answer.body
        else:
            assert answer.status == 401, (method, path)
    assert shut_page.get("/openapi.json").status == 401
    assert shut_page.get("/").status == 200, "the page itself says nothing of anybody"


def test_every_route_answers_with_a_token(shut_page: Client) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    for method, path in every_route(shut_page, **headers):
        if path in ("/api/live", "/api/streams/{name}/preview"):
            continue  # they do not end
        body = {} if method in ("POST", "PUT", "PATCH") else None
        answer = shut_page(method, filled_in(path), body, **headers)
        assert answer.status in (200, 404, 409, 422), (method, path, answer.status)


def logged_in(client: Client) -> Client:
    answer = client("POST", "/api/login", {"user": "avel", "password": SECRET})
    assert answer.status == 200, answer.body
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    inside = Client(client.port, cookie=cookie.split(";")[0])
    inside.headers["x-csrf-token"] = answer.json()["csrf"]
    return inside


def test_a_password_opens_a_session_that_ends(shut_page: Client) -> None:
    inside = logged_in(shut_page)
    assert inside.get("/api/streams").status == 200
    assert inside("PUT", "/api/events/1/mark", {"verdict": "right"}).status == 200
    assert inside("POST", "/api/logout").status == 200
    assert inside.get("/api/streams").status == 401


def test_a_session_is_over_after_twelve_hours(memory: Memory) -> None:
    clock = ManualClock()
    with page(memory, (), clock, password=HASHED) as sink:
        inside = logged_in(Client(sink.page.port))
        clock.advance(12 * 3600 - 1)
        assert inside.get("/api/streams").status == 200
        clock.advance(2)
        assert inside.get("/api/streams").status == 401


def test_guessing_is_slowed_down_also_when_it_is_done_all_at_once(memory: Memory) -> None:
    clock = ManualClock()
    with page(memory, (), clock, password=HASHED, token=TOKEN) as sink:
        client = Client(sink.page.port)

        def guess(n: int) -> int:
            return client("POST", "/api/login", {"user": "avel", "password": f"guess {n}"}).status

        with ThreadPoolExecutor(8) as several:
            found = sorted(several.map(guess, range(12)))
        assert (found.count(401), found.count(429)) == (5, 7)
        right = client("POST", "/api/login", {"user": "avel", "password": SECRET})
        assert (right.status, right.headers["retry-after"]) == (429, "60")
        assert client.get("/api/streams", authorization=f"Bearer {TOKEN}").status == 429
        clock.advance(61)
        assert client("POST", "/api/login", {"user": "avel", "password": SECRET}).status == 200
        assert client.get("/api/streams", authorization="Bearer wrong").status == 401


def test_a_page_from_elsewhere_changes_nothing(open_page: Client) -> None:
    client = open_page.browser()
    mark = ("PUT", "/api/events/1/mark", {"verdict": "wrong"})
    token = client.headers.pop("x-csrf-token")
    assert client(*mark).status == 403
    assert client(*mark, x_csrf_token="guessed").status == 403
    assert client(*mark, x_csrf_token=token, origin="http://evil.example").status == 403
    assert client(*mark, x_csrf_token=token, origin="null").status == 403
    other = open_page.browser().headers["x-csrf-token"]
    assert client(*mark, x_csrf_token=other).status == 403, "that of another session"
    assert client(*mark, x_csrf_token=token, origin=f"http://127.0.0.1:{client.port}").status == 200
    # A form of another page can send text, but no JSON.
    plain = {"x_csrf_token": token, "content_type": "text/plain"}
    assert client("PUT", "/api/events/1/mark", b'{"verdict": "wrong"}', **plain).status == 422


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[", "192.168.1.5"])
def test_a_name_bent_to_this_machine_opens_nothing(standing_page: Client, host: str) -> None:
    assert standing_page.get("/api/streams", host=host).status == 403
    assert standing_page.get("/", host=host).status == 403


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:80"])
def test_this_machine_is_called_by_its_names(standing_page: Client, host: str) -> None:
    assert standing_page.get("/api/streams", host=host).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fapp.py", "/%5c..%5capp.py",
        "//etc/passwd", "/static/../app.py", "/app.css/../../app.py",
        "/api/streams/..%2f..%2fetc/snapshot.jpg",
        "/api/events/../../../etc/passwd", "/api/events/1%00/clip.mp4",
    ],
)  # fmt: skip
def test_paths_lead_nowhere_else(standing_page: Client, path: str) -> None:
    answer = standing_page.get(path)
    assert answer.status in (400, 404, 422), path
    assert b"root:" not in answer.body
    assert b"def " not in answer.body


def test_only_clips_of_their_folder_are_sent(tmp_path: Path, clips: Path) -> None:
    (tmp_path / "outside").mkdir()
    outside = tmp_path / "outside" / "secret.mp4"
    outside.write_bytes(b"secret")
    (clips / "link.mp4").symlink_to(outside)
    wrong = [outside, clips / "link.mp4", clips / ".." / "outside" / "secret.mp4", clips / "gone.mp4", clips]
    path = tmp_path / "memory.sqlite"
    try:
        for file in wrong:
            remember(path, [bark(0)], ClipRow(str(file), str(clips / "a.mp4"), 0, 1, (0,)))
        with page(Memory(path), (clips,)) as sink:
            client = Client(sink.page.port)
            for number in range(1, len(wrong) + 1):
                assert client.get(f"/api/events/{number}/clip.mp4").status == 404, wrong[number - 1]
                assert client.get(f"/api/events/{number}/thumbnail.jpg").status == 404, "no picture"
    finally:
        (clips / "link.mp4").unlink()


def test_bodies_and_ranges_are_bounded(open_page: Client) -> None:
    client = open_page.browser()
    large = b'{"verdict": "' + b"x" * LARGEST + b'"}'
    assert client("PUT", "/api/events/1/mark", large).status == 413
    chunked = (large[k : k + 1000] for k in range(0, len(large), 1000))
    try:
        sent = client("PUT", "/api/events/1/mark", chunked, transfer_encoding="chunked")  # type: ignore[arg-type]
        assert sent.status in (400, 413)
    except (ConnectionResetError, BrokenPipeError):
        pass  # refused before all of it was sent: the answer went with the connection
    assert client.get("/api/events/1").json()["mark"] is None, "nothing of it was taken"
    assert client.get("/api/events/1/clip.mp4", range="bytes=0-1,2-3").status == 416
    assert client.get("/api/events/1/clip.mp4", range="bytes=99999999-").status == 416
    assert client.get("/api/events/99999999999999999999").status == 404


def test_headers_forbid_what_the_page_does_not_need(standing_page: Client) -> None:
    for path in ("/", "/app.js", "/api/streams", "/api/nothing", "/api/events/1/clip.mp4"):
        headers = standing_page.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
    page_text = standing_page.get("/").body.decode()
    assert "http://" not in page_text
    assert "https://" not in page_text
    assert standing_page.get("/api/streams").headers["cache-control"] == "no-store"


def test_secrets_are_in_no_answer(shut_page: Client) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    for method, path in every_route(shut_page, **headers):
        if method == "GET" and path not in ("/api/live", "/api/streams/{name}/preview"):
            body = shut_page.get(filled_in(path), **headers).body
            assert TOKEN.encode() not in body
            assert b"argon2" not in body
            assert b"/tmp/" not in body, "no path of this machine"
    assert "password" not in repr(WebOptions(listen="1", password=SECRET))


def test_https_with_a_certificate_of_ones_own(tmp_path: Path, memory: Memory) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=box"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    files = {"cert": tmp_path / "cert.pem", "key": tmp_path / "key.pem"}
    with page(memory, password=SECRET, **files) as sink:
        client = Client(sink.page.port, tls=True)
        answer = client("POST", "/api/login", {"user": "avel", "password": SECRET})
        assert answer.status == 200
        assert "Secure" in answer.headers["set-cookie"]
        assert sink.page.url.startswith("https://")
        with pytest.raises((OSError, ConnectionError)):
            Client(sink.page.port).get("/")
    with (
        pytest.raises(OutputError, match="no certificate and key"),
        page(cert=tmp_path / "key.pem", key=tmp_path / "cert.pem"),
    ):
        pass


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"listen": "0.0.0.0:0"}, "can be reached from other machines; set web.password"),
        ({"listen": "[::]:0"}, "can be reached from other machines"),
        ({"listen": "web"}, "expected a port or HOST:PORT"),
        ({"listen": "70000"}, "expected a port or HOST:PORT"),
        ({"listen": "0", "cert": Path("a")}, "belong together"),
        ({"listen": "0", "password": "$argon2 no hash"}, "begins like an argon2 hash"),
    ],
)
def test_what_can_not_be_safe_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace(".", r"\.").replace("$", r"\$")):
        PageSink(WebOptions(**settings), about(Said(), name="door"), None, ())


def test_a_taken_port_is_one_line(memory: Memory) -> None:
    with page(memory) as sink, pytest.raises(OutputError, match="choose another port") as refused:
        PageSink(WebOptions(listen=str(sink.page.port)), about(Said(), name="door"), None, ())
    assert refused.value.exit_code == 5
