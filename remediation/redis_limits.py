"""Rate limits counted in Redis, for Sentinels that do not share a database. Never the truth: each ledger counts as well.

The only file that knows the Redis client.
"""

from __future__ import annotations

from collections.abc import Sequence

import redis
from redis.exceptions import RedisError

from remediation.limits import RateLimit, counted, over
from sentinel.errors import ConfigError, TransientError
from sentinel.plans import Action

# One run of the script is one step for every client. Deeds are kept for twice their span, so that a clock that jumps
# ahead and back forgets none. ARGV: name, now, and for each key (one limit) its count and its span.
_TAKE = """
local name, now, full = ARGV[1], tonumber(ARGV[2]), {}
for i, key in ipairs(KEYS) do
  local count, span = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - 2 * span)
  if not redis.call('ZSCORE', key, name) then
    local done = redis.call('ZCOUNT', key, '(' .. string.format('%.17g', now - span), '+inf')
    if done >= count then
      table.insert(full, i)
      table.insert(full, done)
    end
  end
end
if #full == 0 then
  for i, key in ipairs(KEYS) do
    redis.call('ZADD', key, 'NX', ARGV[2], name)
    redis.call('PEXPIRE', key, math.ceil(2000 * tonumber(ARGV[2 * i + 2])))
  end
end
return full
"""


class RedisLimiter:
    """`SharedLimiter` over one Redis. Connects at the first call; safe for several threads."""

    def __init__(self, url: str, prefix: str = "", *, timeout: float = 0.5) -> None:
        """`url` is `redis://…` or `rediss://…`; `timeout` in seconds, for connecting and for each call.

        `prefix` keeps Sentinels apart that share a Redis and not their limits.
        """
        try:
            self._redis = redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)
        except ValueError as error:
            raise ConfigError(f"stores.redis: cannot read the URL ({error}); say redis://host:6379/0") from error
        self._script = self._redis.register_script(_TAKE)
        self._prefix = prefix

    def take(self, name: str, action: Action, limits: Sequence[RateLimit], now: float) -> tuple[str, ...]:
        """See `SharedLimiter.take`."""
        keys = [self._key(limit, action) for limit in limits]
        if not keys:
            return ()
        spans = [part for limit in limits for part in (limit.count, repr(limit.seconds))]
        try:
            full = self._script(keys=keys, args=[name, repr(now), *spans])
        except RedisError as error:
            raise TransientError(f"redis: {error}") from error
        pairs = zip(full[::2], full[1::2], strict=True)
        return tuple(over(limits[index - 1], counted(action, limits[index - 1].per), done) for index, done in pairs)

    def give_back(self, name: str, action: Action, limits: Sequence[RateLimit]) -> None:
        """See `SharedLimiter.give_back`."""
        try:
            for limit in limits:
                self._redis.zrem(self._key(limit, action), name)
        except RedisError as error:
            raise TransientError(f"redis: {error}") from error

    def check(self) -> str:
        """See `SharedLimiter.check`."""
        try:
            self._redis.ping()
        except RedisError as error:
            raise TransientError(f"redis: {error}") from error
        return "answers"

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _key(self, limit: RateLimit, action: Action) -> str:
        # The braces keep all keys of a cluster in one place, where one script may touch them.
        return f"{{{self._prefix}sentinel-limits}}:{limit.per}:{limit.seconds:g}:{counted(action, limit.per)}"
