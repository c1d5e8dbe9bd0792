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

from processor.durations import duration
from processor.http_time import retry_after, timestamp
from processor.json_input import read_json
from processor.provider.job_ids import bare_id, check_id, full_id
from processor.provider.mirror_path import mirror_paths, mirror_template, overlap
from processor.provider.parse_profile import parse, text_of
from processor.provider.poll_request import Account, Request, missing, request, why_not_pollable
from processor.provider.poll_response import Trouble, TroubleKind, read_answer
from processor.provider.profile import Kind, Poll, Profile, PushRules
from processor.provider.push import Reading, check_content_type, read_push
from processor.provider.submit_response import read_submit
from processor.provider.toml_lines import line_of, line_of_error, why_no_toml
from processor.provider.url_template import Template
from processor.provider.validation_messages import Misfit, complaint, did_you_mean, unknown_key
from processor.provider.webhook_setup import Order, Register

__all__ = [
    "Account",
    "Kind",
    "Misfit",
    "Order",
    "Poll",
    "Profile",
    "PushRules",
    "Reading",
    "Register",
    "Request",
    "Template",
    "Trouble",
    "TroubleKind",
    "bare_id",
    "check_content_type",
    "check_id",
    "complaint",
    "did_you_mean",
    "duration",
    "full_id",
    "line_of",
    "line_of_error",
    "mirror_paths",
    "mirror_template",
    "missing",
    "overlap",
    "parse",
    "read_answer",
    "read_json",
    "read_push",
    "read_submit",
    "request",
    "retry_after",
    "text_of",
    "timestamp",
    "unknown_key",
    "why_no_toml",
    "why_not_pollable",
]
