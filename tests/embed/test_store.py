import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from whyrec.embed import open_embedder
from whyrec.embed.hashed import Hashed
from whyrec.embed.store import VectorStore, collection_name
from whyrec.errors import LockedError, UnknownNameError, UsageError

TEXTS = ["warm wool hiking socks", "steel water bottle", "red lipstick", "wool hat for winter hiking"]
IDS = ["a", "b", "c", "d"]


class Counting(Hashed):
    embedded = 0

    def embed(self, texts):
        self.embedded += len(texts)
        return super().embed(texts)


def test_what_was_put_is_found_and_writing_twice_is_writing_once(tmp_path: Path) -> None:
    store, embedder = VectorStore(tmp_path / "v"), Counting(64)
    assert store.put("items", ids=IDS, texts=TEXTS, embedder=embedder) == 4
    assert store.put("items", ids=IDS, texts=TEXTS, embedder=embedder) == 0
    assert store.put("items", ids=IDS, texts=[*TEXTS[:3], "blue bicycle helmet"], embedder=embedder) == 1
    assert store.count("items") == 4
    hits = store.search("items", "hiking socks wool", embedder=embedder, k=2)
    assert hits[0].id == "a"
    assert 0.5 < hits[0].similarity <= 1.0001
    assert store.search("items", "bicycle helmet", embedder=embedder, k=1)[0].id == "d"
    store.close()


def test_vectors_survive_a_new_process_and_a_second_writer_is_refused(tmp_path: Path) -> None:
    store = VectorStore(tmp_path / "v")
    store.put("items", ids=IDS, texts=TEXTS, embedder=Hashed(32))
    with pytest.raises(LockedError, match="Another process"):
        VectorStore(tmp_path / "v")
    store.close()
    again = VectorStore(tmp_path / "v")
    assert again.search("items", "red lipstick", embedder=Hashed(32), k=1)[0].id == "c"
    again.close()


def test_wrong_places_and_names_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        VectorStore(tmp_path / "file")
    store = VectorStore(tmp_path / "v")
    store.put("items", ids=IDS, texts=TEXTS, embedder=Hashed(32))
    with pytest.raises(UnknownNameError, match="items"):
        store.search("itms", "x", embedder=Hashed(32))
    lsa = open_embedder("lsa:8", fit_on=TEXTS)
    store.put("by-lsa", ids=IDS, texts=TEXTS, embedder=lsa)
    with pytest.raises(UsageError, match="No word"):
        store.search("by-lsa", "zzz", embedder=lsa)
    store.close()


def test_collection_names_are_valid_and_distinct() -> None:
    names = {
        collection_name("items", data, "lsa1-64-abc") for data in ("beauty", "a/b", "a b", "../x", "é", "world:users=3")
    }
    assert len(names) == 6
    assert all(name.replace(".", "").replace("-", "").replace("_", "").isalnum() for name in names)
    assert collection_name("items", "beauty", "hashed-8") == "items.beauty.hashed-8"


@pytest.mark.slow
def test_the_same_store_over_a_server(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UsageError, match="chroma run"):
        VectorStore(f"http://127.0.0.1:{port}")
    chroma = Path(sys.executable).with_name("chroma")
    server = subprocess.Popen(
        [chroma, "run", "--path", str(tmp_path / "s"), "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        store = VectorStore(f"http://127.0.0.1:{port}")
        store.put("items", ids=IDS, texts=TEXTS, embedder=Hashed(32))
        assert store.search("items", "steel bottle", embedder=Hashed(32), k=1)[0].id == "b"
        store.close()
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail("chroma run did not listen within 20 s")
