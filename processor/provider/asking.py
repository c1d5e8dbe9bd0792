"""The request of a poll: which URL and headers ask about one job."""

from collections.abc import Mapping

import msgspec

from processor.errors import Invalid
from processor.provider.names import bare_id
from processor.provider.profile import Profile
from processor.provider.template import Template


class Request(msgspec.Struct, frozen=True):
    """An HTTP request without a body."""

    method: str
    url: str
    headers: dict[str, str]


def why_not_pollable(
    profile: Profile, kind: str | None, values: Mapping[str, str], token: str | None
) -> str | None:
    """Say what a source lacks to poll jobs of this kind, or None if nothing."""
    poll = profile.polls(kind)
    if poll is None:
        return f"{profile.name} has no [poll] for this kind of job"
    if poll.auth == "bearer" and not token:
        return f"{profile.name} is asked with a token; set `token` on the source"
    setting = poll.request.setting
    if setting is not None and not values.get(setting):
        return f"set `{setting}` on the source, with `{{id}}` where the job's id belongs"
    return None


def request(  # noqa: PLR0917 - one fact of the question each
    profile: Profile,
    kind: str | None,
    id: str,  # noqa: A002 - the field's word
    base_url: str,
    values: Mapping[str, str],
    token: str | None,
    params: Mapping[str, str] | None = None,
) -> Request:
    """Build the request that asks about one job; raise Invalid naming what is missing.

    Placeholders are filled, percent-encoded, from the source's settings (`values`), then
    from the job's `params`. Only a setting may be a whole URL, and no param hides a
    setting: else whoever registers a job could have the source's token sent elsewhere.
    """
    poll = profile.polls(kind)
    lack = why_not_pollable(profile, kind, values, token)
    if poll is None or lack:
        raise Invalid(f"this job cannot be polled: {lack}")
    headers = {"Accept": "application/json", **poll.headers}
    if poll.auth and token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        if poll.request.path:
            template, base = poll.request.path, base_url.rstrip("/")
        else:
            template, base = Template(values[poll.request.setting or ""]), ""
        url = base + template.fill({**(params or {}), **values, "id": bare_id(kind, id)})
    except ValueError as error:
        raise Invalid(f"this job cannot be polled: {error}") from None
    return Request("GET", url, headers)
