"""The writes of subscriptions: each names its command and leaves all else to the registrar."""

from __future__ import annotations

from regista.domain.subscription.commands import RemoveSubscription
from regista.registrar import subscription_conversion as to
from regista.registrar.writes import REASON, write
from regista.wire import subscriptions as s

_SUBSCRIPTION = "subscriptions/{subscription}"

SUBSCRIPTION_WRITES = (
    write("POST", "subscriptions", "create_subscription", "Have events sent somewhere", "subscriptions",
          s.SubscriptionWritten, lambda _, b, __: to.create_subscription(b), body=s.CreateSubscription, creates=True,
          secrets=to.created_secrets),
    write("PATCH", _SUBSCRIPTION, "update_subscription", "Change, disable or enable a subscription", "subscriptions",
          s.SubscriptionWritten, lambda p, b, _: to.update_subscription(p["subscription"], b),
          body=s.UpdateSubscription, secrets=to.updated_secrets),
    write("POST", _SUBSCRIPTION + "/rotate", "rotate_subscription_secret", "Sign with another secret", "subscriptions",
          s.SubscriptionWritten, lambda p, b, _: to.rotate_secret(p["subscription"], b), body=s.RotateSecret,
          secrets=to.rotated_secrets),
    write("DELETE", _SUBSCRIPTION, "remove_subscription", "Send nothing any more", "subscriptions",
          s.SubscriptionWritten, lambda p, _, __: RemoveSubscription(p["subscription"]), query=(REASON,)),
)  # fmt: skip
"""Every write of the subscription stream."""
