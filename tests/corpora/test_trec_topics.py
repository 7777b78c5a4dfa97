"""Topics in the layouts of TREC, CLEF, NTCIR and FIRE."""

import html
import xml.etree.ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_sweeps.corpora.readers.trec import read_topics
from optical_sweeps.errors import UserError
from tests.support.user_errors import failure

IN_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
LAYOUTS = {
    "trec": "<top>\n<num> Number: {id}\n<title> {text}\n\n<desc> Description:\nnot this\n</top>\n",
    "trec_labels": "<TOP>\n<head> Tipster\n<NUM> Number: {id}\n<DOM> x\n<TITLE> Topic: {text}\n</TOP>\n",
    "trec_closed": "<top><num>{id}</num><title>{text}</title><desc>no</desc></top>\n",
    "clef_2007": '<top lang="fi">\n<num>{id}</num>\n<FI-title> {text} </FI-title>\n<FI-desc>no</top>\n',
    "clef_2008": '<topic lang="fi">\n<identifier>{id}</identifier>\n<title>{text}</title>\n</topic>\n',
    "trec_2010": '<topic number="{id}" type="faceted">\n<query>{text}</query>\n<desc>no</desc></topic>',
    "trec_covid": '<topic number="{id}">\n<query>{text}</query>\n<question>no</question>\n</topic>\n',
    "misinfo": "<topic>\n<number>{id}</number>\n<query>{text}</query>\n<narrative>no</topic>\n",
    "clinical_trials": '<topic number="{id}">\n{text}\n</topic>\n',
    "ntcir": "<TOPIC><NUM>{id}</NUM><SLANG>JA</SLANG><TITLE>{text}</TITLE><DESC>no</DESC></TOPIC>\n",
    "ehealth": "<query>\n<id>{id}</id>\n<title>{text}</title>\n<desc>no</desc></query>\n",
    "text": "<QUERY><QID>{id}</QID><TEXT>{text}</TEXT></QUERY>\n",
    "www": "<query><qid>{id}</qid><content>{text}</content><description>no</description></query>\n",
}
PROLOGUES = {
    "none": "{topics}",
    "comment": "<!-- topics 1-2, with <top> in it -->\n{topics}",
    "declaration": '\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<topics task="x">\n{topics}</topics>\n',
    "doctype": "\n<!DOCTYPE topics [\n<!ELEMENT topic (number)>\n]>\n<topics>{topics}</topics>",
}


@pytest.fixture
def topics(tmp_path):
    def topics(text: str) -> dict[str, str]:
        (tmp_path / "topics.x").write_text(text, encoding="utf-8")
        return read_topics(tmp_path / "topics.x")

    return topics


@pytest.mark.parametrize("prologue", PROLOGUES.values(), ids=PROLOGUES)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(topics, layout, prologue):
    written = layout.format(id="A-1", text="Euron inflaatio") + layout.format(
        id="2", text="x < 3 &amp; R&amp;D"
    )
    expected = {"A-1": "Euron inflaatio", "2": "x < 3 & R&D"}
    assert topics(prologue.format(topics=written)) == expected


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("cells with p<i>53</i> and x < 3", "cells with p53 and x < 3"),
        ("AT&T and &lt;b&gt; &#233;&#xe9;", "AT&T and <b> éé"),
        ("a <b and c> d", "a <b and c> d"),
        ("<em>red</em>\n  <a href='x'>cat</a><br/>", "red cat"),
        ("&copyright; &nosuch; &copy;", "&copyright; &nosuch; ©"),
        ("<![CDATA[x <title> & y]]>", "x <title> & y"),
        ("half &#xD800; pair", "half \ufffd pair"),
        ("кошка <!-- comment -->고양이", "кошка 고양이"),
    ],
)
@pytest.mark.parametrize("layout", ["trec", "clef_2008", "misinfo", "trec_2010"])
def test_the_whole_title_is_read(topics, layout, written, text):
    assert topics(LAYOUTS[layout].format(id="7", text=written)) == {"7": text}


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1), min_size=1, max_size=4
    )
)
@IN_ONE_FOLDER
def test_titles_are_those_of_an_xml_parser(tmp_path, texts):
    """On files that are XML, the reader agrees with a parser of XML."""
    body = "".join(
        f"<topic><number>{number}</number><title>{html.escape(text)}</title></topic>"
        for number, text in enumerate(texts)
    )
    (tmp_path / "t.xml").write_text(f"<topics>{body}</topics>", encoding="utf-8")
    parsed = ET.parse(tmp_path / "t.xml").getroot()
    expected = {str(one.findtext("number")): " ".join(str(one.findtext("title")).split()) for one in parsed}
    assert read_topics(tmp_path / "t.xml") == expected


@given(st.text(st.sampled_from('<>/!?-&;[]= \n\tabtopicnumtitlequery1"')), st.booleans())
@IN_ONE_FOLDER
def test_no_text_crashes_the_reader(tmp_path, text, tagged):
    (tmp_path / "t").write_text(f"<top>{text}" if tagged else text, encoding="utf-8")
    try:
        texts = read_topics(tmp_path / "t").values()
    except UserError as error:
        texts = ["refused"]
        message = str(error)
        assert "\n" not in message
    assert all(texts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "<top><num>1</num><EN-title>a</EN-title><FR-title>b</FR-title></top>",
            ":1: the topic has <en-title> and <fr-title>; keep one language",
        ),
        ("<topics>\n</topics>", ": no topic; write <top> with <num> and <title>, <topic> with"),
        ("<!-- a -->\n<doc>x</doc>", ": no topic; write"),
        ("<!-- a\nb -->\n<topic>\n<title>a</title></topic>", ":3: the topic has no <num>; give it one"),
        ("<topic>\n<number>1</number></topic>", ":1: the topic has no <title>; give it one, or a <query>"),
        ('<topic number="1">\n<query>a</query>\n', ":1: the topic is not closed; end it with </topic>"),
        (
            '<topic number="1"><query>a</query></topic>\n<topic number="1"><query>b</query></topic>',
            ":2: query id '1' is",
        ),
    ],
)
def test_bad_topics_are_one_line(topics, tmp_path, text, message):
    assert failure(lambda: topics(text)).startswith(f"{tmp_path}/topics.x{message}")
