"""redis-py's pool of connections, without what it does for others at each call.

redis-py's blocking pool takes locks, a timer and records of metrics to give out an idle connection,
and more of them to take it back, and each write under a timeout of its own takes a task: half of
the time of a small call. Here `Connection.ask` limits the number of calls, and the time of each.
"""

from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import ConnectionError  # noqa: A004 -- redis-py's name

HANDSHAKE_TIMEOUT = 5.0  # seconds for each answer while a connection is made


class Pool(ConnectionPool):
    """Gives out an idle connection that still works, or a new one."""

    async def at_connect(self, connection: Any) -> None:
        """Called with each new connection, before it is given out."""

    async def get_connection(self, *_: Any, **__: Any) -> Any:
        """A connection that is ready for a command."""
        connection: Any = self.get_available_connection()  # type: ignore[no-untyped-call] # redis-py
        try:
            if not await _is_ready(connection):
                connection.socket_timeout = HANDSHAKE_TIMEOUT  # a cancellation may be swallowed
                await self.ensure_connection(connection)
                connection.socket_timeout = None
                await self.at_connect(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        """Take a connection back."""
        self._in_use_connections.remove(connection)
        self._available_connections.append(connection)
        if connection.should_reconnect():
            await connection.disconnect()


async def _is_ready(connection: Any) -> bool:
    """Whether it is open, and has nothing left to read."""
    try:
        return connection.is_connected and not await connection.can_read()
    except ConnectionError:
        return False
