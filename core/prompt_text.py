"""Bytes of a data file to text: byte order marks, UTF-16 without one, legacy encodings, and binary files refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import DataError

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be", "utf-16-be"),
)
_MAGIC = (
    (b"PAR1", "a Parquet file; give it the ending .parquet"),
    (b"PK\x03\x04", "an Excel workbook or a zip archive; save the table as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the table as CSV in UTF-8"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive; unpack it first"),
    (b"ARROW1", "an Arrow file; convert it to Parquet"),
    (b"SQLite format 3\0", "an SQLite database; export the table as CSV"),
    (b"%PDF-", "a PDF; export the table as CSV"),
)
_SAMPLE = 65536
_TEXT_CONTROLS = b"\t\n\v\f\r\x1b"
_OTHER_CONTROLS = bytes(b for b in range(32) if b not in _TEXT_CONTROLS)
# Only encodings that people's tables are really saved in: more candidates make the guess worse, not better.
_CANDIDATES = [
    *("cp1252", "cp1250", "iso8859_2", "cp1251", "koi8_r", "cp1253", "cp1255", "cp1256"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
]
# In Western eyes Polish has superscripts and upside-down question marks inside its words.
_POLISH = re.compile("[³¹][a-zà-ÿ]|[a-zà-ÿ]¿[a-zà-ÿ]".encode("latin-1"))
_HIGH_RUNS = re.compile(rb"[\x80-\xff]+")
_ESCAPED = re.compile("[\udc80-\udcff]")
_NON_ASCII = re.compile("[^\x00-\x7f]")


@dataclass(frozen=True)
class Decoded:
    """The text of a file. Bytes that do not fit its encoding stay in it as lone surrogates, to be found row by row."""

    text: str
    encoding: str
    """Python's name of the encoding."""
    note: str = ""
    """A sentence where the encoding was guessed or the file is damaged."""


def decode(data: bytes, name: str) -> Decoded:
    """Find the encoding of ``data`` and decode it.

    Raises ``DataError`` (with ``name``) for an empty file, a binary file and damaged UTF-16 or UTF-32.
    """
    if not data:
        raise DataError(f"{name} is empty (0 bytes); export the data again")
    for bom, label, codec in _BOMS:
        if data.startswith(bom):
            return _decode_as(data[len(bom) :], codec, label, name)
    wide = _wide_without_bom(data)
    if wide:
        return _decode_as(data, wide, wide, name)
    _refuse_binary(data, name)
    return _decode_bytewise(data)


def _decode_as(data: bytes, codec: str, label: str, name: str) -> Decoded:
    if codec == "utf-8":
        plain = _decode_bytewise(data)
        return Decoded(plain.text, label) if plain.encoding == "utf-8" and not plain.note else plain
    try:
        return Decoded(data.decode(codec), label)
    except UnicodeDecodeError as error:
        line = data[: error.start].decode(codec, "ignore").count("\n") + 1
        raise DataError(
            f"{name}, line {line}: the {label.upper()} text is damaged at byte {error.start}; save the file as UTF-8"
        ) from None


def _wide_without_bom(data: bytes) -> str | None:
    """Latin text in UTF-16 has a zero in every second byte; ordinary text has none at all."""
    sample = data[:4096]
    half = len(sample) // 2
    if half < 2:
        return None
    even, odd = sample[0::2].count(0) / half, sample[1::2].count(0) / half
    if odd > 0.3 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.3 and odd < 0.05 else None


def _refuse_binary(data: bytes, name: str) -> None:
    for magic, what in _MAGIC:
        if data.startswith(magic):
            raise DataError(f"{name} is not a text file: it is {what}")
    sample = data[:_SAMPLE]
    controls = len(sample) - len(sample.translate(None, _OTHER_CONTROLS))
    # A stray NUL or two is one row's problem; a file full of control bytes is not text.
    if controls >= 16 and controls > 0.02 * len(sample):
        raise DataError(f"{name} is a binary file, not text; use CSV, TSV, JSON, JSONL or Parquet")


def _decode_bytewise(data: bytes) -> Decoded:
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogateescape")
    bad = len(_ESCAPED.findall(text))
    # Legacy text almost never forms valid UTF-8 sequences, so a file that has more of them than errors is
    # damaged UTF-8.
    if len(_NON_ASCII.findall(text)) - bad > bad:
        return Decoded(
            text, "utf-8", f"The file is UTF-8 but {bad:,} bytes of it are damaged; those rows are left out."
        )
    encoding = _guess_legacy(data)
    note = f"The file is not UTF-8; its encoding is guessed: {encoding}. If letters look wrong, save it as UTF-8."
    return Decoded(data.decode(encoding), encoding, note)


def _guess_legacy(data: bytes) -> str:
    """Name an encoding that decodes all of ``data``: the guess of charset-normalizer where it can tell, else Western.

    In Latin scripts accented letters stand alone, in all others high bytes come in runs. Within Latin scripts
    charset-normalizer takes French and German for Hungarian, so there its answer counts only for plainly Polish text.
    """
    from charset_normalizer import from_bytes

    lines = [line for line in data.split(b"\n") if not line.isascii()]
    sample = b"\n".join(lines)[:_SAMPLE]
    best = from_bytes(sample, cp_isolation=_CANDIDATES, enable_fallback=False).best()
    runs = [len(run) for run in _HIGH_RUNS.findall(sample)]
    if best is not None:
        polish = best.encoding in {"cp1250", "iso8859_2"} and _POLISH.search(sample) is not None
        if (sum(runs) >= 2 * len(runs) or polish) and _decodes(data, best.encoding):
            return best.encoding
    if re.search(rb"[\x80-\x9f]", data) and _decodes(data, "cp1252"):
        return "cp1252"
    return "latin-1"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
