"""Builds the HTTP requests that poll one job or many, or cancel one: URL and headers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from processor.errors import InvalidValue
from processor.provider.job_ids import bare_id
from processor.provider.origin import absolute_url
from processor.provider.profile import PollRules, Profile
from processor.provider.url_template import PollTarget, UrlTemplate


class Account(NamedTuple):
    """The polling settings of a source: base URL, token, and the values of placeholders.

    The token is empty while it is not known: a command prints it, which has not run.
    """

    base_url: str = ""
    token: str | None = None
    params: Mapping[str, str] = {}


class PollRequest(msgspec.Struct, frozen=True):
    """An HTTP request without a body."""

    method: str
    url: str
    headers: dict[str, str]


def why_not_pollable(profile: Profile, kind: str | None, account: Account) -> str | None:
    """What a source lacks to poll jobs of this kind; None if nothing is missing."""
    known, poll = profile.kinds.get(kind), profile.polls(kind)
    if known is None or poll is None:
        return f"{profile.name} has no [poll] for this kind of job"
    if poll.auth and not poll.auth.optional and account.token is None:
        return f"{profile.name} is polled with a token; set `token` on the source"
    setting = poll.request.setting
    if setting is not None:
        if account.params.get(setting) or setting in known.params_from_provider:
            return None
        return f"set `{setting}` on the source, with `{{id}}` in place of the job's id"
    if not account.base_url:
        return f"{profile.name} has no default `base_url`; set `base_url` on the source"
    return None


def build_poll_request(
    profile: Profile, kind: str | None, job: str, account: Account, params: Mapping[str, str]
) -> PollRequest:
    """Build the request that polls one job; raise InvalidValue naming what is missing.

    Placeholders are filled, percent-encoded, from the source's params, then from the job's. A
    job's param never replaces one of the source's, and a whole URL from a job must have the
    origin of `base_url`: otherwise anybody who registers or pushes a job could have the source's
    token sent elsewhere.
    """
    poll = profile.polls(kind)
    lack = why_not_pollable(profile, kind, account)
    if poll is None or lack:
        raise InvalidValue(f"this job cannot be polled: {lack}")
    try:
        url = _url(poll, account, {**params, **account.params, "id": bare_id(kind, job)})
    except ValueError as error:
        raise InvalidValue(f"this job cannot be polled: {error}") from None
    return PollRequest("GET", url, _headers(poll, account))


def build_cancel_request(
    profile: Profile, kind: str | None, job: str, account: Account, params: Mapping[str, str]
) -> PollRequest:
    """Build the request that cancels one job; raise InvalidValue naming what is missing.

    It is sent as polls are, with the same token, headers and placeholders.
    """
    poll = profile.polls(kind)
    if poll is None or poll.cancel is None:
        raise InvalidValue(f"{profile.name} has no call that cancels this kind of job")
    try:
        path = poll.cancel.path.fill({**params, **account.params, "id": bare_id(kind, job)})
    except ValueError as error:
        raise InvalidValue(f"this job cannot be canceled: {error}") from None
    url = account.base_url.rstrip("/") + path
    return PollRequest(poll.cancel.method, url, _headers(poll, account))


class ListPage(NamedTuple):
    """Which page of a list is asked for: its number, and the last job of the page before."""

    number: int = 1
    last: str = ""


def build_list_request(
    poll: PollRules,
    account: Account,
    params: Mapping[str, str],
    ids: Sequence[str],
    page: ListPage,
) -> PollRequest:
    """Build the request that polls many jobs at once.

    `ids` are the provider's own. Raise InvalidValue naming what is missing.
    """
    rules = poll.list
    target = rules and (rules.request if page.number == 1 else rules.more)
    if rules is None or not isinstance(target, PollTarget) or target.path is None:
        raise InvalidValue("these jobs cannot be listed: there is no such page")
    values = {**params, **account.params, "page": str(page.number), "last": page.last}
    names = rules.join.join(quote(one, safe="") for one in ids)
    try:
        path = target.path.fill(values, {"ids": names})
    except ValueError as error:
        raise InvalidValue(f"these jobs cannot be listed: {error}") from None
    return PollRequest("GET", account.base_url.rstrip("/") + path, _headers(poll, account))


def _headers(poll: PollRules, account: Account) -> dict[str, str]:
    headers = {"Accept": "application/json", **poll.headers}
    if poll.auth and account.token:
        name, value = poll.auth.header(account.token)
        headers[name] = value
    return headers


def missing_params(profile: Profile, kind: str | None, params: Mapping[str, str]) -> frozenset[str]:
    """The names of params that the poll request needs and that have no value."""
    poll = profile.polls(kind)
    if poll is None:
        return frozenset()
    needs = poll.request.path.placeholders if poll.request.path else {poll.request.setting or ""}
    return frozenset(needs - {"id"} - {name for name, value in params.items() if value})


def _url(poll: PollRules, account: Account, values: Mapping[str, str]) -> str:
    if poll.request.path:
        return account.base_url.rstrip("/") + poll.request.path.fill(values)
    setting = poll.request.setting or ""
    if setting in account.params:
        return UrlTemplate(account.params[setting]).fill(values)
    if not values.get(setting):
        raise ValueError(
            f"its `{setting}` is unknown; give the provider's submit response as `submitted`"
        )
    return absolute_url(account.base_url, values[setting])
