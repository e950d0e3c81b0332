import pytest

from whyrec.data.readers import delimited
from whyrec.data.readers.delimited import TSV, Dialect, Field
from whyrec.errors import UsageError

FIELDS = [Field("user"), Field("n", "int"), Field("x", "float", required=False), Field("t", required=False)]
GOOD = "user,other,n,x,t\nu1,?,1,0.5,hey\nu2,?,2,,\n"


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_reads_the_named_columns(write, name, end):
    frame = delimited.read(write(name, GOOD.replace("\n", end)), FIELDS)
    assert frame.rows() == [("u1", 1, 0.5, "hey"), ("u2", 2, None, "")]


def test_a_column_that_need_not_be_there_may_be_absent(write):
    assert delimited.read(write("a.csv", "n,user\n3,u\n"), FIELDS).to_dict(as_series=False) == {"user": ["u"], "n": [3]}


def test_quoted_cells_keep_separators_and_line_breaks(write):
    frame = delimited.read(write("a.csv", 'user,n,t\n"a,b",1,"two\nlines ""q"""\nc,2,\n'), FIELDS)
    assert frame.rows() == [("a,b", 1, 'two\nlines "q"'), ("c", 2, "")]


def test_a_byte_order_mark_and_blank_lines_at_the_end_are_fine(write):
    assert delimited.read(write("a.csv", "\ufeffuser,n\nu,1\n\n\n"), FIELDS).rows() == [("u", 1)]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("user,n\nu,1\nv\n", 3, "1 fields, where 2"),
        ("user,n\nu,1\nv,2,3\n", 3, "3 fields, where 2"),
        ("user,n\nu,1,2\nv\n", 2, "3 fields, where 2"),  # the separators add up over both lines
        ("user,n\nu,1\n\nv,2\n", 3, "fields, where 2"),
        ("user,n\nu,one\n", 2, "n is 'one', not a whole number"),
        ("user,n\nu,1.5\n", 2, "n is '1.5', not a whole number"),
        ("user,n\nu,99999999999999999999\n", 2, "too large"),
        ("user,n,x\nu,1,cheap\n", 2, "x is 'cheap', not a number"),
        ("user,n\n,1\n", 2, "user is empty"),
        ("user,n\nu,1\nu,\n", 3, "n is empty"),
        ('user,n,t\nu,1,"a\nb"\nv,2\n', 4, "2 fields, where 3"),
        ('user,n,t\nu,1,x\nv,2,"open\n', 3, ""),
        ("user,user,n\nu,u,1\n", 1, "same name"),
        ("name,n\nu,1\n", 1, "no column 'user'. The columns are: name, n"),
    ],
)
@pytest.mark.parametrize("name", ["bad.csv", "bad.csv.gz"])
def test_a_malformed_line_names_file_and_line(write, text, line, what, name):
    path = write(name, text)
    with pytest.raises(UsageError) as caught:
        delimited.read(path, FIELDS)
    assert f"{path}, line {line}:" in str(caught.value) and what in str(caught.value)


def test_bytes_that_are_not_utf8_name_the_line(write):
    path = write("a.csv", b"user,n\nu,1\n\xff,2\n")
    with pytest.raises(UsageError, match="line 3: byte 1 is not UTF-8"):
        delimited.read(path, FIELDS)


def test_without_a_header_all_columns_are_given_and_quotes_are_text(write):
    path = write("a.tsv", 'u"1\t5\nu2\t6\n')
    assert delimited.read(path, [Field("user"), Field("n", "int")], dialect=TSV).rows() == [('u"1', 5), ("u2", 6)]
    with pytest.raises(UsageError, match="line 1: 2 fields, where 3"):
        delimited.read(path, [Field("user"), Field("n", "int"), Field("t")], dialect=TSV)


def test_a_long_separator_and_latin_1(write):
    dat = Dialect("::", header=False, quoted=False, encoding="latin-1")
    path = write("a.dat", "1::Am\u00e9lie: a film::x\n2::B::y\n", "latin-1")
    fields = [Field("n", "int"), Field("title"), Field("g")]
    assert delimited.read(path, fields, dialect=dat)["title"].to_list() == ["Amélie: a film", "B"]
    with pytest.raises(UsageError, match="line 2: 2 fields, where 3"):
        delimited.read(write("b.dat", "1::A::x\n2::B\n"), fields, dialect=dat)
    with pytest.raises(UsageError, match="control character"):
        delimited.read(write("c.dat", "1::A\x1fB::x\n"), fields, dialect=dat)


def test_an_empty_file_and_a_cut_gzip_say_so(write, tmp_path):
    with pytest.raises(UsageError, match=r"a\.csv is empty"):
        delimited.read(write("a.csv", ""), FIELDS)
    cut = write("b.csv.gz", GOOD * 50)
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"b\.csv\.gz is not a whole gzip file"):
        delimited.read(cut, FIELDS)
    with pytest.raises(UsageError, match="no file"):
        delimited.read(tmp_path / "missing.csv", FIELDS)


def test_a_row_is_placed_at_its_line_whatever_stands_before(write):
    path = write("a.csv", 'user,n\n"two\nlines",1\nv,2\n')
    assert [delimited.place(path, row) for row in (0, 1, 9)] == [f"{path}, line 2", f"{path}, line 4", str(path)]


def test_a_column_of_times_is_numbers_where_all_are_else_text(write):
    fields = [Field("t", "time")]
    assert delimited.read(write("a.csv", "t\n1\n2\n"), fields)["t"].to_list() == [1, 2]
    assert delimited.read(write("b.csv", "t\n1\n2.5\n"), fields)["t"].to_list() == ["1", "2.5"]


def test_utf_8_is_tried_before_latin_1(write):
    either = Dialect("::", header=False, quoted=False, encoding=delimited.UTF_8_OR_LATIN_1)
    for encoding in ("utf-8", "latin-1"):
        frame = delimited.read(
            write(f"{encoding}.dat", "1::Amélie\n", encoding), [Field("n"), Field("t")], dialect=either
        )
        assert frame["t"].to_list() == ["Amélie"]


def test_a_bare_carriage_return_in_the_header_and_long_headers_are_short_sentences(write):
    with pytest.raises(UsageError, match="line 1: the header holds a bare carriage return"):
        delimited.read(write("a.csv", "user,n\rx\nu,1\n"), FIELDS)
    with pytest.raises(UsageError, match="and 170 more") as caught:
        delimited.read(write("b.csv", ",".join(f"c{n}" * 30 for n in range(200)) + "\n"), FIELDS)
    assert len(str(caught.value)) < 2_000


def test_a_quoted_cell_may_be_longer_than_pythons_csv_likes(write):
    frame = delimited.read(write("a.csv", f'user,n,t\nu,1,"{"x" * 200_000}"\n'), FIELDS)
    assert len(frame["t"][0]) == 200_000
