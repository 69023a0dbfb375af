"""Storage of what guards the way in: tables, their repository, and its twin in memory."""
