"""What a profile may say, and how a push or an answer is read through it.

seconds   texts that mean seconds: durations, Retry-After, timestamps
place     where a value lies: JSON pointers and header names
template  paths with placeholders
names     job ids and their kinds
words     durations, budgets, states and filters of a profile
profile   what a profile may say, as frozen values
parsing   TOML → Profile, or one line that says what to change
reading   one update in our words
push      the updates of a push
answer    an answer to a poll: an update, or the trouble
submit    the answer to the user's own submit call
asking    the request of a poll
"""

from processor.provider.answer import Trouble, TroubleKind, read_answer
from processor.provider.asking import Request, request, why_not_pollable
from processor.provider.names import bare_id, check_id, full_id
from processor.provider.parsing import parse
from processor.provider.profile import Kind, Poll, Profile, Push
from processor.provider.push import Reading, check_content_type, read_push
from processor.provider.reading import read_json
from processor.provider.seconds import duration, retry_after, timestamp
from processor.provider.submit import read_submit
from processor.provider.template import Template

__all__ = [
    "Kind",
    "Poll",
    "Profile",
    "Push",
    "Reading",
    "Request",
    "Template",
    "Trouble",
    "TroubleKind",
    "bare_id",
    "check_content_type",
    "check_id",
    "duration",
    "full_id",
    "parse",
    "read_answer",
    "read_json",
    "read_push",
    "read_submit",
    "request",
    "retry_after",
    "timestamp",
    "why_not_pollable",
]
