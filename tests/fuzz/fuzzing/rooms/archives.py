"""What downloads bring: archives, GGUF files, servers that send files, the record of earlier downloads."""

from __future__ import annotations

import io
import json
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzzing.odd import changed_json, edited, plain, words
from fuzzing.served import response, served
from fuzzing.target import Target

_NAMES = (
    *(
        "ml/ratings.csv",
        "ml/movies.csv",
        "a.txt",
        "ml/",
        "ml",
        "../evil",
        "/etc/evil",
        "C:evil",
        "a/../../b",
        "..\\evil",
        ".",
    ),
    *(
        "",
        "a//b",
        "a/./b",
        "\0",
        "a\0b",
        "x" * 300,
        "ml/" + "y/" * 200 + "z",
        "é/日本",
        "__MACOSX/x",
        "con",
        " ",
        "ml/ ",
        "a/b/",
    ),
)
_RECORD = {"ml-100k.zip": {"url": "u", "bytes": 1, "sha256": "0" * 64, "checked against": [], "fetched": "2025-01-01"}}
Member = tuple[str, bytes, int, int]  # name, content, compression, flags to set


def _zip(members: list[Member], size: int | None = None, mode: int = 0) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content, compression, _ in members:
            info = zipfile.ZipInfo("placeholder")
            info.filename, info.compress_type = name, compression
            info.external_attr = mode << 16
            with archive.open(info, "w") as stream:
                stream.write(content)
    raw = bytearray(made.getvalue())
    for at, (_, _, _, flags) in zip(_directory(raw), members, strict=False):
        raw[at + 8] |= flags & 0xFF  # encrypted and the like
        if flags >> 8:
            raw[at + 10] = flags >> 8  # a compression nobody knows
        if size is not None:
            struct.pack_into("<I", raw, at + 24, size & 0xFFFFFFFF)
    return bytes(raw)


def _directory(raw: bytes | bytearray) -> list[int]:
    found, at = [], raw.find(b"PK\x01\x02")
    while at >= 0:
        found.append(at)
        at = raw.find(b"PK\x01\x02", at + 4)
    return found


def unpacked(content: bytes) -> object:
    from whyrec.data.download.archive import unpack

    folder = plain(Path("archives/in"), {"x.zip": content})
    outside = {p.name for p in folder.parent.iterdir()}
    unpack(folder / "x.zip", folder)
    assert {p.name for p in folder.parent.iterdir()} == outside, "nothing lands beside the folder"
    assert not any(p.is_symlink() for p in folder.rglob("*")), "nothing points out of it"
    return True


def fetched(given: tuple[list[bytes], bytes | None]) -> object:
    """A file, from a server that behaves oddly; a piece of it and its note may be there from before."""
    from whyrec.data.download.file import fetch

    answers, note = given
    folder = plain(Path("fetched"), {} if note is None else {"f.part": b"half", "f.part.json": note})
    served().answers = {"": answers[0]}
    fetch(f"{served().url}/f", folder / "f", tries=1, pause=0.0)
    return (folder / "f").stat().st_size


def recorded(content: bytes) -> object:
    from whyrec.data.download.datasets import get, source
    from whyrec.settings import read_settings

    settings = read_settings(home=Path("home").absolute())
    folder = settings.data_folders[-1] / "ml-100k"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "SOURCE.json").write_bytes(content)
    return get(source("ml-100k"), settings=settings, say=lambda _text: None)


def _members() -> st.SearchStrategy[list[Member]]:
    content = st.binary(max_size=30) | st.sampled_from([b"a,b\n1,2\n" * 20, b"\0" * (1 << 20)])
    sound = st.sampled_from([*_NAMES[:3], "b", "c/d", "ml/e", "f"])
    name = sound | sound | sound | st.sampled_from(_NAMES) | words.map(lambda w: w[:400])
    how = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    flags = st.sampled_from([*[0] * 20, 1, 0x20, 0x40, 99 << 8, 0xFF])
    return st.lists(st.tuples(name, content, how, flags), min_size=1, max_size=4)


def _archives() -> st.SearchStrategy[bytes]:
    size = st.sampled_from([*[None] * 9, 0, 1, 0xFFFFFFFF, 1 << 30])
    mode = st.sampled_from([0, 0o100644, 0o120777, 0o020666])
    made = st.builds(_made, _members(), size, mode)
    sound = _zip(
        [("ml/ratings.csv", b"a,b\n" * 9, zipfile.ZIP_DEFLATED, 0), ("ml/movies.csv", b"c", zipfile.ZIP_STORED, 0)]
    )
    return made | edited([sound, sound, sound[:-22]])


def _made(members: list[Member], size: int | None, mode: int) -> bytes:
    try:
        return _zip(members, size, mode)
    except (ValueError, OSError, struct.error, UnicodeEncodeError):  # zipfile itself would not write that
        return _zip([("a", b"a", 0, 0)], size, mode)


def _servers() -> st.SearchStrategy[tuple[list[bytes], bytes | None]]:
    value = st.sampled_from(
        ["0", "-5", "abc", "9" * 30, "bytes 4-8/9", "bytes 4-8/*", "bytes */4", "bytes x", '"tag"', "W/x", "²"]
    )
    names = ["Content-Range", "ETag", "Last-Modified", "Location", "Content-Encoding"]
    headers: st.SearchStrategy[dict[str, Any]] = st.dictionaries(st.sampled_from(names), value, max_size=2)
    length = st.none() | st.sampled_from(["abc", "-1", "1_0", "²", "0", "3", "99"])
    answer = st.builds(
        lambda body, status, given, said: response(
            body, status=status, headers={**given, **({} if said is None else {"Content-Length": said})}
        ),
        st.binary(max_size=20),
        st.sampled_from([200, 206, 206, 301, 404, 416, 500, 99]),
        headers,
        length,
    )
    note = st.none() | edited(
        [json.dumps({"url": "u", "validator": '"tag"'}).encode(), b"[]", b'{"validator": "a\\nb"}']
    )
    return st.tuples(st.lists(answer | edited([response(b"whole")]), min_size=1, max_size=1), note)


def _gguf() -> bytes:
    """A small sound GGUF file: keys of every kind, two tensors."""

    def text(said: bytes) -> bytes:
        return struct.pack("<Q", len(said)) + said

    keys = [
        text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama"),
        text(b"general.license") + struct.pack("<I", 8) + text(b"mit"),
        text(b"general.alignment") + struct.pack("<II", 4, 32),
        text(b"a.float") + struct.pack("<If", 6, 1.5),
        text(b"a.list") + struct.pack("<IIQ", 9, 4, 3) + bytes(12),
        text(b"a.words") + struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"bc"),
    ]
    tensors = [text(b"t") + struct.pack("<IQQIQ", 2, 32, 2, 8, 0), text(b"n") + struct.pack("<IQIQ", 1, 4, 0, 96)]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join([*keys, *tensors])
    return head + bytes(-len(head) % 32 + 96 + 16)


def headed(content: bytes) -> object:
    from whyrec.llm.weights.gguf_header import read_header

    folder = plain(Path("headed"), {"x.gguf": content})
    header = read_header(folder / "x.gguf")
    assert header.architecture and header.types
    return True


def taken(given: tuple[bytes, str]) -> object:
    """One member of an archive: it is written where we say, and to nowhere else."""
    from whyrec.data.download.archive import copy_member

    content, name = given
    folder = plain(Path("taken/in"), {"x.whl": content})
    outside = {p.name for p in folder.parent.iterdir()}
    copy_member(folder / "x.whl", name, folder / "member", most=1 << 16)
    assert {p.name for p in folder.parent.iterdir()} == outside and (folder / "member").stat().st_size <= 1 << 16
    return True


TARGETS = (
    Target("archives.gguf", lambda: edited([_gguf()]), headed, prepare=lambda: headed(_gguf())),
    Target(
        "archives.member",
        lambda: st.tuples(_archives(), st.sampled_from(["ml/ratings.csv", "a.txt", "b", "../evil"])),
        taken,
        prepare=lambda: taken((_zip([("b", b"a", 0, 0)]), "b")),
    ),
    Target("archives.zip", _archives, unpacked, 2.0, prepare=lambda: unpacked(_zip([("a", b"a", 0, 0)]))),
    Target("archives.fetched", _servers, fetched, 1.0, prepare=lambda: fetched(([response(b"a")], None))),
    Target(
        "archives.recorded",
        lambda: changed_json([_RECORD]),
        recorded,
        0.3,
        prepare=lambda: recorded(json.dumps(_RECORD).encode()),
    ),
)
