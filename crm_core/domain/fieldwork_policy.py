"""The business figures of fieldwork (`config/policy/fieldwork.yaml`) as a frozen type."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldworkPolicy:
    """Field work: preventive maintenance, what a visit leaves behind as evidence, repair reports and estimates."""
