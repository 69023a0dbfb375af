"""The exceptions that the product raises on purpose.

    DrumbeatError
    |- InvalidValue          a value from outside breaks a stated rule
    |- InvalidConfiguration  settings, policy or catalogue cannot be used
    |- NotFound              the named record does not exist (or is another tenant's: the same answer)
    |- Conflict              the record changed meanwhile, or a rule forbids the change now
    |  `- IllegalTransition  the state machine has no such move
    |- DeviceUnreachable     no usable answer from a device in time
    |- DeviceMisbehaved      a device answered against the protocol (wrong source, order, count, endless table)
    `- StoreUnavailable      a store or broker cannot be reached now; nothing was lost, try again

Each message says what to do. Only the API turns them into HTTP answers, only the command line into exit codes.
"""


class DrumbeatError(Exception):
    """Root of everything that the product raises on purpose."""


class InvalidValue(DrumbeatError, ValueError):
    """A value from outside breaks a stated rule."""


class InvalidConfiguration(DrumbeatError):
    """Settings, policy or catalogue cannot be used as they are."""


class NotFound(DrumbeatError, LookupError):
    """The named record does not exist for this tenant."""


class Conflict(DrumbeatError):
    """The change collides with the present state of the record."""


class IllegalTransition(Conflict):
    """The state machine has no such move."""


class DeviceUnreachable(DrumbeatError):
    """No usable answer came from the device in time."""


class DeviceMisbehaved(DrumbeatError):
    """The device answered against the protocol."""


class StoreUnavailable(DrumbeatError):
    """A store or broker cannot be reached at the moment."""
