"""Notices: messages that must reach somebody once, and their way there, in tables and in memory."""
