"""The event types, and the names in a filter that stand for several of them."""

COMPLETED = ("job.succeeded", "job.failed", "job.canceled", "job.expired")
JOB_TYPES = ("job.started", "job.progressed", *COMPLETED)
"""What the state machine emits; each has a `sequence`."""
POLL_STALLED = "job.poll_stalled"
GROUP_COMPLETED = "group.completed"
DISABLED = "subscription.disabled"
TEST = "subscription.test"
EVENT_TYPES = (*JOB_TYPES, POLL_STALLED, GROUP_COMPLETED, DISABLED)
"""What a filter may name; TEST is sent to one subscription only, and never named."""

TYPES_BY_NAME = {"job.completed": COMPLETED}
"""Names that stand for several event types in a filter."""

FILTER_NAMES = (*EVENT_TYPES, *TYPES_BY_NAME)
