"""Which path has which page, and which action."""

from collections.abc import Mapping

from processor.service.runtime.context import Context
from processor.web.auth import HOME, PAGES, SIGN_IN, STATIC
from processor.web.dashboard.actions import Actions
from processor.web.dashboard.groups import Groups
from processor.web.dashboard.jobs import Jobs
from processor.web.dashboard.overview import Overview
from processor.web.dashboard.render import page
from processor.web.dashboard.sign_in import SignIn
from processor.web.dashboard.sources import Sources
from processor.web.dashboard.static_files import static_file
from processor.web.dashboard.subscriptions import Subscriptions
from processor.web.health import Health
from processor.web.rate_limit import Handler, LargeReadLimit

Handlers = Mapping[str, Handler]


def routes(context: Context, health: Health) -> dict[str, Handlers]:
    """The handlers of each path by method; their errors are pages."""
    sign_in, large = SignIn(context.settings), LargeReadLimit().limit
    jobs, groups, subscriptions = Jobs(context), Groups(context), Subscriptions(context)
    do = Actions(context, subscriptions)
    job, subscription = f"{PAGES}jobs/{{source}}/{{id}}", f"{PAGES}subscriptions/{{id}}"
    pages: dict[str, Handlers] = {
        HOME: {"GET": sign_in.or_form(large(Overview(context, health).get))},
        f"{PAGES}jobs": {"GET": large(jobs.list), "POST": do.watch},
        job: {"GET": large(jobs.get)},
        f"{job}/poll": {"POST": do.poll},
        f"{job}/unwatch": {"POST": do.unwatch},
        f"{PAGES}groups": {"GET": large(groups.list)},
        f"{PAGES}groups/{{group}}": {"GET": large(groups.get)},
        f"{PAGES}subscriptions": {"GET": large(subscriptions.list)},
        subscription: {"GET": large(subscriptions.get)},
        f"{subscription}/enable": {"POST": do.enable},
        f"{subscription}/test": {"POST": do.test},
        f"{subscription}/rotate": {"POST": do.rotate},
        f"{subscription}/replay": {"POST": do.replay},
        f"{subscription}/retry": {"POST": do.retry_all},
        f"{PAGES}deliveries/{{id}}/retry": {"POST": do.retry},
        f"{PAGES}sources": {"GET": large(Sources(context).list)},
        f"{PAGES}sign-out": {"POST": sign_in.sign_out},
        f"{STATIC}{{name}}": {"GET": static_file},
    }
    found: dict[str, Handlers] = {
        path: {method: page(handler) for method, handler in handlers.items()}
        for path, handlers in pages.items()
    }
    return found | {SIGN_IN: {"POST": sign_in.post, "DELETE": sign_in.delete}}
