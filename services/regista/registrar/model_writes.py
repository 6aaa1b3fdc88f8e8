"""The writes of models: each names its command and leaves all else to the registrar."""

from __future__ import annotations

from regista.domain import commands as c
from regista.registrar import conversion as to
from regista.registrar.direct import HEADERS, Parameter, read_flag
from regista.registrar.writes import REASON, write
from regista.wire import requests as q
from regista.wire import resources as r

IF_NONE_MATCH = "if_none_match"
_CREATE = Parameter("create", bool, "Take the model's name, too, where it is new: both or neither.", False)
_LEAVE_EMPTY = Parameter("leave_empty", bool, "Do it although nothing is in production then.", False)
_EXPECT = Parameter("expect_current", str | None, "The version that the alias must point at now, else 412.")

_VERSION = "models/{model}/versions/{ref}"
MODEL_WRITES = (
    write("POST", "models", "register_model", "Register a model", "models", r.ModelWritten,
           lambda _, b, __: to.register_model(b), body=q.RegisterModel, creates=True),
    write("PATCH", "models/{model}", "update_model", "Change what describes a model", "models", r.ModelWritten,
           lambda p, b, _: to.update_model(p["model"], b), body=q.UpdateModel),
    write("DELETE", "models/{model}", "retire_model", "Retire a model", "models", r.ModelWritten,
           lambda p, _, qs: c.RetireModel(p["model"], read_flag(qs, "leave_empty")), query=(REASON, _LEAVE_EMPTY)),
    write("POST", "models/{model}/revive", "revive_model", "Revive a retired model", "models", r.ModelWritten,
           lambda p, _, __: c.ReviveModel(p["model"]), body=q.ReviveModel),
    write("POST", "models/{model}/versions", "register_version", "Register a version", "versions", r.VersionWritten,
           lambda p, b, qs: to.register_version(p["model"], b, create=read_flag(qs, "create")),
           body=q.RegisterVersion, query=(_CREATE,), creates=True),
    write("PATCH", _VERSION, "update_version", "Describe a version, or complete an import", "versions",
           r.VersionWritten, lambda p, b, _: to.update_version(p["model"], p["ref"], b), body=q.UpdateVersion),
    write("POST", _VERSION + "/evaluations", "record_evaluation", "Add an evaluation", "versions", r.VersionWritten,
           lambda p, b, _: to.record_evaluation(p["model"], p["ref"], b), body=q.RecordEvaluation, creates=True),
    write("POST", _VERSION + "/checks", "report_check", "Report the status of a check", "versions", r.VersionWritten,
           lambda p, b, _: to.report_check(p["model"], p["ref"], b), body=q.ReportCheck, creates=True),
    write("POST", _VERSION + "/promote", "promote", "Promote a version into the next stage", "stages",
           r.VersionWritten, lambda p, b, _: to.promote(p["model"], p["ref"], b), body=q.Promote),
    write("POST", "models/{model}/rollback", "roll_back", "Roll a stage back", "stages", r.VersionWritten,
           lambda p, b, _: to.roll_back(p["model"], b), body=q.RollBack),
    write("POST", _VERSION + "/archive", "archive", "Archive a version", "stages", r.VersionWritten,
           lambda p, b, _: to.archive(p["model"], p["ref"], b), body=q.Archive),
    write("PUT", "models/{model}/aliases/{alias}", "assign_alias", "Point an alias at a version", "aliases", r.AliasWritten,
           lambda p, b, _: to.assign_alias(p["model"], p["alias"], b), body=q.AssignAlias,
           headers=(*HEADERS, IF_NONE_MATCH)),
    write("DELETE", "models/{model}/aliases/{alias}", "remove_alias", "Remove an alias", "aliases", r.AliasWritten,
           lambda p, _, qs: c.RemoveAlias(p["model"], p["alias"], qs.get("expect_current", c.UNSET)),
           query=(REASON, _EXPECT)),
)  # fmt: skip
"""Every write of the model stream."""
