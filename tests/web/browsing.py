"""A browser without a screen: keeps its cookies, reads pages, and submits their forms."""

import re
from html import unescape
from typing import Any, Self

import httpx

from .calling import KEY

FORM = re.compile(r'<form method="post" action="([^"]*)"[^>]*>(.*?)</form>', re.DOTALL)
FIELD = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


class Browser:
    """A browser at a port of this machine."""

    def __init__(self, port: int) -> None:
        """Open it, without a cookie."""
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.AsyncClient(base_url=self.url, timeout=20.0)

    async def __aenter__(self) -> Self:
        """Nothing more to do."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.client.aclose()

    async def sign_in(self, key: str = KEY, **fields: str) -> httpx.Response:
        """Submit the sign-in form."""
        return await self.client.post("/session", data={"key": key, **fields})

    async def read(self, path: str, status: int = 200) -> str:
        """A page."""
        answer = await self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    async def submit(self, page: str, action: str, **fields: Any) -> httpx.Response:
        """Submit the form of a page with this action, with what it hides, and further fields."""
        forms = {unescape(found[1]): found[2] for found in FORM.finditer(await self.read(page))}
        assert action in forms, f"no form {action} among {sorted(forms)}"
        hidden = {name: unescape(value) for name, value in FIELD.findall(forms[action])}
        return await self.client.post(action, data={**hidden, **fields})

    async def press(self, page: str, action: str, **fields: Any) -> str:
        """The same, and the page that it leads to."""
        answer = await self.submit(page, action, **fields)
        assert answer.status_code == 303, answer.text
        return await self.read(answer.headers["location"])
