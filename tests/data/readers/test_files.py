import gzip

import pytest

from whyrec.data.readers import files
from whyrec.errors import UsageError


def test_a_packed_file_unpacks_to_a_hundred_times_its_size_at_most(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"x,y\n" * (files.FREE // 4 + 1), 1))
    for read in (files.read_bytes, lambda p: list(files.read_lines(p))):
        with pytest.raises(UsageError, match="unpacks to more than 64 MiB"):
            read(path)


def test_lines_are_bounded_wherever_they_stand(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\n" + b"b" * files.MIB + b"\nc\n")
    with files.longest_line(1):
        assert [n for n, _ in files.read_lines(path)] == [1, 2, 3]
        files.check_lines(path.read_bytes(), path)
    path.write_bytes(b"a\n" + b"b" * (files.MIB + 1) + b"\nc")
    with files.longest_line(1):
        with pytest.raises(UsageError, match=r"a\.txt, line 2: longer than 1 MiB.*longest_line=2"):
            list(files.read_lines(path))
        with pytest.raises(UsageError, match=r"a\.txt, line 2: longer than 1 MiB"):
            files.check_lines(path.read_bytes(), path)
    files.check_lines(path.read_bytes(), path)


def test_a_folder_in_a_files_place_is_a_sentence(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        files.read_bytes(tmp_path)
