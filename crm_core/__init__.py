"""The centre: the vocabulary, rules and ports of a copier rental firm; it imports no neighbour."""
