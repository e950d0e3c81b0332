import hashlib
import io
import json
import warnings
import zipfile

import pytest

from whyrec.data import load
from whyrec.data.download.archive import unpack
from whyrec.data.download.catalogue import SOURCES, Remote, Source
from whyrec.data.download.datasets import RECORD, get, source
from whyrec.errors import UnknownNameError, UsageError

ROWS = "userId,movieId,rating,timestamp\n1,31,5.0,20\n"
MOVIES = "movieId,title,genres\n31,Heat,Crime\n"


def zipped(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


ARCHIVE = zipped(**{"ml-x/ratings.csv": ROWS, "ml-x/movies.csv": MOVIES, "ml-x/sub/README.txt": "read me"})


@pytest.fixture
def run(server, settings):
    """Get a set of one zip file, served with its md5; returns what was said. Keywords change the `Remote`."""
    server.files |= {"/x.zip": ARCHIVE, "/x.zip.md5": f"MD5 (x.zip) = {hashlib.md5(ARCHIVE).hexdigest()}\n".encode()}

    def go(again=False, **changed):
        said = []
        wanted = Source("set", "Be kind.", (Remote(f"{server.url}/x.zip", **changed),))
        folder = get(wanted, settings=settings, say=said.append, again=again)
        assert folder == settings.home / "data" / "set"
        return " ".join(said)

    return go


def test_downloads_checks_unpacks_records_and_loads(run, server, settings):
    said = run(md5_url=f"{server.url}/x.zip.md5", sha256=hashlib.sha256(ARCHIVE).hexdigest(), source="a paper")
    assert said.startswith("Terms: Be kind.") and "checksum as published (sha256 of a paper; md5 of http" in said
    folder = settings.home / "data" / "set"
    assert {p.name for p in folder.iterdir()} == {"ratings.csv", "movies.csv", "sub", RECORD}
    record = json.loads((folder / RECORD).read_text())["x.zip"]
    assert record["bytes"] == len(ARCHIVE) and len(record["checked against"]) == 2
    assert load("set", settings=settings).item(1).title == "Heat"
    server.requests.clear()
    assert "already in" in run() and not server.requests


@pytest.mark.parametrize("field", ["md5", "sha256"])
def test_a_wrong_checksum_deletes_the_file(run, server, settings, field):
    server.files["/x.zip.md5"] = b"0" * 32 + b"  x.zip\n"
    wrong = {"md5_url": f"{server.url}/x.zip.md5"} if field == "md5" else {"sha256": "0" * 64, "source": "a paper"}
    with pytest.raises(UsageError, match=r"x\.zip has the checksum .* publishes 0+\. The file was deleted"):
        run(**wrong)
    assert not list((settings.home / "data" / "set").iterdir())


def test_without_a_published_checksum_the_first_download_is_recorded_and_compared(run, server):
    assert f"its sha256 {hashlib.sha256(ARCHIVE).hexdigest()} is recorded now" in run()
    assert "the same file as at the first download" in run(again=True)
    server.files["/x.zip"] = zipped(**{"ml-x/ratings.csv": ROWS})
    assert "NOT the file first downloaded" in run(again=True)


def test_an_md5_that_cannot_be_fetched_is_said_and_not_claimed(run, server):
    said = run(md5_url=f"{server.url}/gone.md5")
    assert "the published md5 could not be fetched" in said and "is recorded now" in said


def test_a_file_put_there_by_hand_is_taken(run, server, settings):
    folder = settings.home / "data" / "set"
    folder.mkdir(parents=True)
    (folder / "x.zip").write_bytes(ARCHIVE)
    assert "which is already there" in run() and not server.requests


def test_without_network_it_says_where_to_put_the_file(run, server, settings):
    server.files.clear()
    with pytest.raises(UsageError) as caught:
        run()
    assert f"put it in {settings.home / 'data' / 'set'}, and run the same command again" in str(caught.value)


def test_parts_go_into_their_folders(run, settings):
    run(into="train")
    assert (settings.home / "data" / "set" / "train" / "ratings.csv").exists()


def test_a_set_behind_a_form_says_what_to_do(settings):
    with pytest.raises(UsageError, match=r"Accept the terms .*put yelp_academic.* in .*/home/data/yelp"):
        get(source("yelp"), settings=settings, say=lambda sentence: None)


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "..\\out.txt", "C:/out.txt"])
def test_archives_cannot_write_outside_their_folder(tmp_path, name):
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "x.zip").write_bytes(zipped(**{"ok.txt": "ok", name: "bad"}))
    with pytest.raises(UsageError, match="outside its folder"):
        unpack(inside / "x.zip", inside)
    assert {p.name for p in tmp_path.rglob("*")} == {"in", "x.zip"}


def test_archives_without_one_top_folder_stay_as_they_are(tmp_path):
    (tmp_path / "x.zip").write_bytes(zipped(**{"a/one.txt": "1", "b/two.txt": "2", "__MACOSX/a/one.txt": "?"}))
    unpack(tmp_path / "x.zip", tmp_path)
    assert (tmp_path / "a" / "one.txt").exists() and (tmp_path / "b" / "two.txt").exists()
    assert not (tmp_path / "__MACOSX").exists()


@pytest.mark.parametrize("cut", [20, len(ARCHIVE) // 2])
def test_a_damaged_archive_says_so(tmp_path, cut):
    (tmp_path / "x.zip").write_bytes(ARCHIVE[:-cut])
    with pytest.raises(UsageError, match="not a whole zip archive"):
        unpack(tmp_path / "x.zip", tmp_path)


def test_an_archive_larger_than_the_disk_is_refused(tmp_path, monkeypatch):
    (tmp_path / "x.zip").write_bytes(ARCHIVE)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    with pytest.raises(UsageError, match="has less room"):
        unpack(tmp_path / "x.zip", tmp_path)


@pytest.mark.parametrize(
    "names", [("",), ("a\nb",), ("x" * 256,), ("ml", "ml/a"), ("ml/a", "ml"), ("a/b/c", "a/b"), ("a", "a")]
)
def test_names_that_are_none_or_in_the_way_of_others_are_refused(tmp_path, names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            info = zipfile.ZipInfo("a")
            info.filename = name
            archive.writestr(info, b"x")
    (tmp_path / "x.zip").write_bytes(out.getvalue())
    with pytest.raises(UsageError, match=r"x\.zip holds .*(Do not trust it|only one of them)"):
        unpack(tmp_path / "x.zip", tmp_path)


def test_a_locked_archive_and_one_of_an_unknown_kind_say_so(tmp_path):
    for at, value in ((8, 1), (10, 99)):
        raw = bytearray(zipped(**{"a.txt": "text"}))
        raw[raw.index(b"PK\1\2") + at] |= value
        (tmp_path / "x.zip").write_bytes(raw)
        with pytest.raises(UsageError, match=r"x\.zip cannot be unpacked here \(.*\)\. Unpack it with another program"):
            unpack(tmp_path / "x.zip", tmp_path)


def test_an_archive_of_nothing_but_one_letter_is_refused(tmp_path):
    """Zip packs a thousandfold at most, data sets tenfold: 80 MB in 80 kB are no data set."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"a" * 80_000_000)
    (tmp_path / "x.zip").write_bytes(out.getvalue())
    with pytest.raises(UsageError, match="80,000,000 bytes, over 100 times its own size"):
        unpack(tmp_path / "x.zip", tmp_path)
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    "record", [b"", b"[]", b"{", b"[" * 100_000, b'{"x.zip": []}', b'{"x.zip": {"sha256": 1}}', b"\xff"]
)
def test_a_damaged_record_is_one_sentence(run, settings, record):
    run()
    (settings.home / "data" / "set" / RECORD).write_bytes(record)
    with pytest.raises(UsageError, match=r"SOURCE\.json is not what `whyrec data get` writes\. Delete it"):
        run(again=True)


def test_the_registry_claims_no_checksum_without_a_source():
    for known in SOURCES.values():
        assert known.terms and (known.files or known.manual)
        for remote in known.files:
            assert bool(remote.sha256) == bool(remote.source) and remote.url.startswith("https://")
    with pytest.raises(UnknownNameError, match="Did you mean 'ml-1m'"):
        source("ml-1M")
