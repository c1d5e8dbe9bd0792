"""The ports that API-supplied URLs may use: 80, 443, and high ports without a known service."""

DEFAULT = {"https": 443, "http": 80}
_LOWEST, _HIGHEST = 1024, 65535

# Services that an HTTP request could harm (SSRF), or that serve HTTP without authentication.
SERVICES: dict[int, str] = {
    1433: "SQL Server",
    1521: "Oracle",
    2049: "NFS",
    2181: "ZooKeeper",
    2375: "Docker",
    2376: "Docker",
    2379: "etcd",
    2380: "etcd",
    3306: "MySQL",
    3389: "RDP",
    4369: "Erlang port mapper",
    5432: "PostgreSQL",
    5672: "AMQP",
    5900: "VNC",
    5984: "CouchDB",
    5985: "WinRM",
    5986: "WinRM",
    6000: "X11",
    6379: "Redis",
    6443: "Kubernetes",
    8086: "InfluxDB",
    8200: "Vault",
    8500: "Consul",
    9042: "Cassandra",
    9092: "Kafka",
    9200: "Elasticsearch",
    9300: "Elasticsearch",
    10250: "kubelet",
    10255: "kubelet",
    11211: "memcached",
    15672: "RabbitMQ",
    16379: "Redis",
    26379: "Redis",
    27017: "MongoDB",
    27018: "MongoDB",
    27019: "MongoDB",
}


def exists(port: int) -> bool:
    """Whether it is a valid TCP port."""
    return 0 < port <= _HIGHEST


def denied_reason(port: int) -> str | None:
    """Why a port is refused, as a predicate such as "belongs to Redis"; None if it is allowed."""
    if port in DEFAULT.values():
        return None
    if port < _LOWEST:
        return "belongs to a system service"
    return f"belongs to {SERVICES[port]}" if port in SERVICES else None
