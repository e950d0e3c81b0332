import pytest

from whyrec.data.readers import jsonlines
from whyrec.errors import UsageError


def only(write, text, name="a.jsonl"):
    [record] = jsonlines.read(write(name, text))
    return record


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_reads_records_with_line_numbers_and_skips_blank_lines(write, name):
    records = list(jsonlines.read(write(name, '{"a": 1}\n\n{"a": 2}\n')))
    assert [(r.line, r.fields) for r in records] == [(1, {"a": 1}), (3, {"a": 2})]


def test_typed_access(write):
    r = only(
        write,
        '{"id": 7, "name": "x", "n": 3, "x": 2.5, "none": null, "c": [["a", "b"], ["a", " c "]], "flat": ["d", ""]}',
    )
    assert (r.key("id"), r.key("name"), r.text("name"), r.text("none"), r.text("absent")) == ("7", "x", "x", "", "")
    assert (r.number("n"), r.number("x"), r.number("none")) == (3.0, 2.5, None)
    assert (r.texts("c"), r.texts("flat"), r.texts("absent")) == (["a", "b", "c"], ["d"], [])


@pytest.mark.parametrize(
    ("method", "field"),
    [
        *(("key", field) for field in ("none", "empty", "yes", "absent")),
        *(("number", field) for field in ("name", "yes")),
        *(("texts", field) for field in ("name", "mixed")),
        ("text", "x"),
    ],
)
def test_a_wrong_type_names_file_line_and_field(write, method, field):
    r = only(write, '{"name": "n", "empty": "", "none": null, "yes": true, "x": 2.5, "mixed": ["a", 1]}')
    with pytest.raises(UsageError, match=rf"a\.jsonl, line 1: {field} "):
        getattr(r, method)(field)


@pytest.mark.parametrize("bad", ["{", "[1]", '{"a": 1} trailing', '"text"', "[" * 100_000, b'{"a": "\xff"}'])
def test_a_malformed_line_names_file_and_line(write, bad):
    bad = bad if isinstance(bad, bytes) else bad.encode()
    path = write("a.jsonl", b'{"a": 1}\n' + bad + b"\n")
    with pytest.raises(UsageError, match=r"a\.jsonl, line 2: "):
        list(jsonlines.read(path))


def test_a_cut_gzip_says_so(write):
    path = write("a.jsonl.gz", '{"a": 1}\n' * 500)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UsageError, match="not a whole gzip file"):
        list(jsonlines.read(path))


def test_half_a_character_is_replaced_and_counted(write):
    mended = jsonlines.Mended()
    lines = ['{"a": "x\\ud83d", "b": [["\\ude00"]]}', '{"a": "\\ud83d\\ude00"}', '{"\\udc00": 1}']
    records = list(jsonlines.read(write("a.jsonl", "\n".join(lines)), mended))
    assert [r.fields for r in records] == [{"a": "x\ufffd", "b": [["\ufffd"]]}, {"a": "\U0001f600"}, {"\ufffd": 1}]
    assert mended.notes() == {"records with half a character (U+FFFD)": 2} and jsonlines.Mended().notes() == {}


@pytest.mark.parametrize("number", ["1" * 400, "1e999", "-Infinity"])
def test_a_number_without_end_names_the_line(write, number):
    with pytest.raises(UsageError, match=r"line 1: x is .*, where a number is expected"):
        only(write, f'{{"x": {number}}}').number("x")
    assert only(write, '{"x": NaN}').number("x") is None


def test_lists_are_flattened_to_any_depth(write):
    assert only(write, '{"c": [[["a"], "b"], "c", null]}').texts("c") == ["a", "b", "c"]
