"""ConvoAI's operations under the names that users see: each is the generated function, bound by naming it."""

from __future__ import annotations

from dialogkit._core.client import Namespace
from dialogkit._core.lists.pager import paginated
from dialogkit._core.lists.styles import SinglePage
from dialogkit.convoai._generated import agents, knowledge, me, messages, webhook_registrations


class Me(Namespace):
    """The account behind the key."""

    get = me.get_me


class Agents(Namespace):
    """Agents, each of which answers at one WhatsApp number."""

    create = agents.create_agent
    get = agents.get_agent
    update = agents.update_agent
    delete = agents.delete_agent
    activate = agents.activate_agent
    pause = agents.pause_agent
    list = paginated(agents.list_agents, lambda page: page.results, SinglePage(total="count"))


class Knowledge(Namespace):
    """Documents that an agent looks answers up in."""

    create = knowledge.create_knowledge


class Messages(Namespace):
    """WhatsApp messages to contacts."""

    send = messages.send_message


class Webhooks(Namespace):
    """Endpoints of yours that events are posted to."""

    create = webhook_registrations.create_webhook
