"""Nothing foreign gets into a report as anything but text, and a page asks for nothing and runs nothing."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from report_page import NOW, Page, page_of
from report_runs import HOSTILE, full_run

from core import markdown
from core.run_dir import RunDir
from rlaif_tui.report import make_report
from rlaif_tui.report.blocks import (
    Charts,
    Facts,
    Heading,
    Listing,
    Report,
    Section,
    Side,
    SideBySide,
    Table,
    Tiles,
    Words,
)
from rlaif_tui.report.chart import Measured, Series, draw
from rlaif_tui.report.page import render
from rlaif_tui.text import safe
from rlaif_tui.word_diff import compare

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TAGS = """html head meta title link style body header h1 h2 h3 h4 h5 p nav a main section dl div dt dd b small span
table thead tbody tr th td details summary pre code article del ins figure figcaption svg desc path text circle i
footer"""
ATTRIBUTES = """lang charset http-equiv content name rel href id class scope tabindex viewbox role aria-label
aria-labelledby d x y cx cy r"""
CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def strings(count: int) -> tuple[str, ...]:
    """Attacks in random combinations, the same every time."""
    draw = random.Random(7)
    mixed = (" ".join(draw.sample(HOSTILE, draw.randint(1, 4))) + f" {i}" for i in range(count - len(HOSTILE)))
    return (*HOSTILE, *mixed)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    run = full_run(tmp_path_factory.mktemp("hostile"), texts=strings(1000), word="".join(HOSTILE))
    run.config.write_text("[model]\nid = '''</pre><script>alert(1)</script>\n```\n# x'''\n", encoding="utf-8")
    return run


@pytest.fixture
def calm(tmp_path: Path) -> RunDir:
    return full_run(tmp_path / "runs", texts=("It is the air.", "The air bends blue light.", "It is painted so."))


def test_a_page_holds_its_own_tags_only(hostile: RunDir) -> None:
    page = page_of(hostile)
    assert {tag for tag, _ in page.tags} <= set(TAGS.split())
    assert {name for _, attributes in page.tags for name in attributes} <= set(ATTRIBUTES.split())
    assert page.comments == []
    links = [attributes["href"] for _, attributes in page.tags if "href" in attributes]
    assert all(link == "data:," or re.fullmatch(r"#[a-z]+", link or "") for link in links)
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert [tag for tag, _ in page.tags].count("section") == 12


def of_every_block(texts: Sequence[str]) -> Report:
    """A report with these texts in every place where a text can be."""
    chart = draw(texts[0], texts[1], [Series(texts[2], [(1, 1.0), (2, 2.0)]), Series(texts[3], [(1, 1.0)], "second")],
                 measured=[Measured(1, 1.0, (0.5, 1.5))], measured_name=texts[4], limits=[(texts[5], 1.5)],
                 marks=[(1, texts[6])])  # fmt: skip
    sections = []
    for number, (a, b, c) in enumerate(zip(texts[::3], texts[1::3], texts[2::3], strict=False)):
        found = compare(a, b)
        blocks = (
            Words(a, "warn"),
            Heading(b),
            Tiles(((a, b, c),)),
            Facts(((a, b), (b, c)), frozenset({b})),
            Table((a, b), ((b, c), (c, a)), frozenset({1}), c),
            Listing(a, "toml", b),
            Listing(c),
            SideBySide(a, b, Side(c, a, found.left, b), Side(a, b, found.right, c), c),
        )
        # The plain attacks go everywhere, each of the many combinations of them into one kind of block.
        chosen = (
            (*blocks, Charts((chart,), ((a, b),))) if number < len(HOSTILE) // 3 else (blocks[number % len(blocks)],)
        )
        sections.append(Section(f"s{number}", c, chosen))
    return Report(texts[0], texts[1], texts[2], tuple(sections))


def test_a_thousand_attacks_leave_no_trace_in_the_structure() -> None:
    attacks = strings(1000)
    html = Page(render(of_every_block(attacks), "html"))
    harmless = Page(render(of_every_block([f"words {i}" for i in range(len(attacks))]), "html"))
    marks = {"del", "ins"}
    skeletons = [[(t, sorted(a)) for t, a in page.tags if t not in marks] for page in (html, harmless)]
    assert skeletons[0] == skeletons[1]
    assert html.comments == []
    shown = " ".join(html.text.split())
    assert all(" ".join(safe(text).split()) in shown for text in attacks[2 : len(attacks) // 3 * 3 : 3])
    kinds = [
        [(token.type, token.tag) for token in PARSER.parse(render(of_every_block(texts), "markdown"))]
        for texts in (attacks, [f"words {i}" for i in range(len(attacks))])
    ]
    assert kinds[0] == kinds[1]


def test_every_element_of_a_page_is_closed_where_it_should(hostile: RunDir) -> None:
    text = render(make_report(hostile, NOW), "html")
    body = re.sub(r"(?s)<style>.*?</style>", "", text)
    opened: list[str] = []
    for closing, tag, single in re.findall(r"<(/?)([a-z0-9]+)[^>]*?(/?)>", body):
        if closing:
            assert opened.pop() == tag
        elif not single and tag not in {"meta", "link"}:
            opened.append(tag)
    assert opened == []


def test_control_characters_are_visible_in_every_format(hostile: RunDir) -> None:
    report = make_report(hostile, NOW)
    for kind in ("html", "markdown"):
        text = render(report, kind)  # type: ignore[arg-type]
        assert not [each for each in set(text) if not each.isprintable() and each != "\n"]
        assert "␛" in text


def test_markdown_holds_its_own_structure_only(hostile: RunDir) -> None:
    tokens = PARSER.parse(render(make_report(hostile, NOW), "markdown"))
    flat = [inner for token in tokens for inner in (token, *(token.children or ()))]
    kinds = {token.type for token in flat}
    assert not kinds & {
        "html_block",
        "html_inline",
        "image",
        "link_open",
        "blockquote_open",
        "s_open",
        "code_block",
        "em_open",
    }
    headings = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    assert [words for words in headings if words in ("heading", "x")] == []
    assert [token.tag for token in tokens if token.type == "heading_open"].count("h2") == 12
    bare = [token.content for token in flat if token.type == "text"]
    assert not [words for words in bare if re.search(r"://|www\.|@", words)]
    assert [token for token in flat if token.type == "code_inline" and "evil.example" in token.content]


@pytest.mark.parametrize("text", [*HOSTILE, "", " ", "`", "``", "\\", "\\|", "a\\", "-", "1.", "4.27", "---", "=", "|"])
def test_foreign_text_in_markdown_is_text(text: str) -> None:
    parser = MarkdownIt("commonmark").enable("table")
    for line in (markdown.words(text), f"before {markdown.words(text)} after", markdown.code(text)):
        tokens = parser.parse(line)
        assert [token.type for token in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
        inner = tokens[1].children or [] if tokens else []
        assert {token.type for token in inner} <= {"text", "code_inline"}
    fenced = parser.parse(f"{markdown.fence(text, 'text')}\n\nafter")
    assert [token.type for token in fenced] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    for made in (markdown.cell(text), markdown.cell_code(text)):
        table = parser.parse(f"| a | b |\n| --- | --- |\n| {made} | x |\n")
        cells = [table[i + 1].content for i, token in enumerate(table) if token.type == "td_open"]
        assert len(cells) == 2
        assert cells[1] == "x"


def test_code_in_markdown_keeps_every_visible_character() -> None:
    parser = MarkdownIt("commonmark")
    for text in ("a `b` c", "`", "``x", "x```", "{{ x }} <b> \\n *"):
        (inline,) = (token for token in parser.parse(markdown.code(text)) if token.type == "inline")
        assert [token.content for token in inline.children or ()] == [text]
        assert parser.parse(markdown.fence(text))[0].content == f"{text}\n"


def test_a_page_asks_for_nothing_and_runs_nothing(calm: RunDir) -> None:
    text = render(make_report(calm, NOW), "html")
    page = Page(text)
    (policy,) = (
        a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == CSP
    assert {tag for tag, _ in page.tags} & {"script", "img", "iframe", "object", "embed", "form", "base"} == set()
    style = re.findall(r"(?s)<style>(.*?)</style>", text)
    assert len(style) == 1
    assert not re.search(r"url\(|@import|expression", style[0])
    assert not re.search(r"https?:", text)
    for wanted in ("prefers-color-scheme: dark", "@media print", "max-width"):
        assert wanted in style[0]


def test_a_key_never_gets_into_a_report(calm: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-key-0123456789")
    calm.config.write_text('[run]\nname = "canary-key-0123456789"\n# sk-abcdefghijklmnop\n', encoding="utf-8")
    report = make_report(calm, NOW)
    for kind in ("html", "markdown"):
        text = render(report, kind)  # type: ignore[arg-type]
        assert "canary-key" not in text
        assert "sk-abc" not in text
        assert "***" in text
