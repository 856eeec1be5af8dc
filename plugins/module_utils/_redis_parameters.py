# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of Redis's parameters. CONFIG GET tells values and nothing of types, so the types are kept here.

Source: the tables of Redis 7.0's ``src/config.c`` and its redis.conf; the defaults are what a server with an empty
configuration file answers. A parameter that is not listed is compared as text, and the server is the judge of it.
"""

from __future__ import annotations

# Values are bytes, and may be written with a unit: k, m, g are powers of 1000, kb, mb, gb of 1024.
MEMORY = frozenset(
    """active-defrag-ignore-bytes auto-aof-rewrite-min-size client-query-buffer-limit cluster-link-sendbuf-limit
    hash-max-listpack-value hash-max-ziplist-value hll-sparse-max-bytes maxmemory maxmemory-clients proto-max-bulk-len
    repl-backlog-size replica-full-sync-buffer-limit stream-node-max-bytes zset-max-listpack-value
    zset-max-ziplist-value""".split()
)

ENUMS: dict[str, tuple[str, ...]] = {
    "acl-pubsub-default": ("resetchannels", "allchannels"),
    "appendfsync": ("everysec", "always", "no"),
    "cluster-preferred-endpoint-type": ("ip", "hostname", "unknown-endpoint"),
    "enable-debug-command": ("no", "yes", "local"),
    "enable-module-command": ("no", "yes", "local"),
    "enable-protected-configs": ("no", "yes", "local"),
    "log-format": ("legacy", "logfmt"),  # Valkey 8.1
    "log-timestamp-format": ("legacy", "iso8601", "milliseconds"),  # Valkey 8.1
    "loglevel": ("debug", "verbose", "notice", "warning", "nothing"),
    "maxmemory-policy": (
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "noeviction",
        # Redis 8.6 and later; an older server refuses them.
        "volatile-lrm",
        "allkeys-lrm",
    ),
    "oom-score-adj": ("no", "yes", "relative", "absolute"),
    "propagation-error-behavior": ("ignore", "panic", "panic-on-replicas"),
    "rdb-version-check": ("strict", "relaxed"),  # Valkey 8.1
    "repl-diskless-load": ("disabled", "on-empty-db", "swapdb", "flush-before-load"),
    "sanitize-dump-payload": ("no", "yes", "clients"),
    "supervised": ("no", "upstart", "systemd", "auto"),
    "syslog-facility": ("user", *(f"local{number}" for number in range(8))),
    "tls-auth-clients": ("no", "yes", "optional"),
}

# Spellings that CONFIG GET answers with another.
ENUM_ALIASES: dict[str, dict[str, str]] = {"oom-score-adj": {"relative": "yes"}}

# Several of these words, in this order.
FLAGS: dict[str, tuple[str, ...]] = {
    "shutdown-on-sigint": ("default", "save", "nosave", "now", "force"),
    "shutdown-on-sigterm": ("default", "save", "nosave", "now", "force"),
}

# Several numbers.
NUMBERS = frozenset({"latency-tracking-info-percentiles", "oom-score-adj-values"})

# Several words (MULTI_ARG_CONFIG), between which one space is as good as two; all others are one word.
WORDS = frozenset({"bind", *NUMBERS})

# Names that stand for the same parameter, the older one first.
ALIASES: dict[str, str] = {
    **{f"hash-max-ziplist-{what}": f"hash-max-listpack-{what}" for what in ("entries", "value")},
    **{f"zset-max-ziplist-{what}": f"zset-max-listpack-{what}" for what in ("entries", "value")},
    "cluster-slave-no-failover": "cluster-replica-no-failover",
    "cluster-slave-validity-factor": "cluster-replica-validity-factor",
    "list-max-ziplist-size": "list-max-listpack-size",
    "lua-time-limit": "busy-reply-threshold",
    "min-slaves-max-lag": "min-replicas-max-lag",
    "min-slaves-to-write": "min-replicas-to-write",
    "primaryauth": "masterauth",
    "primaryuser": "masteruser",
    "repl-ping-slave-period": "repl-ping-replica-period",
    "slaveof": "replicaof",
    "slowlog-log-slower-than": "commandlog-execution-slower-than",  # Valkey 8.1
    "slowlog-max-len": "commandlog-slow-execution-max-len",  # Valkey 8.1
    **{
        f"slave-{what}": f"replica-{what}"
        for what in (
            "announce-ip",
            "announce-port",
            "ignore-disk-write-errors",
            "ignore-maxmemory",
            "lazy-flush",
            "priority",
            "read-only",
            "serve-stale-data",
        )
    },
}

# Integers with the limits that the server checks. None: no limit of its own.
INTEGERS: dict[str, tuple[int, int | None]] = {
    "active-defrag-cycle-max": (1, 99),
    "active-defrag-cycle-min": (1, 99),
    "active-defrag-threshold-lower": (0, 1000),
    "active-defrag-threshold-upper": (0, 1000),
    "active-expire-effort": (1, 10),
    "auto-aof-rewrite-percentage": (0, None),
    "busy-reply-threshold": (0, None),
    "hash-max-listpack-entries": (0, None),
    "hash-max-ziplist-entries": (0, None),
    "hz": (1, 500),
    "latency-monitor-threshold": (0, None),
    "lfu-decay-time": (0, None),
    "lfu-log-factor": (0, None),
    "list-compress-depth": (0, None),
    # Redis looks for a limit of open files that it may have in steps of 16, which from a very large value takes minutes.
    "maxclients": (1, 1_000_000),
    "maxmemory-eviction-tenacity": (0, 100),
    "maxmemory-samples": (1, None),
    "min-replicas-max-lag": (0, None),
    "min-replicas-to-write": (0, None),
    "repl-backlog-ttl": (0, None),
    "repl-diskless-sync-delay": (0, None),
    "repl-timeout": (1, None),
    "replica-priority": (0, None),
    "set-max-intset-entries": (0, None),
    "slowlog-log-slower-than": (-1, None),
    "slowlog-max-len": (0, None),
    "stream-node-max-entries": (0, None),
    "tcp-keepalive": (0, None),
    "timeout": (0, None),
    "tracking-table-max-keys": (0, None),
    "zset-max-listpack-entries": (0, None),
    "zset-max-ziplist-entries": (0, None),
}

# CONFIG SET refuses these; they are for the file and a start.
IMMUTABLE = frozenset(
    """aclfile always-show-logo aof_rewrite_cpulist appenddirname appendfilename bgsave_cpulist bio_cpulist
    cluster-config-file cluster-enabled cluster-port daemonize databases disable-thp enable-debug-command
    enable-module-command enable-protected-configs io-threads io-threads-do-reads logfile pidfile rdbchecksum
    server_cpulist set-proc-title supervised syslog-enabled syslog-facility syslog-ident tcp-backlog unixsocket
    unixsocketperm""".split()
)

SECRETS = frozenset({"masterauth", "primaryauth", "requirepass", "tls-client-key-file-pass", "tls-key-file-pass"})

# What a file that does not name the parameter stands for. CONFIG REWRITE leaves out what is at its default.
DEFAULTS: dict[str, str] = {
    "activedefrag": "no",
    "aof-use-rdb-preamble": "yes",
    "appendfsync": "everysec",
    "appendonly": "no",
    "auto-aof-rewrite-min-size": "67108864",
    "auto-aof-rewrite-percentage": "100",
    "client-output-buffer-limit": "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
    "hash-max-listpack-value": "64",
    "hz": "10",
    "latency-tracking": "yes",
    "lazyfree-lazy-eviction": "no",
    "lazyfree-lazy-expire": "no",
    "lazyfree-lazy-server-del": "no",
    "lazyfree-lazy-user-del": "no",
    "lazyfree-lazy-user-flush": "no",
    "maxclients": "10000",
    "maxmemory": "0",
    "maxmemory-clients": "0",
    "maxmemory-policy": "noeviction",
    "maxmemory-samples": "5",
    "no-appendfsync-on-rewrite": "no",
    "notify-keyspace-events": "",
    "rdbcompression": "yes",
    "repl-backlog-size": "1048576",
    "save": "3600 1 300 100 60 10000",
    "slowlog-log-slower-than": "10000",
    "slowlog-max-len": "128",
    "stop-writes-on-bgsave-error": "yes",
    "tcp-keepalive": "300",
    "timeout": "0",
}

# What Valkey 8 and later have otherwise.
VALKEY_DEFAULTS: dict[str, str] = {
    **{f"lazyfree-lazy-{what}": "yes" for what in ("eviction", "expire", "server-del", "user-del", "user-flush")},
    "repl-backlog-size": "10485760",
}
