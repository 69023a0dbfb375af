"""Customer relations: classes with reasons, contacts, tasks, complaints, surveys, loyalty, in tables and in memory."""
