"""docs/agents.md knows every tool with its arguments, and the limits that it names."""

import re
from pathlib import Path

import msgspec

from processor.service.groups.wait_task import MAX_ANSWER
from processor.web.mcp import arguments, resources, tasks
from processor.web.mcp.tools import TOOLS

PAGE = " ".join((Path(__file__).parents[1] / "docs" / "agents.md").read_text("utf-8").split())


def test_every_tool_is_documented_with_its_arguments():
    rows = re.findall(r"\| `(\w+)` \| ((?:`\w+`(?:, )?)*) ?\|", PAGE)
    documented = {tool: re.findall(r"`(\w+)`", args) for tool, args in rows}
    assert documented == {
        name: [field.name for field in msgspec.structs.fields(tool.args)]
        for name, tool in TOOLS.items()
    }


def test_the_limits_and_names_are_those_of_the_code():
    assert f"after {arguments.MAX_WAIT} seconds at most" in PAGE
    assert f"over {MAX_ANSWER >> 10} KiB" in PAGE
    assert tasks.EXTENSION in PAGE
    for template in resources.TEMPLATES:
        assert template["uriTemplate"] in PAGE
