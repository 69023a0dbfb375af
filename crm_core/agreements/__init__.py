"""Agreements: credit, requests and contracts, from the first question to the renewal."""
