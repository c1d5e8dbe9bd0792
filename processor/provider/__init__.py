"""Provider profiles: what a profile may say, and how pushes and poll responses are read with it.

In reading order:

large_json           large JSON documents, decoded lazily
pointer              JSON pointers, header names and the HTTP code: where a value is
condition            conditions on a document: which values select an update or its status
url_template         paths and URLs with placeholders
origin               the origin that a job's URLs must have
job_ids              valid job ids, and the kind in an id
field_types          the types of a profile's values: durations, budgets, states, auth, decoders
webhook_setup        the `[register]` table: how our push URL is registered with the provider
profile              the tables of a profile as frozen values
toml_lines           the line of a key in a TOML file, for error messages
pointer_checks       the JSON pointers of a profile, and those that can never match
validation_messages  msgspec's validation errors as messages with key, table and remedy
consistency_checks   refuses what parses but could never work
parse_profile        TOML to a Profile, or one error with line, key and remedy
extract_update       one status update from a document
decode               the body of a push as JSON: plain, form, SNS, CloudEvents
ignored              why a part of a push is not about a job
push                 the status updates of a push, or its challenge
poll_request         builds the HTTP request that polls a job or many, or cancels a job
rate_limit_headers   for how long an account has no requests left
poll_response        the response to a poll or a cancel call: a status update, or a reason
list_response        the response to a request that polls many jobs: the answer about each
submit_response      the provider's response to the user's own submit call
mirror_path          the paths of the mirror
"""

from processor.provider.decode import check_content_type, check_encoding
from processor.provider.ignored import IgnoredPart
from processor.provider.job_ids import bare_id, check_id, full_id
from processor.provider.list_response import (
    ListedJob,
    ListedJobs,
    as_answer,
    read_list_response,
)
from processor.provider.mirror_path import mirror_paths, mirror_template, paths_overlap
from processor.provider.parse_profile import decode_profile, parse
from processor.provider.poll_request import (
    Account,
    ListPage,
    PollRequest,
    build_cancel_request,
    build_list_request,
    build_poll_request,
    missing_params,
    why_not_pollable,
)
from processor.provider.poll_response import (
    PollFailure,
    PollFailureKind,
    read_cancel_response,
    read_poll_response,
)
from processor.provider.profile import JobKind, ListRules, PollRules, Profile, PushRules
from processor.provider.push import ParsedPush, accept_push, read_push
from processor.provider.rate_limit_headers import exhausted_for
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
    "IgnoredPart",
    "JobKind",
    "ListPage",
    "ListRules",
    "ListedJob",
    "ListedJobs",
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
    "accept_push",
    "as_answer",
    "bare_id",
    "build_cancel_request",
    "build_list_request",
    "build_poll_request",
    "check_content_type",
    "check_encoding",
    "check_id",
    "decode_profile",
    "describe_error",
    "did_you_mean",
    "exhausted_for",
    "explain_toml_error",
    "full_id",
    "line_of",
    "line_of_error",
    "mirror_paths",
    "mirror_template",
    "missing_params",
    "parse",
    "paths_overlap",
    "read_cancel_response",
    "read_list_response",
    "read_poll_response",
    "read_push",
    "read_submit_response",
    "unknown_key",
    "why_not_pollable",
]
