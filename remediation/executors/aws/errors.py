"""AWS's errors as Sentinel's: what may be tried again, what was refused by which rule, what failed for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from sentinel.errors import PermanentError, RefusedError, SentinelError, TransientError

_REFUSED_NOW = frozenset(
    {
        *(
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestLimitExceeded",
            "TooManyRequestsException",
        ),
        *("RequestThrottled", "RequestThrottledException", "PriorRequestNotComplete"),
        *("ScalingActivityInProgress", "ResourceContention"),
    }
)
"""Codes that mean: nothing happened, and the same call may succeed later."""

_FORBIDDEN = frozenset(
    {
        *("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure", "InvalidClientTokenId"),
        *("UnrecognizedClientException", "SignatureDoesNotMatch", "OptInRequired", "IncompleteSignature"),
    }
)
"""Codes that mean: these rights, or these credentials, do not suffice."""

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})


class UnansweredError(TransientError):
    """The call was sent and no answer came that says what became of it: it may have had its effect."""


class ExpiredError(TransientError):
    """The role's credentials ran out: they have to be fetched anew."""


@contextmanager
def told(what: str) -> Iterator[None]:
    """Raise what botocore raises inside as an error of Sentinel; `what` names call and object."""
    try:
        yield
    except ClientError as error:
        raise _from_answer(what, error) from error
    except (ConnectTimeoutError, EndpointConnectionError) as error:
        raise TransientError(f"aws: {what}: {error}") from error
    except HTTPClientError as error:
        raise UnansweredError(f"aws: {what}: no answer: {error}") from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise RefusedError("credentials", f"aws: {what}: {error}") from error
    except (ParamValidationError, BotoCoreError) as error:
        raise PermanentError(f"aws: {what}: {error}") from error


def _from_answer(what: str, error: ClientError) -> SentinelError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    text = f"aws: {what}: {code}: {error.response.get('Error', {}).get('Message', '')}"
    if code in _EXPIRED:
        return ExpiredError(text)
    if code in _FORBIDDEN:
        return RefusedError("iam", text)
    if code in _REFUSED_NOW:
        return TransientError(text)
    # A server's own failure may have come after the effect.
    return UnansweredError(text) if status >= 500 else PermanentError(text)
