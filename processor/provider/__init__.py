"""What a profile may say, and how a push or an answer is read through it.

seconds    texts that mean seconds: Retry-After, hints, timestamps
large_json  large documents, decoded only where somebody looks
place      where a value lies: JSON pointers, header names, the HTTP code
condition  what must lie where, for a status or an update to count
template   paths with placeholders
origin     the origin that a job's URLs must be at
names      job ids and their kinds
words      durations, budgets, states, tokens and decoders of a profile
register   how a provider is told where to push
profile    what a profile may say, as frozen values
locating   on which line of the file a key stands
naming     the places that a table names, and which of them could never hold
complaining  what does not fit, in words with a remedy
checking   what fits and yet could never work
parsing    TOML → Profile, or one line that says what to change
reading    one update in our words
decode     a push's body as JSON: plain, form, SNS, CloudEvents
push       the updates of a push
answer     an answer to a poll: an update, or the trouble
submit     the answer to the user's own submit call
asking     the request of a poll
mirror_path  at which paths the mirror answers
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
