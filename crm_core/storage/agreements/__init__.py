"""Agreements: credit, contract terms and their life, from the request to the renewal, in tables and in memory."""
