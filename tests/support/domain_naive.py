"""What a model is by its design, in plain lists and dictionaries: slow, obvious, and written without a look at the code.

Every command is a method that answers with what must happen, as a dictionary, or with the code of its refusal, as text.
It changes nothing but itself, and only where the command is carried out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

STAGES = ["candidate", "staging", "production", "archived"]
HELD = ["staging", "production"]
Number: TypeAlias = tuple[int, int, int, int | None]
"""Major, minor, patch, and N of a pre-release ``rc.N``."""
Interface: TypeAlias = dict[str, bool]
"""Inputs by name: whether each has a default."""
Version: TypeAlias = dict[str, Any]
Outcome: TypeAlias = dict[str, Any] | str


def text(number: Number) -> str:
    release = ".".join(map(str, number[:3]))
    return release if number[3] is None else f"{release}-rc.{number[3]}"


def rank(number: Number) -> tuple[int, int, int, float]:
    return (*number[:3], float("inf") if number[3] is None else number[3])


def after(number: Number, level: str) -> Number:
    """The least release of this level above a number."""
    major, minor, patch, candidate = number
    if level == "major":
        return (major if candidate is not None and (minor, patch) == (0, 0) else major + 1, 0, 0, None)
    if level == "minor":
        return (major, minor if candidate is not None and patch == 0 else minor + 1, 0, None)
    return (major, minor, patch if candidate is not None else patch + 1, None)


def change(old: Interface, new: Interface) -> str:
    """``break``, ``grow`` or ``same``, for those who call with the old interface."""
    removed = [name for name in old if name not in new]
    demanded = [name for name, default in new.items() if not default and old.get(name, True)]
    if removed or demanded:
        return "break"
    return "same" if old == new else "grow"


class NaiveModel:
    """One model, called ``fraud``, registered from the start."""

    def __init__(self) -> None:
        self.versions: list[Version] = []
        self.aliases: dict[str, Version] = {}
        self.retired = False
        self.clock = 0
        self.line: dict[str, list[tuple[int, Version]]] = {stage: [] for stage in HELD}
        """Per stage: who came in when, as far as a rollback has not undone it."""
        self.came: dict[str, dict[int, int]] = {stage: {} for stage in HELD}
        """Per stage: when each version that ever held it came in last, by ordinal."""
        self.bad: dict[str, set[int]] = {stage: set() for stage in HELD}
        """Per stage: the ordinals of those that a rollback took out, until they are promoted anew."""

    # Looking

    def holders(self, stage: str) -> list[Version]:
        """Who holds a stage, the last to come in last."""
        inside = [v for v in self.versions if v["stage"] == stage]
        return sorted(inside, key=lambda v: self.came[stage][v["ordinal"]])

    def find(self, ref: str) -> Version | str:
        """The version of a reference, or the code of the refusal."""
        found: list[Version]
        if ref.startswith("sha256:"):
            found = [v for v in self.versions if ref in v["digests"]]
        elif ref.startswith("@") and ref[1:] in HELD:
            found = self.holders(ref[1:])[-1:]
        elif ref.startswith("@") and ref[1:] in STAGES:
            found = sorted(
                (v for v in self.versions if v["stage"] == ref[1:]), key=lambda v: (v["entered"], -v["ordinal"])
            )[-1:]
        elif ref.startswith("@"):
            found = [self.aliases[ref[1:]]] if ref[1:] in self.aliases else []
        elif "." in ref:
            found = [v for v in self.versions if text(v["number"]) == ref.removeprefix("v")]
        else:
            found = [v for v in self.versions if str(v["ordinal"]) == ref]
        if len(found) > 1:
            return "ambiguous_reference"
        return found[0] if found else "unknown_version"

    def _expected(self, expected: str | bool | None, current: Version | None) -> str | None:
        """The code of the refusal where an expectation (False: none) does not hold."""
        if expected is False:
            return None
        assert expected is not True
        there = None if expected is None else self.find(expected)
        if there == "ambiguous_reference":
            return "ambiguous_reference"
        return None if there is current else "expectation_failed"

    # Registering

    def register(
        self,
        version: Number | None,
        base: str | None,
        interface: Interface | None,
        *,
        same_weights: bool,
        ordinal: int | None,
        incomplete: Iterable[str],
        digests: set[str],
    ) -> Outcome:
        """``version`` None: auto. ``ordinal`` and ``incomplete`` are for imports."""
        if self.retired:
            return "model_retired"
        named_base = None if base is None else self.find(base)
        if isinstance(named_base, str):
            return named_base
        chosen = (
            self._auto(named_base, interface, same_weights)
            if version is None
            else self._named(version, named_base, interface)
        )
        if isinstance(chosen, str):
            return chosen
        last = self.versions[-1]["ordinal"] if self.versions else 0
        if ordinal is not None and ordinal <= last:
            return "ordinal_taken"
        self.clock += 1
        self.versions.append(
            {
                "number": chosen,
                "ordinal": last + 1 if ordinal is None else ordinal,
                "stage": "candidate",
                "entered": self.clock,
                "interface": interface,
                "weights": same_weights,
                "failed": set(),
                "incomplete": set(incomplete),
                "digests": digests,
            }
        )
        return {"version": text(chosen), "ordinal": self.versions[-1]["ordinal"]}

    def _auto(self, base: Version | None, interface: Interface | None, same_weights: bool) -> Number:
        if base is None and not self.versions:
            return (1, 0, 0, None)
        base = base or max(self.versions, key=lambda v: rank(v["number"]))
        level = "minor"
        if interface is not None and base["interface"] is not None:
            kind = change(base["interface"], interface)
            if kind == "break":
                level = "minor" if base["number"][0] == 0 else "major"
            elif kind == "same" and same_weights and base["weights"]:
                level = "patch"
        kept = {"major": 0, "minor": 1, "patch": 2}[level]
        line = [v["number"] for v in self.versions if v["number"][:kept] == base["number"][:kept]]
        number = after(base["number"], level)
        highest = max(line, key=rank)
        return number if rank(number) > rank(highest) else after(highest, level)

    def _named(self, number: Number, base: Version | None, interface: Interface | None) -> Number | str:
        if number in [v["number"] for v in self.versions]:
            return "version_taken"
        below = [v for v in self.versions if rank(v["number"]) < rank(number)]
        base = base or max(below, key=lambda v: rank(v["number"]), default=None)
        if base is None or interface is None or base["interface"] is None:
            return number
        kind = change(base["interface"], interface)
        breaking = "minor" if base["number"][0] == 0 else "major"
        least = {"break": after(base["number"], breaking), "grow": after(base["number"], "minor")}.get(kind)
        return number if least is None or number[:3] >= least[:3] else "number_contradicts_signature"

    def complete(self, ref: str, fields: set[str], *, waive: bool) -> Outcome:
        if self.retired:
            return "model_retired"
        version = self.find(ref)
        if isinstance(version, str):
            return version
        if not fields:
            return "nothing_to_change"
        if not fields <= version["incomplete"]:
            return "already_recorded"
        self.clock += 1
        version["incomplete"] -= fields
        return {"version": text(version["number"]), "waived": tuple(sorted(fields)) if waive else ()}

    def check(self, ref: str, name: str, *, failed: bool) -> Outcome:
        if self.retired:
            return "model_retired"
        version = self.find(ref)
        if isinstance(version, str):
            return version
        self.clock += 1
        (version["failed"].add if failed else version["failed"].discard)(name)
        return {"version": text(version["number"])}

    # Stages

    def promote(self, ref: str, to: str, *, keep: bool, expected: str | bool | None, lost: set[int]) -> Outcome:
        if self.retired:
            return "model_retired"
        version = self.find(ref)
        if isinstance(version, str):
            return version
        holders = self.holders(to) if to in HELD else []
        newest = self.find(f"@{to}")
        if refusal := self._expected(expected, None if isinstance(newest, str) else newest):
            return refusal
        wrong = self._out_of_order(version["stage"], to)
        wrong += ["check_failed"] * len(version["failed"]) + ["incomplete"] * len(version["incomplete"])
        wrong += ["artifact_missing"] if version["ordinal"] in lost else []
        if wrong:
            return wrong[0] if len(wrong) == 1 else "promotion_refused"
        answer = {
            "version": text(version["number"]),
            "from_stage": version["stage"],
            "previous_version": text(holders[-1]["number"]) if holders else None,
            "displaced": set() if keep else {text(v["number"]) for v in holders},
        }
        self._enter(version, to, leaving=[] if keep else holders)
        if to in HELD:
            self.came[to][version["ordinal"]] = self.clock
            self.line[to].append((self.clock, version))
            self.bad[to].discard(version["ordinal"])
        return answer

    def _out_of_order(self, here: str, to: str) -> list[str]:
        if to == "archived":
            return ["use_archive"]
        if here == to:
            return ["already_in_stage"]
        if here == "archived":
            return [] if to == "candidate" else ["stage_skipped"]
        steps = STAGES.index(to) - STAGES.index(here)
        return [] if steps == 1 else ["stage_backwards" if steps < 0 else "stage_skipped"]

    def _enter(self, version: Version, stage: str, leaving: list[Version]) -> None:
        self.clock += 1
        for other in leaving:
            other["stage"], other["entered"] = "archived", self.clock
        if version["stage"] != stage:
            version["stage"], version["entered"] = stage, self.clock

    def rollback_order(self, stage: str) -> list[Version]:
        """Where a rollback goes, in order, if nothing is in the way."""
        holders = self.holders(stage)
        began = self.came[stage][holders[-1]["ordinal"]] if holders else self.clock + 1
        order: list[Version] = []
        for came, version in reversed(self.line[stage]):
            further = STAGES.index(stage) < STAGES.index(version["stage"]) < STAGES.index("archived")
            present = bool(holders) and version is holders[-1]
            if came < began and not present and not further and version["ordinal"] not in self.bad[stage]:
                order += [version] if version not in order else []
        return order

    def roll_back(self, stage: str, to: str | None, *, expected: str | bool | None, lost: set[int]) -> Outcome:
        if self.retired:
            return "model_retired"
        holders = self.holders(stage)
        if refusal := self._expected(expected, holders[-1] if holders else None):
            return refusal
        order = self.rollback_order(stage)
        if to is None and not order:
            return "nothing_to_roll_back_to"
        target = order[0] if to is None else self.find(to)
        if isinstance(target, str):
            return target
        if holders and target is holders[-1]:
            return "already_in_stage"
        if target["ordinal"] not in self.came[stage]:
            return "never_held"
        if STAGES.index(stage) < STAGES.index(target["stage"]) < STAGES.index("archived"):
            return "in_later_stage"
        if target["ordinal"] in lost:
            return "artifact_missing"
        leaving = holders[holders.index(target) + 1 :] if target in holders else holders
        answer = {
            "version": text(target["number"]),
            "from_stage": target["stage"],
            "previous_version": text(holders[-1]["number"]) if holders else None,
            "displaced": {text(v["number"]) for v in leaving},
        }
        self._enter(target, stage, leaving)
        began = self.came[stage][target["ordinal"]]
        self.line[stage] = [(came, v) for came, v in self.line[stage] if came < began] + [(began, target)]
        self.bad[stage] |= {v["ordinal"] for v in leaving}
        self.bad[stage].discard(target["ordinal"])
        return answer

    def archive(self, ref: str, *, leave_empty: bool) -> Outcome:
        if self.retired:
            return "model_retired"
        version = self.find(ref)
        if isinstance(version, str):
            return version
        if version["stage"] == "archived":
            return "already_archived"
        last = version["stage"] in HELD and self.holders(version["stage"]) == [version]
        if last and version["stage"] == "production" and not leave_empty:
            return "leaves_empty"
        answer = {"version": text(version["number"]), "from_stage": version["stage"], "leaves_empty": last}
        self.clock += 1
        version["stage"], version["entered"] = "archived", self.clock
        return answer

    # Aliases and life

    def assign(self, alias: str, ref: str, *, expected: str | bool | None) -> Outcome:
        if self.retired:
            return "model_retired"
        version = self.find(ref)
        if isinstance(version, str):
            return version
        before = self.aliases.get(alias)
        if refusal := self._expected(expected, before):
            return refusal
        self.clock += 1
        self.aliases[alias] = version
        previous = None if before is None else text(before["number"])
        return {"version": text(version["number"]), "previous_version": previous}

    def unassign(self, alias: str, *, expected: str | bool | None) -> Outcome:
        if self.retired:
            return "model_retired"
        before = self.aliases.get(alias)
        if before is None:
            return "unknown_alias"
        if refusal := self._expected(expected, before):
            return refusal
        self.clock += 1
        del self.aliases[alias]
        return {"previous_version": text(before["number"])}

    def retire(self, *, leave_empty: bool) -> Outcome:
        if self.retired:
            return "model_retired"
        if self.holders("production") and not leave_empty:
            return "still_serving"
        self.clock += 1
        self.retired = True
        held = [(stage, text(v["number"])) for stage in HELD for v in self.holders(stage)]
        return {"holders": set(held)}

    def revive(self) -> Outcome:
        if not self.retired:
            return "not_retired"
        self.clock += 1
        self.retired = False
        return {}
