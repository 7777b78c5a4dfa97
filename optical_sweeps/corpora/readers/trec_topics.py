"""Topics with tags, in the layouts of TREC, CLEF, NTCIR and FIRE.

Only some of these files are XML. Elements may not be closed, labels such as `Number:` may precede the text, and
titles contain inline tags, entities and a bare `<`. So they are read by their tags:

| layout | topic | id | text |
| --- | --- | --- | --- |
| TREC (ad hoc), FIRE | `<top>` | `<num> Number: 301` | `<title>` |
| CLEF until 2007 | `<top>` | `<num>` | `<FI-title>` |
| CLEF from 2008 | `<topic lang="fi">` | `<identifier>` | `<title>` |
| TREC from 2009 | `<topic number="1">` or `<topic>` with `<number>` | | `<query>` or `<title>` |
| TREC Clinical Trials | `<topic number="1">` | | the topic's own text |
| NTCIR | `<TOPIC>` | `<NUM>` | `<TITLE>` |
| CLEF eHealth, NTCIR WWW | `<query>` | `<id>` or `<qid>` | `<title>` or `<content>` |
"""

import html
import re
from collections.abc import Iterator
from html.entities import html5
from pathlib import Path

from optical_sweeps.errors import UserError

LAYOUTS = "write <top> with <num> and <title>, <topic> with <number> and <query>, or lines of id, tab and text"
_PROLOGUE = re.compile(r"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>", re.DOTALL | re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_TAG = re.compile(r"</?[a-z][\w:-]*(?:\s+[\w:-]+\s*=[^<>]*)?\s*/?>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-f]+|\w+);", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\b(?:number|num|qid|id)\s*=\s*(["'])(.*?)\1""", re.IGNORECASE)
_TOPIC, _QUERY = (
    re.compile(
        rf"<(?P<name>{names})(?P<attributes>(?:\s[^>]*)?)>(?P<body>.*?)(?P<end></(?P=name)\s*>|(?=<(?P=name)[\s>])|\Z)",
        re.IGNORECASE | re.DOTALL,
    )
    for names in ("top|topic", "query")
)
_ID_FIELDS = r"num|number|identifier|id|qid|topicid|topic_id|query_id"
_TEXT_FIELDS = (r"title|[a-z]{2,3}-title", r"query|content|question|text")
_TITLE_IN_A_LANGUAGE = re.compile(r"<([a-z]{2,3}-title)[\s>]", re.IGNORECASE)
_FIELDS = (
    rf"{_ID_FIELDS}|title|query|content|question|text|desc|description|narr|narrative|conc|con|smry|summary|dom|def|fac|"
    r"nat|time|note|background|subtopic|slang|tlang|lang|querytime|author|keywords|type|[a-z]{2,3}-(?:title|desc|narr)"
)
"""Tags that begin a part of a topic; other tags are inline ones."""


def has_tags(text: str) -> bool:
    """Whether a file of topics has tags, after a declaration or comments."""
    rest = text.lstrip()
    while (prologue := _PROLOGUE.match(rest)) is not None:
        rest = rest[prologue.end() :].lstrip()
    return re.match(r"<[a-z][\w-]*[\s>]", rest, re.IGNORECASE) is not None


def tagged_topics(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    """(line number, id, text) of each topic.

    Raises:
        UserError: there is no topic, or one is not closed, has no id or text, or titles in several languages.
    """
    text = _CDATA.sub(lambda section: html.escape(section[1]), text)
    text = _PROLOGUE.sub(lambda part: "\n" * part[0].count("\n"), text)
    layout = _TOPIC if _TOPIC.search(text) else _QUERY
    line, start = 1, -1
    for topic in layout.finditer(text):
        line += text.count("\n", max(start, 0), topic.start())
        start = topic.start()
        where = f"{path}:{line}"
        if not topic["end"]:
            raise UserError(f"{where}: the topic is not closed; end it with </{topic['name']}>")
        yield line, _id(where, topic["attributes"], topic["body"]), _text(where, topic["body"])
    if start < 0:
        raise UserError(f"{path}: no topic; {LAYOUTS}")


def _id(where: str, attributes: str, body: str) -> str:
    name = _field(body, _ID_FIELDS, "Number")
    if not name and (attribute := _ATTRIBUTE.search(attributes)):
        name = _plain(attribute[2])
    if not name:
        raise UserError(f"{where}: the topic has no <num>; give it one, or an attribute number")
    return name


def _text(where: str, body: str) -> str:
    if len(titles := dict.fromkeys(name.lower() for name in _TITLE_IN_A_LANGUAGE.findall(body))) > 1:
        raise UserError(
            f"{where}: the topic has {' and '.join(f'<{name}>' for name in titles)}; keep one language"
        )
    text = next((text for names in _TEXT_FIELDS if (text := _field(body, names, "Topic"))), "")
    if not text and not re.search(rf"<(?:{_FIELDS})[\s>]", body, re.IGNORECASE):
        text = _plain(body)  # the whole topic is its text
    if not text:
        raise UserError(f"{where}: the topic has no <title>; give it one, or a <query>")
    return text


def _field(body: str, names: str, label: str) -> str:
    """The text of the first of these elements, which ends at its closing tag or where another part begins."""
    match = re.search(
        rf"<(?P<name>{names})(?:\s[^>]*)?>\s*(?:{label}\s*:)?(?P<text>.*?)(?=</(?P=name)\s*>|</?(?:{_FIELDS})(?:\s[^>]*)?>|\Z)",
        body,
        re.IGNORECASE | re.DOTALL,
    )
    return _plain(match["text"]) if match else ""


def _plain(text: str) -> str:
    """The text without inline tags, with its entities replaced and single blanks."""
    return " ".join(_ENTITY.sub(_character, _TAG.sub("", text)).split())


def _character(entity: re.Match[str]) -> str:
    """The character of an entity; one without a meaning stays (`html.unescape` would replace a part of it)."""
    if entity[0][1] == "#":
        return html.unescape(entity[0])
    return html5.get(entity[0][1:], entity[0])
