"""The writes of environments, targets and endpoints: each names its command and leaves all else to the registrar."""

from __future__ import annotations

from regista.domain.commands import UNSET
from regista.domain.endpoint.commands import ChangeExpectation, RetireEndpoint
from regista.domain.errors import Malformed
from regista.domain.target.commands import RemoveTarget
from regista.registrar import deployment_conversion as to
from regista.registrar.direct import Parameter
from regista.registrar.writes import REASON, Query, write
from regista.wire import deployments as d

_ENVIRONMENT = "environments/{environment}"
_TARGET = "targets/{target}"
_ENDPOINT = "endpoints/{environment}/{endpoint}"
_EXPECT_CHANGE = Parameter("expect_change", int | None, "The sequence that the newest change must have, else 412.")
_MAX_DIGITS = 18


def _expected_change(query: Query) -> ChangeExpectation:
    text = query.get("expect_change")
    if text is None:
        return UNSET
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise Malformed(
            f"expect_change={text[:60]!r} is no sequence", code="bad_parameter", hint="Write the change's sequence."
        )
    return int(text)


DEPLOYMENT_WRITES = (
    write("PUT", _ENVIRONMENT, "define_environment", "Define an environment", "environments", d.EnvironmentWritten,
          lambda p, b, _: to.define_environment(p["environment"], b), body=d.DefineEnvironment, creates=True),
    write("POST", _ENVIRONMENT + "/rollback", "roll_back_environment", "Roll all of an environment back",
          "environments", d.RollbackWritten, lambda p, b, _: to.roll_back_environment(p["environment"], b),
          body=d.RollBackEnvironment),
    write("PUT", _TARGET, "put_target", "Say what a target is", "targets", d.TargetWritten,
          lambda p, b, _: to.put_target(p["target"], b), body=d.PutTarget, creates=True, secrets=to.target_secrets),
    write("DELETE", _TARGET, "remove_target", "Remove a target", "targets", d.TargetWritten,
          lambda p, _, __: RemoveTarget(p["target"]), query=(REASON,)),
    write("POST", "endpoints", "create_endpoint", "Create an endpoint", "endpoints", d.EndpointWritten,
          lambda _, b, __: to.create_endpoint(b), body=d.CreateEndpoint, creates=True),
    write("PATCH", _ENDPOINT, "update_endpoint", "Change what describes an endpoint", "endpoints", d.EndpointWritten,
          lambda p, b, _: to.update_endpoint(p["environment"], p["endpoint"], b), body=d.UpdateEndpoint),
    write("PUT", _ENDPOINT + "/traffic", "change_traffic", "Change what is served", "endpoints", d.EndpointWritten,
          lambda p, b, _: to.change_traffic(p["environment"], p["endpoint"], b), body=d.ChangeTraffic),
    write("POST", _ENDPOINT + "/rollback", "roll_back_endpoint", "Serve again what was served before", "endpoints",
          d.EndpointWritten, lambda p, b, _: to.roll_back_endpoint(p["environment"], p["endpoint"], b),
          body=d.RollBackEndpoint),
    write("POST", _ENDPOINT + "/follow", "follow_version", "Serve what is followed, now", "endpoints",
          d.EndpointWritten, lambda p, b, _: to.follow_version(p["environment"], p["endpoint"], b),
          body=d.FollowVersion),
    write("POST", _ENDPOINT + "/reports", "report_deployment", "Report what became of a change", "endpoints",
          d.ReportWritten, lambda p, b, _: to.report_deployment(p["environment"], p["endpoint"], b),
          body=d.ReportDeployment, creates=True),
    write("POST", _ENDPOINT + "/conclude", "conclude_experiment", "Conclude an experiment", "endpoints",
          d.ConclusionWritten, lambda p, b, _: to.conclude_experiment(p["environment"], p["endpoint"], b),
          body=d.ConcludeExperiment, creates=True),
    write("DELETE", _ENDPOINT, "retire_endpoint", "Serve nothing any more", "endpoints", d.EndpointWritten,
          lambda p, _, q: RetireEndpoint(p["environment"], p["endpoint"], _expected_change(q)),
          query=(REASON, _EXPECT_CHANGE)),
)  # fmt: skip
"""Every write of the environment, target and endpoint streams."""
