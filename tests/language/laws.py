"""The laws that the tests of the language know: names and kinds as ``checks`` publishes them."""

from __future__ import annotations

from typing import Final

LAWS: Final[dict[str, str | None]] = {
    "no_orphans": None,
    "no_lost_errors": None,
    "bounded_requests": "count",
    "tools_run_once": None,
    "no_partial_tool_call_runs": None,
    "partial_is_not_success": None,
    "history_well_formed": None,
    "results_pair_with_calls": None,
    "bounded_silence": "duration",
    "backoff_respects_retry_after": None,
    "no_repeated_request": "count",
    "ends": None,
    "nothing_after_cancel": "duration",
    "no_fetch_after_terminal": None,
    "give_up_cancels_job": None,
    "polls_respect_interval": "duration",
    "background_cap": "count",
    "parked_ends_once": None,
    "cancelled_means_stopped": None,
    "parked_is_not_rerun": None,
    "no_busy_polling": None,
    "loop_not_blocked": "duration",
    "usage_counted_once": None,
}
