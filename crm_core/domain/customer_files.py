"""What the firm keeps on file of a person and of a company, and the people to speak to at a customer.

Persons and companies have different files (requirements 17, 18, 54, 78). Personal identity numbers are not here:
they are kept encrypted by the trust area.
"""

from dataclasses import dataclass
from enum import StrEnum

from crm_core.domain.identity import CustomerId, SiteId, TenantId


class CustomerSource(StrEnum):
    """How a customer came to the firm (requirement 85)."""

    ONLINE = "online"
    OFFLINE = "offline"
    PARTNER = "partner"


class Consent(StrEnum):
    """What a customer has agreed to; what is not here is not agreed."""

    MARKETING = "marketing"  # offers and win-back
    SURVEY = "survey"  # the monthly question how satisfied they are
    DATA = "data"  # the file may be kept beyond what the contract needs


class Channel(StrEnum):
    """How the firm and a customer reach each other (requirement 120)."""

    PHONE = "phone"
    MAIL = "mail"
    SMS = "sms"
    WECHAT = "wechat"
    CHAT = "chat"
    VISIT = "visit"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyFile:
    """Credit file of a company (requirement 17), `registered_capital` in yuan; its registration number is kept by trust."""

    founded_year: int | None = None
    registered_capital: int | None = None
    employees: int | None = None
    legal_representative: str | None = None
    past_defaults: int = 0
    start_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonFile:
    """Credit file of a person (requirement 18): work and guarantor; the identity number is kept by trust."""

    occupation: str | None = None
    employer: str | None = None
    proof_of_work: bool = False
    guarantor_name: str | None = None
    guarantor_phone: str | None = None
    past_defaults: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Somebody to speak to at a customer; one of a site is the primary one.

    Quiet hours are minutes after local midnight; `quiet_from` > `quiet_until` spans midnight. `opt_outs` are channels
    that this person does not want to be written to on.
    """

    tenant: TenantId
    contact_id: int
    customer_id: CustomerId
    name: str
    site_id: SiteId | None = None  # None: of the whole customer
    role: str = "other"  # decision, accounts, operator, it, other
    phone: str | None = None
    email: str | None = None
    wechat: str | None = None
    channels: tuple[Channel, ...] = (Channel.PHONE,)  # in the order of preference
    language: str = "zh-CN"
    quiet_from: int | None = None
    quiet_until: int | None = None
    opt_outs: tuple[Channel, ...] = ()
    primary: bool = False
    active: bool = True
    version: int = 1
