"""Async-first SDK for the conversational-AI platforms HoopAI, HoverBot and ConvoAI."""
