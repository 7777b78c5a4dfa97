"""Miniature files of each provider, in its layout, where ir_datasets looks for them.

Every collection has three documents: the second is relevant to the query, and the third is judged irrelevant.
"""

import gzip
import io
import json
import tarfile
from pathlib import Path

MIRACL = {
    "ar": 5, "bn": 1, "de": 32, "en": 66, "es": 21, "fa": 5, "fi": 4, "fr": 30, "hi": 2, "id": 3, "ja": 14,
    "ko": 3, "ru": 20, "sw": 1, "te": 2, "th": 2, "yo": 1, "zh": 10,
}  # fmt: skip
"""Language -> number of files of passages."""
MIRACL_WITHOUT_TRAIN = ("de", "yo")
MR_TYDI = {
    "ar": "arabic", "bn": "bengali", "en": "english", "fi": "finnish", "id": "indonesian", "ja": "japanese",
    "ko": "korean", "ru": "russian", "sw": "swahili", "te": "telugu", "th": "thai",
}  # fmt: skip
MMARCO_V1 = {
    "es": "spanish", "fr": "french", "pt": "portuguese", "it": "italian", "id": "indonesian", "de": "german",
    "ru": "russian", "zh": "chinese",
}  # fmt: skip
MMARCO_V2 = {**MMARCO_V1, "ar": "arabic", "dt": "dutch", "hi": "hindi", "ja": "japanese", "vi": "vietnamese"}
WIKICLIR = {
    "ar": "arabic", "ca": "catalan", "zh": "chinese", "cs": "czech", "nl": "dutch", "fi": "finnish",
    "fr": "french",
    "de": "german", "it": "italian", "ja": "japanese", "ko": "korean", "no": "norwegian_(bokmal)",
    "nn": "norwegian_(nynorsk)", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "en-simple": "simple_english", "es": "spanish", "sw": "swahili", "sv": "swedish", "tl": "tagalog",
    "tr": "turkish", "uk": "ukrainian", "vi": "vietnamese",
}  # fmt: skip
CLIRMATRIX = ("ar", "de", "en", "es", "fr", "ja", "ru", "zh")
THREE_LETTERS = {"zh": "zho", "fa": "fas", "ru": "rus"}


def write_all(home: Path) -> None:
    for write in (miracl, mr_tydi, msmarco, mmarco, wikiclir, clirmatrix, neuclir, hc4, dpr_w100):
        write(home)


def miracl(home: Path) -> None:
    """JSON Lines in numbered files with separate `title` and `text`; topics and qrels by split."""
    for language, files in MIRACL.items():
        folder = home / "miracl" / "v1.0" / language
        passages = [
            {"docid": f"{i}#0", "title": f"Title {i}", "text": f"{language} passage {i}"} for i in (1, 2, 3)
        ]
        for number in range(files):
            # Yoruba's only file, docs-0, is stored as docs-1
            name = "docs-1" if language == "yo" else f"docs-{number}"
            part = passages[number : number + 1] if number < files - 1 else passages[number:]
            put_gzip(folder / "docs" / f"{name}.jsonl.gz", json_lines(part))
        for split in ("train", "dev") if language not in MIRACL_WITHOUT_TRAIN else ("dev",):
            put(
                folder / split / "topics.tsv",
                "".join(f"{split}{i}\t{language} question {i}\n" for i in range(8)),
            )
            rows = (f"{split}{i}\tQ0\t2#0\t1\n{split}{i}\tQ0\t3#0\t0\n" for i in range(8))
            put(folder / split / "qrels.tsv", "".join(rows))


def mr_tydi(home: Path) -> None:
    """A decompressed archive; title and text are one field, and one file has all splits."""
    put(home / "mr-tydi" / "irds_version.txt", "v2")
    for language, name in MR_TYDI.items():
        folder = home / "mr-tydi" / f"{language}.data" / f"mrtydi-v1.0-{name}"
        passages = [{"id": f"{i}#0", "contents": f"Title {i}\n\n{language} passage {i}"} for i in (1, 2, 3)]
        put_gzip(folder / "collection" / "docs.jsonl.gz", json_lines(passages))
        for number, split in enumerate(("train", "dev", "test")):
            put(folder / f"topic.{split}.tsv", f"{number}\t{language} {split} question\n")
            put(folder / f"qrels.{split}.txt", f"{number}\tQ0\t2#0\t1\n")


def msmarco(home: Path) -> None:
    """Archives as downloaded; parts of the text are UTF-8 that was decoded as Latin-1."""
    folder = home / "msmarco-passage"
    passages = "0\tA passage.\n1\tA café by the sea.\n2\tAnother.\n".replace("é", "\u00c3\u00a9")
    archive = {
        "collection.tsv": passages,
        "queries.dev.small.tsv": "100\twhat is a cafe\n",
        "queries.eval.small.tsv": "300\tunjudged\n",
        "qrels.dev.small.tsv": "100\t0\t1\t1\n",
    }
    put_tar(folder / "collectionandqueries.tar.gz", archive)
    queries = {
        "queries.train.tsv": "200\twhat is a passage\n201\twhat else\n202\tno answer\n",
        "queries.dev.tsv": "100\twhat is a cafe\n",
        "queries.eval.tsv": "300\tunjudged\n",
    }
    put_tar(folder / "queries.tar.gz", queries)
    put(folder / "train" / "qrels", "200\t0\t0\t1\n201\t0\t2\t1\n")
    put_gzip(folder / "train" / "docpairs.tsv.gz", "200\t0\t1\n201\t2\t0\n")
    put(folder / "dev" / "qrels", "100\t0\t1\t1\n")


def mmarco(home: Path) -> None:
    """TSV with MS MARCO's ids, for each version and translated language."""
    folder = home / "mmarco"
    put(folder / "qrels.dev.tsv", "100\t0\t1\t1\n")
    put(folder / "qrels.dev.small.tsv", "100\t0\t1\t1\n")
    put(folder / "triples.train.ids.small.tsv", "200\t0\t1\n201\t2\t0\n")
    for version, languages, dot in (("", MMARCO_V1, "_queries"), ("v2", MMARCO_V2, ".queries")):
        for language, name in languages.items():
            version_folder = folder / version
            put(
                version_folder / f"{name}_collection.tsv",
                "".join(f"{i}\t{language} passage {i}\n" for i in range(3)),
            )
            put(version_folder / f"{name}{dot}.dev.tsv", f"100\t{language} dev question\n101\tnot in small\n")
            put(version_folder / f"{name}{dot}.train.tsv", f"200\t{language} train question\n201\tanother\n")
    for name in ("chinese", "portuguese"):
        put(folder / f"{name}_queries.dev.v1.1.tsv", "100\tv1.1 dev question\n")
    put(folder / "portuguese_queries.train.v1.1.tsv", "200\tv1.1 train question\n")


def wikiclir(home: Path) -> None:
    """English queries for all languages; documents and three-column judgements by language."""
    folder = home / "wikiclir" / "source" / "wiki-clir"
    queries = ["7\tCafé\tA café is a place.", "9\tMoon\tIt shines."]
    queries += [f"{i}\tSea {i}\tThe sea is wet." for i in range(10, 30)]
    put(folder / "english" / "wiki_en.queries", "\n".join(queries) + "\n")
    relevant = "7\t2\t2\n7\t3\t1\n" + "".join(f"{i}\t1\t2\n" for i in range(10, 30))
    for language, name in WIKICLIR.items():
        code = "simple" if language == "en-simple" else language
        documents = "".join(f"{i}\tTitle {i}\t{code} article {i}\n" for i in (1, 2, 3))
        put(folder / name / f"wiki_{code}.documents", documents)
        put(folder / name / f"en2{code}.rel", relevant)


def clirmatrix(home: Path) -> None:
    """A list of downloads names the file of each pair of languages, with queries and judgements."""
    folder = home / "clirmatrix"
    url = "http://www.cs.jhu.edu/~shuosun/clirmatrix/data"
    lists: dict[str, dict] = {"clirmatrix_docs": {}, "clirmatrix_multi8": {}}
    for language in CLIRMATRIX:
        path = f"DOCS/{language}.tsv.gz"
        lists["clirmatrix_docs"][f"docs/{language}"] = {
            "url": f"{url}/{path}",
            "cache_path": path,
            "expected_md5": "0" * 32,
        }
        put_gzip(folder / path, "".join(f"{i}\t{language} article {i}\n" for i in (1, 2, 3)))
        for documents in CLIRMATRIX:
            for split in ("train", "dev", "test1", "test2"):
                path = f"MULTI-8/{language}/{language}.{documents}.{split}.jl.gz"
                entry = {"url": f"{url}/{path}", "cache_path": path, "expected_md5": "0" * 32}
                lists["clirmatrix_multi8"][f"queries/{language}_{documents}/{split}"] = entry
                line = {
                    "src_id": f"{split}1",
                    "src_query": f"{language} query",
                    "tgt_results": [["2", 6], ["3", 0]],
                }
                put_gzip(folder / path, json_lines([line]))
    put_gzip(folder / "clirmatrix_downloads.json.gz", json.dumps(lists))


def neuclir(home: Path) -> None:
    """Common Crawl documents, English topics with translations, and one file of qrels for all languages."""
    folder = home / "neuclir"
    for language in THREE_LETTERS.values():
        put_gzip(folder / "1" / language / "docs.jsonl.gz", json_lines(crawled(language)))
    put(folder / "trec-2022" / "topics.jsonl", json_lines([topic("1")]))
    qrels = [
        f"1 {language} {language}-2 3\n1 {language} {language}-3 0\n" for language in THREE_LETTERS.values()
    ]
    put(folder / "trec-2022" / "qrels", "".join(qrels))
    put(folder / "trec-2023" / "topics.jsonl", json_lines([topic("200")]))
    files = {f"qrels.final.gains.{code}": f"200 0 {code}-2 3\n" for code in THREE_LETTERS.values()}
    put_tar(folder / "trec-2023" / "qrels.tar.gz", {**files, "qrels.final.gains": "".join(files.values())})


def hc4(home: Path) -> None:
    """Documents that a script extracts from Common Crawl; topics of three splits with their languages."""
    folder = home / "hc4"
    for number, split in enumerate(("train", "dev", "test")):
        put(folder / f"{split}.topics.v1-0.jsonl", json_lines([topic(str(number))]))
        for language in THREE_LETTERS.values():
            put(
                folder / language / f"{split}.qrels.v1-0.txt",
                f"{number} 0 {language}-2 3\n{number} 0 {language}-3 0\n",
            )
    for language in THREE_LETTERS.values():
        put(folder / language / "hc4_docs.jsonl", json_lines(crawled(language)))


def dpr_w100(home: Path) -> None:
    """DPR's passages of English Wikipedia: a header line, and the text before the title."""
    passages = [
        '1\t"Tokyo is the capital of Japan."\tTokyo',
        "2\tMoscow was founded in 1147.\tMoscow",
        "3\tNothing.\tEmpty",
    ]
    put_gzip(home / "dpr-w100" / "docs.tsv.gz", "\n".join(["id\ttext\ttitle", *passages]) + "\n")


def crawled(language: str) -> list[dict]:
    return [
        {
            "id": f"{language}-{i}", "cc_file": "crawl-data/x.warc.gz", "time": "2020-01-01T00:00:00Z",
            "title": f"Title {i}", "text": f"{language} article {i}", "url": "http://example.org",
        }
        for i in (1, 2, 3)
    ]  # fmt: skip


def topic(number: str) -> dict:
    def of(language: str, source: str, words: str) -> dict:
        fields = {f"topic_{name}": f"{words} {name}" for name in ("title", "description", "narrative")}
        return {"lang": language, "source": source, **fields}

    translated = [
        of(language, source, f"{language} {source.split()[0]}")
        for language in THREE_LETTERS.values()
        for source in ("human translation", "machine translation")
    ]
    return {
        "topic_id": number,
        "languages_with_qrels": list(THREE_LETTERS.values()),
        "topics": [of("eng", "original", "English"), *translated],
        "narratives": {code: {"very-valuable": "all"} for code in THREE_LETTERS.values()},
        "report": {"text": "A report.", "url": "http://example.org", "date": "2020-01-01"},
    }


def json_lines(values: list[dict]) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def put_gzip(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 1, mtime=0))


def put_tar(path: Path, files: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
