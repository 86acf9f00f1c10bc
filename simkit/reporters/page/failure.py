"""The page of one run: everything that a person needs to understand a failure, in one file that works offline.

The idea: the verdict, the run as a drawing and as a list, the scenario beside it, the normal run, the conversation, the
laws and the data itself are views of one embedded value. The constraint: the file needs nothing but a browser, and is
bounded however long the run was. Pictures made here were refused: one can neither step through them nor read them
aloud.
"""

from __future__ import annotations

from simkit.model.verdict import Result
from simkit.reporters.lanes import printable
from simkit.reporters.layout import PLAIN, UNKNOWN_TO_ALL, Known, ReportOptions
from simkit.reporters.mermaid import mermaid
from simkit.reporters.page.data import Beside, data, deciding, trace_lines
from simkit.reporters.page.document import as_json, document, escaped
from simkit.reporters.page.source import SourceReader, no_source
from simkit.reporters.page.window import window
from simkit.reporters.perfetto import perfetto


def page(
    result: Result,
    *,
    normal: Result | None = None,
    source_reader: SourceReader = no_source,
    known: Known = UNKNOWN_TO_ALL,
    options: ReportOptions = PLAIN,
) -> str:
    """Return the page of a run as one HTML file.

    ``normal`` is the run that it is compared with, ``source_reader`` gives the line of code that ``file:line`` names,
    ``known`` what is stored of the failure, and ``options`` how the run was called.
    """
    return page_beside(result, Beside(normal=normal, source_reader=source_reader, known=known, options=options))


def page_beside(result: Result, beside: Beside) -> str:
    """Return the page of a run, with everything that is told beside it as one value."""
    shown = window(result.trace, deciding(result))
    scenario = result.scenario
    return document(
        "page.html",
        "page.js",
        title=f"{result.outcome}: {printable(scenario.title)}",
        summary=_summary(result),
        blocks={
            "data": as_json(data(result, shown, beside)),
            "trace": escaped("\n".join(trace_lines(result, shown))),
            "perfetto": escaped(perfetto([result], [event.n for event in shown.events])),
            "mermaid": as_json(mermaid(result)),
        },
    )


def _summary(result: Result) -> str:
    """Return what a browser without scripts shows: the verdict and its reasons."""
    return "\n".join([result.outcome, *(printable(f"{one.law}: {one.text}") for one in result.findings)])
