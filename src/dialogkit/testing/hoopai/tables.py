"""The tables of HoopAI's state, by name: a typo is an attribute error."""

from __future__ import annotations

from dialogkit.testing.engine.state import State, Table


def bots(state: State) -> Table:
    """Return the bots."""
    return state.table("bots", "bot", "bot")


def bot_knowledge(state: State) -> Table:
    """Return the knowledge entries of bots."""
    return state.table("bot_knowledge", "knowledge entry", "entry")


def contacts(state: State) -> Table:
    """Return the contacts, which come into being when they are first mentioned."""
    return state.table("contacts", "contact", "contact")


def conversations(state: State) -> Table:
    """Return the conversations."""
    return state.table("conversations", "conversation", "conv")


def messages(state: State) -> Table:
    """Return the messages."""
    return state.table("messages", "message", "msg")


def emails(state: State) -> Table:
    """Return the emails, each the body of one message."""
    return state.table("emails", "email", "email")


def uploads(state: State) -> Table:
    """Return the uploads that were initiated."""
    return state.table("uploads", "upload", "upload")


def agents(state: State) -> Table:
    """Return the Conversation AI agents."""
    return state.table("agents", "agent", "agent")


def agent_actions(state: State) -> Table:
    """Return the actions of Conversation AI agents."""
    return state.table("agent_actions", "action", "action")


def voice_agents(state: State) -> Table:
    """Return the Voice AI agents."""
    return state.table("voice_agents", "voice agent", "vagent")


def voice_actions(state: State) -> Table:
    """Return the actions of Voice AI agents."""
    return state.table("voice_actions", "voice action", "vaction")


def voice_calls(state: State) -> Table:
    """Return the Voice AI calls."""
    return state.table("voice_calls", "call", "call")


def knowledge_bases(state: State) -> Table:
    """Return the knowledge bases."""
    return state.table("knowledge_bases", "knowledge base", "kb")


def faqs(state: State) -> Table:
    """Return the questions and answers of knowledge bases."""
    return state.table("faqs", "FAQ", "faq")


def crawls(state: State) -> Table:
    """Return the crawls that were started."""
    return state.table("crawls", "crawl", "crawl")


def crawled_pages(state: State) -> Table:
    """Return the pages that crawls have found."""
    return state.table("crawled_pages", "page", "page")


def subtypes(state: State) -> Table:
    """Return the custom subscription categories."""
    return state.table("subtypes", "custom subtype", "subtype")


def subscriptions(state: State) -> Table:
    """Return what contacts have subscribed to or left."""
    return state.table("subscriptions", "subscription", "subscr")
