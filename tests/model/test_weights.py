"""Public weight files: fetched once, checked, resumed, and a clear word where there is no network."""

import hashlib
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from avel_live.model.downloads import PublicFile, check_digest, fetch, watched
from avel_live.model.errors import ModelFileError
from avel_live.model.files import weights_dir
from avel_live.model.profiles import PROFILES

CONTENT = bytes(range(256)) * 4096
SHA = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT with ranges; stops after `budget` bytes once, as a dropped connection does."""

    budget: int | None = None
    ranges: list[str | None]

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        body = CONTENT[start:]
        if self.server.budget is not None:
            body, self.server.budget = body[: self.server.budget], None
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    httpd.ranges, httpd.budget = [], None
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def public(server, digest) -> PublicFile:
    url = f"http://127.0.0.1:{server.server_address[1]}/weights.bin"
    return PublicFile("weights.bin", url, digest, "test weights")


@pytest.mark.parametrize(
    "digest", [f"sha256:{SHA}", f"sha256:{SHA[:8]}", f"md5:{hashlib.md5(CONTENT).hexdigest()}"]
)
def test_fetched_once_and_kept(tmp_path, server, digest):
    item = public(server, digest)
    path = fetch(item, folder=tmp_path / "new")
    assert path.read_bytes() == CONTENT
    assert fetch(item, folder=tmp_path / "new") == path
    assert len(server.ranges) == 1
    assert [p.name for p in path.parent.iterdir()] == ["weights.bin"]


def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path, server):
    item = public(server, f"sha256:{SHA}")
    server.budget = 300_000
    with pytest.raises(ModelFileError, match="run again to go on where it stopped"):
        fetch(item, folder=tmp_path)
    had = (tmp_path / "weights.bin.part").stat().st_size
    assert 200_000 < had <= 300_000
    assert fetch(item, folder=tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={had}-"]


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "sha256:00000000"])
def test_a_wrong_file_is_refused_and_not_kept(tmp_path, server, digest):
    with pytest.raises(ModelFileError, match="not the expected file"):
        fetch(public(server, digest), folder=tmp_path)
    assert not (tmp_path / "weights.bin").exists()


def test_a_wrong_file_lying_there_is_named(tmp_path, server):
    (tmp_path / "weights.bin").write_bytes(b"something else")
    with pytest.raises(ModelFileError, match=r"weights\.bin: expected sha256.*delete the file"):
        fetch(public(server, f"sha256:{SHA}"), folder=tmp_path)
    assert server.ranges == []


def test_offline_says_what_to_put_where(tmp_path, server):
    item = public(server, f"sha256:{SHA}")
    item = replace(item, url="http://127.0.0.1:9/weights.bin")
    with pytest.raises(ModelFileError) as caught:
        fetch(item, folder=tmp_path)
    assert str(tmp_path / "weights.bin") in str(caught.value)
    assert "AVEL_WEIGHTS_DIR" in str(caught.value)
    (tmp_path / "weights.bin").write_bytes(CONTENT)
    assert fetch(item, folder=tmp_path).read_bytes() == CONTENT


def test_the_folder_can_be_set(tmp_path, monkeypatch):
    monkeypatch.setenv("AVEL_WEIGHTS_DIR", str(tmp_path))
    assert weights_dir() == tmp_path
    monkeypatch.delenv("AVEL_WEIGHTS_DIR")
    assert weights_dir().name == "weights"


def test_digests_in_published_names_agree_with_the_register():
    found = {b.weights for p in PROFILES.values() for b in (p.visual, p.audio)}
    found = {weights for weights in found if isinstance(weights, PublicFile)}
    assert len(found) == 4
    for item in found:
        algorithm, _, digits = item.digest.partition(":")
        assert algorithm in ("md5", "sha256")
        if item.file.endswith(".pth"):
            assert digits in item.file


def test_check_digest_reports_what_it_got(tmp_path):
    (tmp_path / "f").write_bytes(CONTENT)
    assert check_digest(tmp_path / "f", f"sha256:{SHA[:8]}") is None
    assert check_digest(tmp_path / "f", "sha256:ff") == SHA


def test_a_download_is_told_to_whoever_watches(tmp_path, server):
    told, watching = [], []

    @contextmanager
    def watch(item):
        watching.append(item.what)
        yield lambda done, total: told.append((done, total))
        watching.append("done")

    item = public(server, f"sha256:{SHA}")
    with watched(watch):
        fetch(item, folder=tmp_path)
        fetch(item, folder=tmp_path)  # it is there: nothing to tell
    assert watching == ["test weights", "done"]
    assert [total for _, total in told] == [len(CONTENT)] * len(told)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1][0] == len(CONTENT)
    fetch(item, folder=tmp_path / "unwatched")
    assert len(watching) == 2
