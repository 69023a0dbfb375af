"""Trust: the audit chain, and personal data under lock, in tables and in memory."""
