"""The pages of the Python API, from the docstrings of the public packages."""

PACKAGES = {
    "transport": "Batched optimal transport on small problems.",
    "objectives": "Losses between the token vectors of a student and a teacher.",
    "retrieval": "An index of token vectors, exact MaxSim search, BM25, and TREC run files.",
    "evaluation": "Measures of rankings, significance and robustness.",
    "curves": "Tables, curves with intervals, scaling laws, claims and figures from anybody's scores.",
}


def api_pages() -> dict[str, tuple[str, str]]:
    """Path -> title and Markdown of the page of each public package."""
    pages = {"reference/api/index.md": ("Overview", _overview())}
    for package, summary in PACKAGES.items():
        text = f"# optical_sweeps.{package}\n{summary}\n\n::: optical_sweeps.{package}\n"
        pages[f"reference/api/{package}.md"] = (package, text)
    return pages


def _overview() -> str:
    rows = "\n".join(
        f"| [`optical_sweeps.{name}`]({name}.md) | {summary} |" for name, summary in PACKAGES.items()
    )
    return (
        "# Python API\nThese packages are the public interface ([Stability](../stability.md)).\n"
        "Each can be imported alone, and loads only what it needs.\n\n"
        f"| package | contents |\n| --- | --- |\n{rows}\n"
    )
