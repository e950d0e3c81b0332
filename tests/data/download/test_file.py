import os
import resource
import socket

import pytest

from whyrec.data.download.file import fetch, fetch_text
from whyrec.errors import UsageError

BODY = os.urandom(700_000)


@pytest.fixture
def get(server, tmp_path):
    server.files["/a.bin"] = BODY
    path = tmp_path / "a.bin"

    def run(**options):
        fetch(f"{server.url}/a.bin", path, **{"pause": 0.0, **options})
        assert not list(tmp_path.glob("*.part*"))
        return path.read_bytes()

    return run


def test_a_whole_file_and_its_progress(get, server):
    seen = []
    assert get(progress=lambda done, total: seen.append((done, total))) == BODY
    assert seen[-1] == (len(BODY), len(BODY)) and [d for d, _ in seen] == sorted(d for d, _ in seen)
    assert server.requests == [("/a.bin", "")]


def test_a_dropped_connection_is_resumed_where_it_broke(get, server):
    server.drops = [300_000, 100_000]
    assert get() == BODY
    assert server.requests == [("/a.bin", ""), ("/a.bin", "bytes=300000-"), ("/a.bin", "bytes=400000-")]


def test_a_later_command_goes_on_too(get, server, tmp_path):
    server.drops = [300_000] + [0] * 2
    with pytest.raises(UsageError, match=r"No answer from http.*ended at 300,000 of 700,000 bytes.* in 2 tries"):
        get(tries=2)
    assert (tmp_path / "a.bin.part").stat().st_size == 300_000 and not (tmp_path / "a.bin").exists()
    assert get() == BODY
    assert server.requests[-1] == ("/a.bin", "bytes=300000-")


def test_versions_are_never_spliced(get, server):
    server.drops = [300_000, 0, 0]
    with pytest.raises(UsageError):
        get(tries=2)
    new = os.urandom(500_000)
    server.files["/a.bin"], server.etag = new, '"v2"'
    assert get() == new


@pytest.mark.parametrize("change", [{"ranges": False}, {"etag": ""}])
def test_without_ranges_or_a_validator_it_starts_over(get, server, change):
    for name, value in change.items():
        setattr(server, name, value)
    server.drops = [300_000]
    assert get() == BODY


def test_a_part_that_is_already_whole_is_taken(get, server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY)
    (tmp_path / "a.bin.part.json").write_text('{"validator": "\\"v1\\""}')
    assert get() == BODY


def test_a_part_longer_than_the_file_is_thrown_away(get, server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY + b"x")
    (tmp_path / "a.bin.part.json").write_text('{"validator": "\\"v1\\""}')
    assert get() == BODY


@pytest.mark.parametrize(
    "note", [b"", b"{", b"[]", b'{"url": "u"}', b'{"validator": 1}', b'{"validator": "a\\nb"}', b"\xff"]
)
def test_a_damaged_note_vouches_for_nothing(get, server, tmp_path, note):
    (tmp_path / "a.bin.part").write_bytes(b"of another file")
    (tmp_path / "a.bin.part.json").write_bytes(note)
    assert get() == BODY


def test_a_busy_server_is_asked_again_but_a_missing_file_is_not(get, server):
    server.statuses = [503, 429]
    assert get() == BODY
    server.requests.clear()
    del server.files["/a.bin"]
    with pytest.raises(UsageError, match=r"/a\.bin answered 404"):
        get()
    assert len(server.requests) == 1


def test_a_dead_server_is_one_sentence(server, tmp_path):
    with pytest.raises(UsageError, match=r"No answer from http://127\.0\.0\.1:1/x \(.*refused.*\) in 2 tries"):
        fetch("http://127.0.0.1:1/x", tmp_path / "x", tries=2, pause=0)
    with pytest.raises(UsageError, match="No answer"):
        fetch_text("http://127.0.0.1:1/x")


def test_without_network_it_does_not_wait(server, tmp_path, monkeypatch):
    def nowhere(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", nowhere)
    with pytest.raises(UsageError, match=r"cannot be reached \(Name or service not known\)"):
        fetch("http://nowhere.invalid/x", tmp_path / "x", pause=1000)


def test_our_own_disk_is_not_the_network(get, server, tmp_path):
    (tmp_path / "a.bin.part").mkdir()
    with pytest.raises(IsADirectoryError):
        get()


def test_a_full_disk_says_so_and_keeps_what_came(get, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (350_000, hard))
    try:
        with pytest.raises(UsageError, match=r"a\.bin\.part cannot be written: File too large"):
            get()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "a.bin.part").stat().st_size == 350_000
    assert get() == BODY
