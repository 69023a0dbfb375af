"""Reads all files of knowledge that the settings point to, once, before anything is built from them."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from config.catalogue_files import CATALOGUE, load_catalogue
from config.fault_code_files import load_fault_codes
from config.policy_files import POLICY, PolicyVersion, load_policies, policy_on
from config.settings import Settings
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fault_codes import FaultCodeBook
from crm_core.domain.policy import PolicyBook


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the firm knows beforehand: device models, fault codes, and its own figures by date."""

    catalogue: Catalogue
    fault_codes: FaultCodeBook
    policies: tuple[PolicyVersion, ...]

    def policy_on(self, day: date) -> PolicyBook:
        """Return the figures in force on a day."""
        return policy_on(self.policies, day).book


def load_knowledge(settings: Settings) -> Knowledge:
    """Return catalogue, fault codes and policies; raises `InvalidConfiguration` naming file and place."""
    catalogue_folder = Path(settings.policy.catalogue_folder or CATALOGUE)
    return Knowledge(
        catalogue=load_catalogue(catalogue_folder),
        fault_codes=load_fault_codes(catalogue_folder),
        policies=load_policies(Path(settings.policy.folder or POLICY), settings.general.folder / "policy"),
    )
