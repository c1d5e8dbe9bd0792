"""`ringback sources register` against a provider's webhook API: created once, found again, no secret shown.

The profiles are in tests/service/registration/profiles/; each says which real provider it is like.
"""

import json
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from processor import provider as registry
from processor.cli import main
from processor.errors import ConfigError
from processor.provider import parse
from processor.provider.webhook_setup import fill_body, placeholders, without_placeholders

PROFILES = Path(__file__).parent / "profiles"
PUBLIC = "https://hooks.example.com/ringback/"
SECRET, TOKEN = "s3cret of +ours", "t0ken:of ours"
SIGNING = "whsec_" + b64encode(bytes(range(32))).decode()

Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]
Run = Callable[..., tuple[int, str, str]]


@dataclass
class Provider:
    """A provider with hooks; `refuses` answers any request that it names instead."""

    hooks: list[Any] = field(default_factory=list)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    refuses: dict[str, Answer] = field(default_factory=dict)
    url: str = ""

    @property
    def calls(self) -> list[str]:
        return [call for call, _ in self.asked]

    def answer(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        self.asked.append((f"{method} {path}", body))
        self.headers.append(headers)
        if method in self.refuses:
            return self.refuses[method]
        proof = headers.get("authorization") or headers.get("x-key")
        if proof not in GOOD:
            return 401, {"message": f"who is {proof}?"}
        return LIKE[path.split("/")[1].partition("?")[0]](self, method, path, body)


GOOD = {f"Bearer {TOKEN}", TOKEN, "Basic " + b64encode(TOKEN.encode()).decode()}


def hub(self: Provider, method: str, path: str, body: Any) -> Answer:
    if method == "GET":
        return 200, self.hooks
    hook = {"id": 123, **body, "config": {**body["config"], "secret": "********"}}
    if method == "PATCH" and path.endswith("/123"):
        self.hooks[:] = [hook]
        return 200, hook
    self.hooks.append(hook)
    return 201, hook


def flare(self: Provider, _method: str, path: str, body: Any) -> Answer:
    assert path == "/accounts/acc%201/stream/webhook"
    self.hooks[:] = [body]
    return 200, {"result": {**body, "secret": "from flare"}}


def mux_like(self: Provider, method: str, _path: str, body: Any) -> Answer:
    if method == "GET":
        return 200, {"data": self.hooks}
    self.hooks.append({"id": "w1", **body})
    return 201, {"data": {**self.hooks[-1], "signing_secret": "from mux"}}


def tokens(self: Provider, method: str, _path: str, body: Any) -> Answer:
    if method == "POST":
        self.hooks.append(body)
    return 200, self.hooks


LIKE = {"repos": hub, "accounts": flare, "webhooks": mux_like, "hooks": tokens}


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(raw) if raw else None
            status, document, *more = provider.answer(self.command, self.path, body, headers)
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            for name, value in {**(more[0] if more else {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 - the base's names

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield provider
        server.shutdown()
        thread.join()


@pytest.fixture
def ringback(capsys, monkeypatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    for name in ("RINGBACK_CONFIG", "RINGBACK_URL", "RINGBACK_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return ended.value.code or 0, *capsys.readouterr()

    return run


PARAMS = {"hub": {"repo": "me/it"}, "flare": {"account": "acc 1"}}


@pytest.fixture
def register(ringback: Run, provider: Provider) -> Run:
    """Register a source `mine` at this provider; keywords are keys of the source."""

    def run(name: str, *options: str, **keys: Any) -> tuple[int, str, str]:
        given: dict[str, Any] = {
            "provider": name,
            "token": TOKEN,
            "webhook_secret": SECRET,
            "base_url": provider.url,
            "params": PARAMS.get(name, {}),
        }
        table = {key: value for key, value in (given | keys).items() if value is not None}
        params = ", ".join(f"{k} = {json.dumps(v)}" for k, v in table.pop("params", {}).items())
        lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
        text = "\n".join([f'providers = "{PROFILES}"', "[sources.mine]", *lines])
        Path("ringback.toml").write_text(f"{text}\nparams = {{ {params} }}\n")
        public = () if "--url" in options else ("--url", PUBLIC)
        return ringback("sources", "register", "mine", *public, *options)

    return run


HOOK = "https://hooks.example.com/ringback/hooks/mine"


# Made once -----------------------------------------------------------------------------------


def test_a_webhook_is_created_once_and_then_updated(register: Run, provider: Provider):
    assert register("hub") == (0, f"created hook 123 for {HOOK}\n", "")
    assert register("hub") == (0, f"updated hook 123 for {HOOK}\n", "")
    assert len(provider.hooks) == 1
    assert provider.calls == [
        "GET /repos/me/it/hooks?per_page=100",
        "POST /repos/me/it/hooks",
        "GET /repos/me/it/hooks?per_page=100",
        "PATCH /repos/me/it/hooks/123",
    ]
    bodies = [body for _, body in provider.asked if body]
    assert bodies[0] == bodies[1]
    assert bodies[0] == {
        "active": True,
        "events": ["run"],
        "config": {"url": HOOK, "label": "mine", "secret": SECRET},
    }


def test_a_command_prints_the_token(register: Run, provider: Provider, tmp_path: Path):
    command = tmp_path / "token"
    command.write_text(f"#!/bin/sh\nprintf '%s\\n' {TOKEN!r}\n")
    command.chmod(0o755)
    assert register("hub", token=["exec", "./token"])[0] == 0
    assert provider.headers[-1]["authorization"] == f"Bearer {TOKEN}"
    command.write_text("#!/bin/sh\necho log in first >&2\nexit 4\n")
    code, _, err = register("hub", token=["exec", "./token"])
    assert code == 2
    assert "sources.mine.token: " in err
    assert "it ended with exit code 4: log in first" in " ".join(err.split())


def test_a_request_carries_what_a_poll_would(register: Run, provider: Provider):
    register("hub")
    sent = provider.headers[-1]
    assert sent["authorization"] == f"Bearer {TOKEN}"
    assert sent["x-version"] == "2022-11-28"
    assert sent["content-type"] == "application/json"
    register("tokens")
    assert "authorization" not in provider.headers[-1]
    assert provider.headers[-1]["x-key"] == TOKEN


def test_a_webhook_without_an_update_request_is_kept(register: Run, provider: Provider):
    assert register("mux-like")[0] == 0
    assert register("mux-like", webhook_secret="from mux") == (
        0,
        f"nothing to do: hook w1 for {HOOK}\n",
        "",
    )
    assert provider.calls == ["GET /webhooks", "POST /webhooks", "GET /webhooks"]


def test_the_only_webhook_of_an_account_is_replaced(register: Run, provider: Provider):
    for _ in range(2):
        code, out, err = register("flare", webhook_secret="from flare")
        assert (code, out, err) == (0, f"updated the hook for {HOOK}\n", "")
    assert provider.hooks == [{"notificationUrl": HOOK}]
    assert provider.calls == ["PUT /accounts/acc%201/stream/webhook"] * 2


@pytest.mark.parametrize(
    "theirs",
    [
        HOOK,
        HOOK + "/",
        HOOK + "?source=console",
        HOOK.replace("hooks.example", "HOOKS.Example").replace("https", "HTTPS"),
    ],
)
def test_an_existing_webhook_is_found_despite_url_spelling(
    register: Run, provider: Provider, theirs: str
):
    odd = [None, 7, {}, {"config": None}, {"config": {"url": 7}}, {"config": {"url": "::"}}]
    others = [{"config": {"url": url}} for url in (HOOK + "2", HOOK[:-1], "https://[", PUBLIC)]
    provider.hooks = [*odd, *others, {"id": 123, "config": {"url": theirs}}]
    assert register("hub")[1] == f"updated hook 123 for {HOOK}\n"


def test_a_spelling_of_its_own_is_no_reason_to_refuse(register: Run, provider: Provider):
    provider.hooks = [
        {"id": "w1", "address": HOOK.replace("hooks.example", "Hooks.Example") + "/?a"}
    ]
    assert register("mux-like")[1] == f"nothing to do: hook w1 for {HOOK}\n"


def test_a_webhook_with_another_path_case_is_not_ours(register: Run, provider: Provider):
    provider.hooks = [{"id": 1, "config": {"url": HOOK.replace("/hooks/", "/Hooks/")}}]
    assert register("hub")[1].startswith("created")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]"])
def test_a_response_without_details_counts_as_success(
    register: Run, provider: Provider, content: bytes
):
    provider.refuses["POST"] = (202, content)
    assert register("hub") == (0, f"created the hook for {HOOK}\n", "")


# A list that may go on ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "headers"),
    [(100, {}), (1, {"Link": '<https://x.example/?page=2>; rel="next", <x>; rel="last"'})],
)
def test_no_webhook_is_created_if_ours_may_be_on_another_page(
    register: Run, provider: Provider, count: int, headers: dict[str, str]
):
    provider.refuses["GET"] = (200, [{"id": 1, "config": {"url": PUBLIC}}] * count, headers)
    code, out, err = register("hub")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{count} webhooks, perhaps not all" in err
    assert provider.calls == ["GET /repos/me/it/hooks?per_page=100"]


def test_our_webhook_on_a_full_first_page_is_found(register: Run, provider: Provider):
    ours = {"id": 123, "config": {"url": HOOK}}
    provider.refuses["GET"] = (200, [ours] * 100)
    assert register("hub")[1] == f"updated hook 123 for {HOOK}\n"


# Secrets --------------------------------------------------------------------------------------


def test_a_secret_that_the_provider_makes_is_shown_with_where_to_put_it(register: Run):
    code, out, err = register("mux-like", webhook_secret=None)
    assert (code, out) == (0, f"created hook w1 for {HOOK}\nsecret  from mux\n")
    assert "webhook_secret of [sources.mine]" in err


def test_a_lost_secret_is_reported_with_the_remedy(register: Run):
    register("mux-like", webhook_secret=None)
    code, out, err = register("mux-like", webhook_secret=None)
    assert (code, out) == (0, f"nothing to do: hook w1 for {HOOK}\n")
    assert "remove the webhook there and run this again" in err


def test_a_secret_that_is_not_configured_is_shown_again(register: Run):
    for secret in (None, "an old one"):
        assert "secret  from flare" in register("flare", webhook_secret=secret)[1]
    assert "from flare" not in register("flare", webhook_secret=["new", "from flare"])[1]


def test_a_webhook_that_is_created_with_our_secret_needs_one(register: Run, provider: Provider):
    code, out, err = register("hub", webhook_secret=None)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "sources.mine: set its webhook_secret" in err
    assert [call for call in provider.calls if not call.startswith("GET")] == []


@pytest.mark.parametrize(
    ("secrets", "sent"),
    [
        (["plain"], {"token": "plain"}),
        ([SIGNING], {"signing": {"token": SIGNING}}),
        (["plain", SIGNING], {"token": "plain", "signing": {"token": SIGNING}}),
        ([SIGNING, "plain", "old"], {"token": "plain", "signing": {"token": SIGNING}}),
    ],
)
def test_a_webhook_with_two_schemes_gets_the_secrets_that_the_source_has(
    register: Run, provider: Provider, secrets: list[str], sent: dict[str, Any]
):
    code, out, _ = register("ways", webhook_secret=secrets)
    assert (code, out) == (0, f"created the hook for {HOOK}\n")
    rest = {"events": {"all": True}, "list": ["run"]}
    assert provider.hooks == [{"url": HOOK, "signing": {}, **rest, **sent}]
    _, out, _ = register("ways", "--dry-run", webhook_secret=secrets)
    assert SIGNING not in out


def test_a_webhook_with_two_schemes_needs_the_secret_of_one(register: Run, provider: Provider):
    code, _, err = register("ways", webhook_secret=None)
    assert (code, provider.hooks) == (2, [])
    assert "sources.mine: set its webhook_secret" in err


def test_gitlab_gets_a_signing_token_only_in_its_own_field():
    rules = parse(
        "gitlab", (Path(registry.__file__).parents[1] / "providers/gitlab.toml").read_text()
    )
    assert rules.register
    words = {"url": HOOK, "signing_secret": SIGNING}
    body = fill_body(without_placeholders(rules.register.body, {"secret"}), words)
    assert body["signing_token"] == SIGNING
    assert "token" not in body


def test_a_token_in_the_url_is_masked_but_sent(register: Run, provider: Provider):
    code, out, _ = register("tokens")
    assert (code, out) == (0, f"created the hook for {HOOK}?token=********\n")
    assert provider.hooks == [{"url": f"{HOOK}?token=s3cret%20of%20%2Bours"}]
    assert register("tokens")[1] == f"nothing to do: the hook for {HOOK}?token=********\n"


def test_an_outdated_token_in_a_url_that_cannot_be_updated_is_reported(
    register: Run, provider: Provider
):
    provider.hooks = [{"url": f"{HOOK}?token=old"}]
    code, _, err = register("tokens")
    assert code == 2
    assert "remove it there" in err
    assert provider.calls == ["GET /hooks"]


def test_errors_of_the_provider_are_shown_without_secrets(register: Run, provider: Provider):
    provider.refuses["POST"] = (422, {"errors": [f"{SECRET} is weak", f"so is {TOKEN}"]})
    code, out, err = register("hub")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "HTTP 422" in err
    assert "******** is weak" in err
    assert SECRET not in err
    assert TOKEN not in err
    provider.refuses["POST"] = (
        400,
        {"message": "cannot reach /hooks/mine?token=s3cret%20of%20%2Bours"},
    )
    assert "?token=********" in register("tokens")[2]


# A dry run ------------------------------------------------------------------------------------


def test_a_dry_run_reads_the_list_and_shows_the_rest(register: Run, provider: Provider):
    code, out, err = register("hub", "--dry-run")
    assert (code, err) == (0, "")
    said, call, body = out.splitlines()
    assert said == f"would create a hook for {HOOK}"
    assert call == f"POST {provider.url}/repos/me/it/hooks"
    assert json.loads(body)["config"] == {"url": HOOK, "label": "mine", "secret": "********"}
    assert provider.calls == ["GET /repos/me/it/hooks?per_page=100"]
    provider.hooks = [{"id": 123, "config": {"url": HOOK}}]
    assert register("hub", "--dry-run")[1].startswith(f"would update hook 123 for {HOOK}\nPATCH ")


def test_a_dry_run_without_a_list_sends_nothing(register: Run, provider: Provider):
    code, out, _ = register("flare", "--dry-run")
    assert (code, out.splitlines()[0]) == (0, f"would update the hook for {HOOK}")
    assert provider.calls == []
    assert "s3cret" not in register("tokens", "--dry-run")[1]


# By hand --------------------------------------------------------------------------------------


def test_manual_instructions_show_the_push_url_with_its_token(register: Run, provider: Provider):
    code, out, err = register("paste")
    url = f"{HOOK}?token=s3cret%20of%20%2Bours"
    assert (code, out) == (
        0,
        f"Send `webhook: {url}` with each run of mine. Keep {{ this }} as it is.\n",
    )
    assert "show it only to the provider" in err
    assert provider.calls == []


def test_manual_instructions_need_the_token_of_the_url(register: Run):
    code, out, err = register("paste", webhook_secret=None)
    assert (code, out) == (2, "")
    assert "set its webhook_secret" in err


def test_a_profile_without_setup_names_the_documentation(register: Run):
    code, out, err = register("mute", webhook_secret=None)
    assert (code, err) == (0, "")
    assert out == f"Have mute push to {HOOK}; see https://mute.example/docs.\n"


def test_missing_configuration_is_reported(register: Run):
    code, out, err = register("standard", webhook_secret=None)
    assert (code, HOOK in out) == (0, True)
    assert "until then pushes are answered 404: sources.mine: set its webhook_secret" in err


# For programs ---------------------------------------------------------------------------------


def test_json_output_has_the_result(register: Run):
    output_json = json.loads(register("mux-like", "--json", webhook_secret=None)[1])
    assert output_json == {
        "source": "mine",
        "provider": "mux-like",
        "did": "created",
        "url": HOOK,
        "hook": "w1",
        "request": None,
        "paste": None,
        "secret": "from mux",
        "note": None,
    }
    output_json = json.loads(register("hub", "--json", "--dry-run")[1])
    assert (output_json["did"], output_json["request"]["method"]) == ("would create", "POST")
    assert json.loads(register("paste", "--json")[1])["did"] == "by hand"


def test_sources_are_listed_with_scheme_and_trust(ringback: Run, provider: Provider):
    source = {"name": "a", "provider": "mute", "push": "/hooks/a", "scheme": None}
    source |= {"trust": "refetch", "poll": True, "mirror": [], "stalled": None, "poll_error": None}
    signed = source | {"name": "b", "scheme": "sns", "trust": "event"}
    polled = source | {"name": "c", "push": None}
    page = {"items": [source, signed, polled], "next": None}
    provider.refuses["GET"] = (200, page)
    rows = [line.split() for line in ringback("sources", "--url", provider.url)[1].splitlines()]
    facts = ["scheme", "trust", "polled", "lost"]
    assert rows[0][3:] == [*facts, "stalled", "failing", "last", "error"]
    assert rows[1] == ["a", "mute", "/hooks/a", "unsigned", "refetch", "yes", "-", "-", "-", "-"]
    assert [row[3:5] for row in rows[2:]] == [["sns", "event"], ["-", "refetch"]]
    assert json.loads(ringback("--json", "sources", "--url", provider.url)[1]) == page


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hub", "flare", "mux-like", "tokens"])
def test_a_refused_token_is_named_with_its_source(register: Run, name: str):
    code, out, err = register(name, token="wrong")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{name} refuses the token of sources.mine (HTTP 401: " in err


@pytest.mark.parametrize(
    ("name", "keys", "named"),
    [
        ("hub", {"token": None}, "sources.mine: set its token"),
        (
            "hub",
            {"params": {}},
            "sources.mine.params: /repos/{+repo}/hooks?per_page=100: `repo` must",
        ),
        ("flare", {"params": {"account": ".."}}, "`account` must have a value"),
        ("hub", {"base_url": None}, "sources.mine: set its base_url"),
        ("hub", {"base_url": "http://169.254.169.254"}, "sources.mine.base_url: "),
        ("bluesky", {"webhook_secret": None}, "bluesky does not push"),
    ],
)
def test_incomplete_configuration_is_one_line(
    register: Run, provider: Provider, name: str, keys: dict[str, Any], named: str
):
    code, out, err = register(name, **keys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert named in err
    assert provider.calls == []


@pytest.mark.parametrize(
    ("answer", "code", "named"),
    [
        ((403, {"message": "no scope"}), 2, "HTTP 403"),
        ((404, {"message": "Not Found"}), 2, "check token, params and base_url of sources.mine"),
        ((301, b"", {"Location": "https://x.example"}), 2, "HTTP 301"),
        ((200, {"items": []}), 2, "no list at ``"),
        ((200, b"<html>"), 2, "no list at ``"),
        ((500, b"oops"), 5, "HTTP 500: oops"),
        ((503, b""), 5, "try again later"),
    ],
)
def test_a_refusal_of_the_provider_is_one_line(
    register: Run, provider: Provider, answer: Answer, code: int, named: str
):
    provider.refuses["GET"] = answer
    ended, out, err = register("hub")
    assert (ended, out, err.count("\n")) == (code, "", 1)
    assert named in err
    assert len(provider.calls) == 1


def test_an_unavailable_provider_exits_with_5(register: Run):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    code, out, err = register("hub", base_url=url)
    assert (code, out, err.count("\n")) == (5, "", 1)
    assert "connection refused" in err


@pytest.mark.parametrize(
    "url", ["hooks.example.com", "ftp://x", "https://", "https://x?y", "https://x/#a", "https://[x"]
)
def test_an_invalid_public_url_is_refused(register: Run, provider: Provider, url: str):
    code, _, err = register("hub", "--url", url)
    assert (code, provider.calls) == (2, [])
    assert f"--url: {url!r} is not a base URL" in err


def test_the_public_url_may_be_in_the_environment(
    ringback: Run, register: Run, monkeypatch: pytest.MonkeyPatch
):
    register("mute", webhook_secret=None)
    code, _, err = ringback("sources", "register", "mine")
    assert (code, "RINGBACK_PUBLIC_URL" in err) == (2, True)
    monkeypatch.setenv("RINGBACK_PUBLIC_URL", "https://elsewhere.example")
    assert "https://elsewhere.example/hooks/mine;" in ringback("sources", "register", "mine")[1]


def test_an_unknown_source_is_named_with_those_there_are(ringback: Run, register: Run):
    register("mute", webhook_secret=None)
    code, _, err = ringback("sources", "register", "other", "--url", PUBLIC)
    assert (code, "no source 'other'; sources are: mine" in err) == (2, True)


# What a profile may not say -------------------------------------------------------------------

PUSHED = '[push]\nid = "/id"\nstatus = "/s"\n[states]\na = "failed"\n[register]\n'
LIST = 'list = "GET /hooks"\nurl = "/url"\n'


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ('body = { a = "{url}" }', "set either `paste`, or `create` or `update`"),
        ('paste = "x"\ncreate = "POST /hooks"', "set either `paste`"),
        ('list = "GET /hooks"\ncreate = "POST /hooks"', "`list` needs `create`"),
        (LIST + 'update = "PUT /hooks"', "`list` needs `create`, and `url`, which"),
        ('create = "POST /hooks"', "each run would add another webhook"),
        (LIST + 'create = "POST /hooks"\nupdate = "PUT /hooks/{hook}"', "`update` needs `id`"),
        ('update = "PUT /hooks/{hook}"', "`{hook}` is known only to an `update`"),
        (LIST + 'create = "POST /hooks/{hook}"', "`{hook}` is known only to an `update`"),
        (LIST.replace("GET", "POST") + 'create = "POST /hooks"', "`list` must be a GET"),
        ('update = "GET /hooks"', "`list` must be a GET; `create` and `update` must not"),
        ('update = "PUT /hooks"\nbody = { a = ["{Url}", "{token}"] }', "`body` holds braces other"),
        ('update = "DELETE /hooks"', "is not a request"),
    ],
)
def test_a_profile_whose_webhook_cannot_be_found_again_is_refused(wrong: str, remedy: str):
    with pytest.raises(ConfigError) as refused:
        parse("acme", PUSHED + wrong)
    assert remedy in str(refused.value)


def test_a_body_is_filled_once_and_only_at_its_placeholders():
    body = {"{url}": ["{url} {url}", 1, None, True, {"a": "{ url } {other} {}"}], "b": "{secret}"}
    words = {"url": "{secret}", "secret": "{url}"}
    assert fill_body(body, words) == {
        "{url}": ["{secret} {secret}", 1, None, True, {"a": "{ url } {other} {}"}],
        "b": "{url}",
    }
    assert placeholders(body) == {"url", "other", "secret"}
