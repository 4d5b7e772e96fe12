"""HoopAI's operations under the names that users see: each is the generated function, bound by naming it.

Source of the ways to page: the platform's public specification, and HoopAI's AI API reference for the lists of bots,
conversations and voice calls.
"""

from __future__ import annotations

from functools import cached_property

from dialogkit._core.client import Namespace
from dialogkit._core.files.downloads import downloadable
from dialogkit._core.lists.pager import paginated
from dialogkit._core.lists.styles import LastId, NextCursor, Offset, PageNumber, SinglePage, SortValue, StartAfter
from dialogkit.hoopai._generated import (
    agent_actions,
    agents,
    bot_knowledge,
    bots,
    call_logs,
    conversations,
    crawler,
    emails,
    faqs,
    generations,
    knowledge_bases,
    live_chat,
    messages,
    oauth,
    preferences,
    voice_actions,
    voice_agents,
    voice_calls,
)


class BotKnowledge(Namespace):
    """What a bot answers from: texts, and addresses that the platform reads."""

    add = bot_knowledge.add_bot_knowledge
    delete = bot_knowledge.delete_bot_knowledge
    list = paginated(bot_knowledge.list_bot_knowledge, lambda page: page.entries, SinglePage())


class Bots(Namespace):
    """Bots that answer in conversations, each with a system prompt and a language model."""

    create = bots.create_bot
    get = bots.get_bot
    update = bots.update_bot
    delete = bots.delete_bot
    set_status = bots.set_bot_status
    list = paginated(bots.list_bots, lambda page: page.bots, SinglePage(total="total"))

    knowledge = cached_property(BotKnowledge)


class Conversations(Namespace):
    """Conversations with contacts. `search` finds them by what happened last, `list` those that a bot has part in."""

    create = conversations.create_conversation
    get = conversations.get_conversation
    update = conversations.update_conversation
    delete = conversations.delete_conversation
    search = paginated(
        conversations.search_conversations, lambda page: page.conversations, SortValue(total="total", default=20)
    )
    list = paginated(
        conversations.list_conversations, lambda page: page.conversations, Offset(total="total", default=20)
    )


class Messages(Namespace):
    """The messages of conversations: texts, emails, calls, files."""

    send = messages.send_message
    inject = messages.inject_message
    get = messages.get_message
    add_inbound = messages.add_inbound_message
    add_outbound_call = messages.add_outbound_call
    upload = messages.upload_files
    update_status = messages.update_message_status
    cancel_scheduled = messages.cancel_scheduled_message
    recording = downloadable(messages.get_message_recording)
    transcription = messages.get_message_transcription
    download_transcription = messages.download_message_transcription
    replace_attachments = messages.replace_message_attachments
    reply_to_review = messages.reply_to_review
    initiate_upload = messages.initiate_upload
    complete_upload = messages.complete_upload
    export = paginated(messages.export_messages, lambda page: page.messages, NextCursor(total="total"))
    list = paginated(
        messages.list_messages, lambda page: page.messages, LastId(cursor="last_message_id", more="next_page")
    )


class Emails(Namespace):
    """Emails, whose bodies are missing from lists of messages."""

    get = emails.get_email
    cancel_scheduled = emails.cancel_scheduled_email


class LiveChat(Namespace):
    """The chat widget on a web site."""

    typing = live_chat.set_live_chat_typing


class AgentActions(Namespace):
    """What an agent does beside answering: book, hand over, follow up, stop."""

    create = agent_actions.create_agent_action
    get = agent_actions.get_agent_action
    update = agent_actions.update_agent_action
    delete = agent_actions.delete_agent_action
    list = paginated(agent_actions.list_agent_actions, lambda page: page.data, SinglePage())


class Agents(Namespace):
    """Conversation AI agents."""

    create = agents.create_agent
    get = agents.get_agent
    update = agents.update_agent
    delete = agents.delete_agent
    update_followup_settings = agents.update_followup_settings
    search = paginated(
        agents.search_agents, lambda page: page.agents, StartAfter(total="total_count", ignores=("query",))
    )

    actions = cached_property(AgentActions)


class Generations(Namespace):
    """How an AI message came about."""

    get = generations.get_generation


class VoiceCalls(Namespace):
    """Voice AI calls. A recording is a link for 24 hours: fetch it with `client.download(link.url)`."""

    list = paginated(voice_calls.list_voice_calls, lambda page: page.calls, SinglePage(total="total"))
    transcript = voice_calls.get_voice_call_transcript
    recording = voice_calls.get_voice_call_recording


class Preferences(Namespace):
    """What contacts want to be written about."""

    list_custom_subtypes = preferences.list_custom_subtypes
    create_custom_subtype = preferences.create_custom_subtype
    update_custom_subtype = preferences.update_custom_subtype
    unsubscription_status = preferences.get_unsubscription_status
    change_unsubscription = preferences.change_unsubscription


class VoiceAgents(Namespace):
    """Voice AI agents."""

    create = voice_agents.create_voice_agent
    get = voice_agents.get_voice_agent
    update = voice_agents.update_voice_agent
    delete = voice_agents.delete_voice_agent
    list = paginated(voice_agents.list_voice_agents, lambda page: page.agents, PageNumber(total="total", default=10))


class VoiceActions(Namespace):
    """What a Voice AI agent does during a call."""

    create = voice_actions.create_voice_action
    get = voice_actions.get_voice_action
    update = voice_actions.update_voice_action
    delete = voice_actions.delete_voice_action


class CallLogs(Namespace):
    """What happened in Voice AI calls."""

    get = call_logs.get_call_log
    list = paginated(call_logs.list_call_logs, lambda page: page.call_logs, PageNumber(total="total", default=10))


class KnowledgeBases(Namespace):
    """Knowledge bases, which agents answer from."""

    create = knowledge_bases.create_knowledge_base
    get = knowledge_bases.get_knowledge_base
    update = knowledge_bases.update_knowledge_base
    delete = knowledge_bases.delete_knowledge_base
    list = paginated(
        knowledge_bases.list_knowledge_bases,
        lambda page: page.knowledge_bases,
        LastId(cursor="last_knowledge_base_id"),
    )


class Faqs(Namespace):
    """Questions and answers of a knowledge base."""

    create = faqs.create_faq
    update = faqs.update_faq
    delete = faqs.delete_faq
    list = paginated(faqs.list_faqs, lambda page: page.faqs, LastId(cursor="last_faq_id"))


class Crawler(Namespace):
    """Web pages for a knowledge base: `discover`, poll `status`, then `train`."""

    discover = crawler.discover_pages
    status = crawler.get_crawl_status
    train = crawler.train_pages
    delete_pages = crawler.delete_crawled_pages
    list_pages = paginated(
        crawler.list_crawled_pages, lambda page: page.urls, PageNumber(size="page_length", total="count")
    )


class OAuth(Namespace):
    """Tokens, and where an app is installed."""

    access_token = oauth.get_access_token
    location_token = oauth.get_location_token
    installed_locations = paginated(
        oauth.list_installed_locations,
        lambda page: page.locations,
        Offset(offset="skip", total="count", default=20, as_text=True),
    )
