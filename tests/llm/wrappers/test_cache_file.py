"""The cache's file: shared by processes, killed with them, full, or in a wrong place."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from whyrec.errors import UsageError
from whyrec.llm.model import Message, Reply, Request
from whyrec.llm.wrappers.cache_file import CacheFile
from whyrec.llm.wrappers.cached import Cached

ROOT = Path(__file__).resolve().parents[3]
ASK = Request((Message("user", "who?"),))


class Model:
    """Counts what it is asked; says something different each time."""

    name, revision = "m", "1"

    def __init__(self) -> None:
        self.asked: list[Request] = []

    async def complete(self, request: Request) -> list[Reply]:
        self.asked.append(request)
        return [Reply(f"answer {len(self.asked)}.{sample} ünï\ud83d", sample=sample) for sample in request.samples]

    async def close(self) -> None:
        pass


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.sqlite"


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT)


async def test_two_processes_share_one_file(path: Path) -> None:
    cached = Cached(Model(), CacheFile(path))
    await cached.complete(ASK)
    cached._file.flush()
    code = textwrap.dedent(f"""
        import asyncio
        from pathlib import Path
        from whyrec.llm.wrappers.cache_file import CacheFile
        from whyrec.llm.wrappers.cached import Cached
        from whyrec.llm.model import Message, Request

        class Never:
            name, revision = "m", "1"
            async def complete(self, request): raise AssertionError("asked")
            async def close(self): pass

        async def main():
            file = CacheFile(Path({str(path)!r}))
            (reply,) = await Cached(Never(), file).complete(Request((Message("user", "who?"),)))
            print(ascii(reply.text))
            for i in range(500):
                file.put(i.to_bytes(16, "big"), "m", str(i))
            file.close()
        asyncio.run(main())
    """)
    process = start(code)
    for i in range(500):
        cached._file.put(i.to_bytes(16, "little") + b"!", "m", str(i))
    said, _ = process.communicate()
    assert said.strip() == ascii("answer 1.0 ünï\ud83d")
    await cached.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM answer").fetchone() == (1001,)
    connection.close()


KILLED = """
    import asyncio, sys
    from pathlib import Path
    from whyrec.llm.wrappers.cache_file import CacheFile
    from whyrec.llm.wrappers.cached import Cached
    from whyrec.llm.model import Message, Reply, Request

    class Server:
        name, revision = "m", "1"
        async def complete(self, request):
            await asyncio.sleep(0.005)
            return [Reply("x", sample=s) for s in request.samples]
        async def close(self): pass

    async def main():
        cached = Cached(Server(), CacheFile(Path(sys.argv[1])))
        for i in range(10_000):
            await cached.complete(Request((Message("user", str(i)),)))
            print(i, flush=True)
    asyncio.run(main())
"""


async def test_a_killed_process_asks_at_most_one_commit_window_again(path: Path) -> None:
    process = start(textwrap.dedent(KILLED), str(path))
    assert process.stdout is not None
    for _ in range(100):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    delivered = 100 + len(process.stdout.read().split())
    process.stdout.close()
    process.wait()
    model = Model()
    cached = Cached(model, CacheFile(path))
    for i in range(delivered):
        await cached.complete(Request((Message("user", str(i)),)))
    await cached.close()
    assert len(model.asked) <= 64


async def test_a_full_disk_is_one_sentence(path: Path) -> None:
    file = CacheFile(path)
    file._writer._connection.execute("PRAGMA max_page_count=8")
    cached = Cached(Model(), file)

    def fill() -> None:
        for i in range(50):  # the writer may meet the end of the disk while there is more to put
            file.put(str(i).encode(), "m", "".join(random.Random(i).choices("abcdefghijklmnop", k=2000)))
        file.flush()

    with pytest.raises(UsageError, match=r"no space left to write.*Nothing already done is lost"):
        fill()
    with pytest.raises(UsageError, match="no space left"):
        await cached.complete(ASK)
    with pytest.raises(UsageError, match="no space left"):
        await cached.close()


def test_wrong_places(tmp_path: Path) -> None:
    (tmp_path / "cache.sqlite").mkdir()
    with pytest.raises(UsageError, match="is a folder, but a SQLite file is needed"):
        CacheFile(tmp_path / "cache.sqlite")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file, but a folder is needed"):
        CacheFile(tmp_path / "file" / "cache.sqlite")


@pytest.mark.parametrize(
    "body",
    [b"", b"\x00", b'["half', b"[]", b"[1,2,3,[],[0,0,0],0,0]", b'["a","b","c",[["t"]],[0,0,0],0,0]', b"\xff" * 30],
)
async def test_a_damaged_entry_is_asked_again_and_replaced(path: Path, body: bytes) -> None:
    model = Model()
    cached = Cached(model, CacheFile(path))
    await cached.complete(ASK)
    cached._file.flush()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE answer SET body=?, size=?", (body, len(body)))
    connection.commit()
    connection.close()
    (again,) = await cached.complete(ASK)
    assert again.cache == "miss" and len(model.asked) == 2
    cached._file.flush()
    (third,) = await cached.complete(ASK)
    assert third.cache == "hit" and third.text == again.text and len(model.asked) == 2
    await cached.close()
