"""Trust: personal data under lock, the audit chain and its verification, retention, export and erasure."""
