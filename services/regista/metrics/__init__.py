"""Live metrics of what is served, and what follows from them.

``histogram``, ``totals``, ``windows``, ``estimates``, ``guardrails`` and ``schedule`` are pure: counts, statistics,
verdicts. ``store`` keeps counts in the work database, ``experiments`` judges them and sends commands, ``intake`` takes
reports in, ``routes`` is the API of both.
"""
