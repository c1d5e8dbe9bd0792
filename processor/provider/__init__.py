"""What a profile may say, and how a push or a response is read through it. In reading order:

large_json           large documents, decoded only where a value is read
pointer              where a value is: JSON pointers, header names, the HTTP code
condition            conditions that a status or an update must meet
url_template         paths with placeholders
origin               the origin that a job's URLs must have
job_ids              job ids and their kinds
field_types          durations, budgets, states, tokens and decoders of a profile
webhook_setup        how a provider is told where to push
profile              what a profile may say, as frozen values
toml_lines           the line of the file at which a key is
pointer_checks       the pointers of a table, and which of them can never match
validation_messages  what does not fit, with a remedy
consistency_checks   what parses and yet can never work
parse_profile        TOML to a Profile, or one line that says what to change
extract_update       one update in our words
decode               a push's body as JSON: plain, form, SNS, CloudEvents
push                 the updates of a push
poll_request         the request of a poll
poll_response        the response to a poll: an update, or a failure
submit_response      the response to the user's own submit call
mirror_path          the paths at which the mirror answers
"""

from processor.provider.job_ids import bare_id, check_id, full_id
from processor.provider.mirror_path import mirror_paths, mirror_template, paths_overlap
from processor.provider.parse_profile import decode_text, parse
from processor.provider.poll_request import (
    Account,
    PollRequest,
    build_poll_request,
    missing_params,
    why_not_pollable,
)
from processor.provider.poll_response import PollFailure, PollFailureKind, read_poll_response
from processor.provider.profile import JobKind, PollRules, Profile, PushRules
from processor.provider.push import ParsedPush, check_content_type, read_push
from processor.provider.submit_response import read_submit_response
from processor.provider.toml_lines import explain_toml_error, line_of, line_of_error
from processor.provider.url_template import UrlTemplate
from processor.provider.validation_messages import (
    ProfileError,
    describe_error,
    did_you_mean,
    unknown_key,
)
from processor.provider.webhook_setup import SetupRequest, WebhookSetup

__all__ = [
    "Account",
    "JobKind",
    "ParsedPush",
    "PollFailure",
    "PollFailureKind",
    "PollRequest",
    "PollRules",
    "Profile",
    "ProfileError",
    "PushRules",
    "SetupRequest",
    "UrlTemplate",
    "WebhookSetup",
    "bare_id",
    "build_poll_request",
    "check_content_type",
    "check_id",
    "decode_text",
    "describe_error",
    "did_you_mean",
    "explain_toml_error",
    "full_id",
    "line_of",
    "line_of_error",
    "mirror_paths",
    "mirror_template",
    "missing_params",
    "parse",
    "paths_overlap",
    "read_poll_response",
    "read_push",
    "read_submit_response",
    "unknown_key",
    "why_not_pollable",
]
