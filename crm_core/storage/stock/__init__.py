"""Stock: where cartridges, parts and stand-by machines are, and how they got there, in tables and in memory."""
