"""Telling people and programs: who hears of a change, in which words and hours, and how a message leaves."""
