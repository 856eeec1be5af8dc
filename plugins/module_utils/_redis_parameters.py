# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of Redis's parameters. CONFIG GET tells values and nothing of types, so the types are kept here.

Source: the table ``static_configs`` of ``src/config.c`` in Redis 7.0, Redis 8.0 and Valkey 8.1, checked against servers of
these releases. What is in none of the tables is compared as text, and the server is the judge of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_INT = 2**31 - 1

# Former names. CONFIG GET and SET know both, a file may hold either, and CONFIG REWRITE writes the present one.
ALIASES: dict[str, str] = {
    "aof_rewrite_cpulist": "aof-rewrite-cpulist",
    "bgsave_cpulist": "bgsave-cpulist",
    "bio_cpulist": "bio-cpulist",
    "cluster-slave-no-failover": "cluster-replica-no-failover",
    "cluster-slave-validity-factor": "cluster-replica-validity-factor",
    "hash-max-ziplist-entries": "hash-max-listpack-entries",
    "hash-max-ziplist-value": "hash-max-listpack-value",
    "list-max-ziplist-size": "list-max-listpack-size",
    "lua-time-limit": "busy-reply-threshold",
    "min-slaves-max-lag": "min-replicas-max-lag",
    "min-slaves-to-write": "min-replicas-to-write",
    "repl-ping-slave-period": "repl-ping-replica-period",
    "server_cpulist": "server-cpulist",
    "slave-announce-ip": "replica-announce-ip",
    "slave-announce-port": "replica-announce-port",
    "slave-ignore-maxmemory": "replica-ignore-maxmemory",
    "slave-lazy-flush": "replica-lazy-flush",
    "slave-priority": "replica-priority",
    "slave-read-only": "replica-read-only",
    "slave-serve-stale-data": "replica-serve-stale-data",
    "slaveof": "replicaof",
    "zset-max-ziplist-entries": "zset-max-listpack-entries",
    "zset-max-ziplist-value": "zset-max-listpack-value",
    # In Valkey. Redis knows the former names alone, so that nothing is mistaken there.
    "masterauth": "primaryauth",
    "masteruser": "primaryuser",
    "slowlog-log-slower-than": "commandlog-execution-slower-than",
    "slowlog-max-len": "commandlog-slow-execution-max-len",
}


def present_name(name: str) -> str:
    """The one name, in lower case, of a parameter that may be given by a former one."""
    return ALIASES.get(name.lower(), name.lower())


# yes or no.
BOOLEANS = frozenset(
    """activedefrag activerehashing always-show-logo aof-disable-auto-gc aof-load-truncated aof-rewrite-incremental-fsync
    aof-timestamp-enabled aof-use-rdb-preamble appendonly cluster-allow-pubsubshard-when-down cluster-allow-reads-when-down
    cluster-allow-replica-migration cluster-enabled cluster-replica-no-failover cluster-require-full-coverage
    cluster-slot-stats-enabled crash-log-enabled crash-memcheck-enabled daemonize disable-thp
    dual-channel-replication-enabled dynamic-hz extended-redis-compatibility hide-user-data-from-log import-mode
    io-threads-do-reads jemalloc-bg-thread latency-tracking lazyfree-lazy-eviction lazyfree-lazy-expire
    lazyfree-lazy-server-del lazyfree-lazy-user-del lazyfree-lazy-user-flush no-appendfsync-on-rewrite protected-mode
    rdb-del-sync-files rdb-save-incremental-fsync rdbchecksum rdbcompression repl-disable-tcp-nodelay repl-diskless-sync
    replica-announced replica-ignore-disk-write-errors replica-ignore-maxmemory replica-lazy-flush replica-read-only
    replica-serve-stale-data set-proc-title stop-writes-on-bgsave-error syslog-enabled tls-cluster
    tls-prefer-server-ciphers tls-replication tls-session-caching""".split()
)

# Values are bytes, and may be written with a unit: k, m, g are powers of 1000, kb, mb, gb of 1024. The least is given.
MEMORY: dict[str, int] = {
    "active-defrag-ignore-bytes": 1,
    "auto-aof-rewrite-min-size": 0,
    "client-query-buffer-limit": 2**20,
    "cluster-link-sendbuf-limit": 0,
    "hash-max-listpack-value": 0,
    "hll-sparse-max-bytes": 0,
    "maxmemory": 0,
    "maxmemory-clients": 0,  # or a percentage of maxmemory
    "proto-max-bulk-len": 2**20,
    "repl-backlog-size": 1,
    "replica-full-sync-buffer-limit": 0,
    "stream-node-max-bytes": 0,
    "zset-max-listpack-value": 0,
}

# Words of which one is the value. An older server refuses those of newer ones, and says so.
ENUMS: dict[str, tuple[str, ...]] = {
    "acl-pubsub-default": ("allchannels", "resetchannels"),
    "appendfsync": ("everysec", "always", "no"),
    "cluster-preferred-endpoint-type": ("ip", "hostname", "unknown-endpoint"),
    "enable-debug-command": ("no", "yes", "local"),
    "enable-module-command": ("no", "yes", "local"),
    "enable-protected-configs": ("no", "yes", "local"),
    "log-format": ("legacy", "logfmt"),
    "log-timestamp-format": ("legacy", "iso8601", "milliseconds"),
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
        # Redis 8.6 and later.
        "volatile-lrm",
        "allkeys-lrm",
    ),
    "oom-score-adj": ("no", "yes", "relative", "absolute"),
    "propagation-error-behavior": ("ignore", "panic", "panic-on-replicas"),
    "rdb-version-check": ("strict", "relaxed"),
    "repl-diskless-load": ("disabled", "on-empty-db", "swapdb", "flush-before-load"),
    "sanitize-dump-payload": ("no", "yes", "clients"),
    "supervised": ("upstart", "systemd", "auto", "no"),
    "syslog-facility": ("user", *(f"local{number}" for number in range(8))),
    "tls-auth-clients": ("no", "yes", "optional"),
}

# Spellings that CONFIG GET answers with another.
ENUM_ALIASES: dict[str, dict[str, str]] = {"oom-score-adj": {"relative": "yes"}}

# Words of which several may be given, in the order in which CONFIG GET answers them; default is none of them.
FLAGS: dict[str, tuple[str, ...]] = {
    "shutdown-on-sigint": ("save", "nosave", "now", "force"),
    "shutdown-on-sigterm": ("save", "nosave", "now", "force"),
}

# Integers with the limits that the server checks. None: no limit but that of 64 bits.
INTEGERS: dict[str, tuple[int, int | None]] = {
    "acllog-max-len": (0, None),
    "active-defrag-cycle-max": (1, 99),
    "active-defrag-cycle-min": (1, 99),
    "active-defrag-cycle-us": (0, 100_000),
    "active-defrag-max-scan-fields": (1, None),
    "active-defrag-threshold-lower": (0, 1000),
    "active-defrag-threshold-upper": (0, 1000),
    "active-expire-effort": (1, 10),
    "auto-aof-rewrite-percentage": (0, _INT),
    "busy-reply-threshold": (0, None),
    "cluster-announce-bus-port": (0, 65535),
    "cluster-announce-port": (0, 65535),
    "cluster-announce-tls-port": (0, 65535),
    "cluster-blacklist-ttl": (0, None),
    "cluster-compatibility-sample-ratio": (0, 100),
    "cluster-manual-failover-timeout": (1, _INT),
    "cluster-migration-barrier": (0, _INT),
    "cluster-node-timeout": (0, None),
    "cluster-port": (0, 65535),
    "cluster-replica-validity-factor": (0, _INT),
    "commandlog-execution-slower-than": (-1, None),
    "commandlog-large-reply-max-len": (0, None),
    "commandlog-large-request-max-len": (0, None),
    "commandlog-reply-larger-than": (-1, None),
    "commandlog-request-larger-than": (-1, None),
    "commandlog-slow-execution-max-len": (0, None),
    "databases": (1, _INT),
    "hash-max-listpack-entries": (0, None),
    # The server takes any, and makes of it one of these (CONFIG_MIN_HZ, CONFIG_MAX_HZ).
    "hz": (1, 500),
    "io-threads": (1, 256),
    "latency-monitor-threshold": (0, None),
    "lfu-decay-time": (0, _INT),
    "lfu-log-factor": (0, _INT),
    "list-compress-depth": (0, _INT),
    "list-max-listpack-size": (-_INT - 1, _INT),
    "max-new-connections-per-cycle": (1, 1000),
    "max-new-tls-connections-per-cycle": (1, 1000),
    # Redis looks for a limit of open files that it may have in steps of 16, which from a very large value takes minutes.
    "maxclients": (1, 1_000_000),
    "maxmemory-eviction-tenacity": (0, 100),
    "maxmemory-samples": (1, _INT),  # at most 64 in Redis 8 and Valkey, which say so
    "min-replicas-max-lag": (0, _INT),
    "min-replicas-to-write": (0, _INT),
    "port": (0, 65535),
    "prefetch-batch-max-size": (0, 128),
    "rdma-completion-vector": (-1, 1024),
    "rdma-port": (0, 65535),
    "rdma-rx-size": (65536, 16777216),
    "repl-backlog-ttl": (0, None),
    "repl-diskless-sync-delay": (0, _INT),
    "repl-diskless-sync-max-replicas": (0, _INT),
    "repl-ping-replica-period": (1, _INT),
    "repl-timeout": (1, _INT),
    "replica-announce-port": (0, 65535),
    "replica-priority": (0, _INT),
    "set-max-intset-entries": (0, None),
    "set-max-listpack-entries": (0, None),
    "set-max-listpack-value": (0, None),
    "shutdown-timeout": (0, _INT),
    "socket-mark-id": (0, 2**32 - 1),
    "stream-node-max-entries": (0, None),
    "tcp-backlog": (0, _INT),
    "tcp-keepalive": (0, _INT),
    "timeout": (0, _INT),
    "tls-port": (0, 65535),
    "tls-session-cache-size": (0, _INT),
    "tls-session-cache-timeout": (0, _INT),
    "tracking-table-max-keys": (0, None),
    "zset-max-listpack-entries": (0, None),
}

# Words whose order counts, and the spaces between which do not.
WORDS = frozenset({"bind", "rdma-bind"})

# CONFIG SET refuses these; they are for the file and a start.
IMMUTABLE = frozenset(
    """aclfile always-show-logo aof-rewrite-cpulist appenddirname appendfilename bgsave-cpulist bio-cpulist
    cluster-config-file cluster-enabled cluster-port daemonize databases disable-thp enable-debug-command
    enable-module-command enable-protected-configs io-threads io-threads-do-reads logfile pidfile rdbchecksum
    rdma-completion-vector rdma-rx-size replicaof server-cpulist set-proc-title socket-mark-id supervised syslog-enabled
    syslog-facility syslog-ident tcp-backlog unixsocket unixsocketgroup unixsocketperm""".split()
)

SECRETS = frozenset({"masterauth", "primaryauth", "requirepass", "tls-client-key-file-pass", "tls-key-file-pass"})

# What a file that does not name the parameter stands for: what a server with an empty file answers. CONFIG REWRITE leaves
# out what is at its default. dir is the folder that the server is started in, and pidfile is made up at a start.
_DEFAULTS = """\
acl-pubsub-default resetchannels
aclfile
acllog-max-len 128
active-defrag-cycle-max 25
active-defrag-cycle-min 1
active-defrag-cycle-us 500
active-defrag-ignore-bytes 104857600
active-defrag-max-scan-fields 1000
active-defrag-threshold-lower 10
active-defrag-threshold-upper 100
active-expire-effort 1
activedefrag no
activerehashing yes
always-show-logo no
aof-disable-auto-gc no
aof-load-truncated yes
aof-rewrite-cpulist
aof-rewrite-incremental-fsync yes
aof-timestamp-enabled no
aof-use-rdb-preamble yes
appenddirname appendonlydir
appendfilename appendonly.aof
appendfsync everysec
appendonly no
auto-aof-rewrite-min-size 67108864
auto-aof-rewrite-percentage 100
availability-zone
bgsave-cpulist
bind * -::*
bind-source-addr
bio-cpulist
busy-reply-threshold 5000
client-output-buffer-limit normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60
client-query-buffer-limit 1073741824
cluster-allow-pubsubshard-when-down yes
cluster-allow-reads-when-down no
cluster-allow-replica-migration yes
cluster-announce-bus-port 0
cluster-announce-client-ipv4
cluster-announce-client-ipv6
cluster-announce-hostname
cluster-announce-human-nodename
cluster-announce-ip
cluster-announce-port 0
cluster-announce-tls-port 0
cluster-blacklist-ttl 60
cluster-compatibility-sample-ratio 0
cluster-config-file nodes.conf
cluster-enabled no
cluster-link-sendbuf-limit 0
cluster-manual-failover-timeout 5000
cluster-migration-barrier 1
cluster-node-timeout 15000
cluster-port 0
cluster-preferred-endpoint-type ip
cluster-replica-no-failover no
cluster-replica-validity-factor 10
cluster-require-full-coverage yes
cluster-slot-stats-enabled no
commandlog-execution-slower-than 10000
commandlog-large-reply-max-len 128
commandlog-large-request-max-len 128
commandlog-reply-larger-than 1048576
commandlog-request-larger-than 1048576
commandlog-slow-execution-max-len 128
crash-log-enabled yes
crash-memcheck-enabled yes
daemonize no
databases 16
dbfilename dump.rdb
disable-thp yes
dual-channel-replication-enabled no
dynamic-hz yes
enable-debug-command no
enable-module-command no
enable-protected-configs no
extended-redis-compatibility no
hash-max-listpack-entries 512
hash-max-listpack-value 64
hll-sparse-max-bytes 3000
hz 10
ignore-warnings
import-mode no
io-threads 1
io-threads-do-reads no
jemalloc-bg-thread yes
latency-monitor-threshold 0
latency-tracking yes
latency-tracking-info-percentiles 50 99 99.9
lazyfree-lazy-eviction no
lazyfree-lazy-expire no
lazyfree-lazy-server-del no
lazyfree-lazy-user-del no
lazyfree-lazy-user-flush no
lfu-decay-time 1
lfu-log-factor 10
list-compress-depth 0
list-max-listpack-size -2
locale-collate
log-format legacy
log-timestamp-format legacy
logfile
loglevel notice
max-new-connections-per-cycle 10
max-new-tls-connections-per-cycle 1
maxclients 10000
maxmemory 0
maxmemory-clients 0
maxmemory-eviction-tenacity 10
maxmemory-policy noeviction
maxmemory-samples 5
min-replicas-max-lag 10
min-replicas-to-write 0
no-appendfsync-on-rewrite no
notify-keyspace-events
oom-score-adj no
oom-score-adj-values 0 200 800
port 6379
prefetch-batch-max-size 16
primaryauth
primaryuser
proc-title-template {title} {listen-addr} {server-mode}
propagation-error-behavior ignore
protected-mode yes
proto-max-bulk-len 536870912
rdb-del-sync-files no
rdb-save-incremental-fsync yes
rdb-version-check strict
rdbchecksum yes
rdbcompression yes
rdma-bind
rdma-completion-vector -1
rdma-port 0
rdma-rx-size 1048576
repl-backlog-size 1048576
repl-backlog-ttl 3600
repl-disable-tcp-nodelay no
repl-diskless-load disabled
repl-diskless-sync yes
repl-diskless-sync-delay 5
repl-diskless-sync-max-replicas 0
repl-ping-replica-period 10
repl-timeout 60
replica-announce-ip
replica-announce-port 0
replica-announced yes
replica-full-sync-buffer-limit 0
replica-ignore-disk-write-errors no
replica-ignore-maxmemory yes
replica-lazy-flush no
replica-priority 100
replica-read-only yes
replica-serve-stale-data yes
replicaof
requirepass
sanitize-dump-payload no
save 3600 1 300 100 60 10000
server-cpulist
set-max-intset-entries 512
set-max-listpack-entries 128
set-max-listpack-value 64
set-proc-title yes
shutdown-on-sigint default
shutdown-on-sigterm default
shutdown-timeout 10
socket-mark-id 0
stop-writes-on-bgsave-error yes
stream-node-max-bytes 4096
stream-node-max-entries 100
supervised no
syslog-enabled no
syslog-facility local0
syslog-ident redis
tcp-backlog 511
tcp-keepalive 300
timeout 0
tls-auth-clients yes
tls-ca-cert-dir
tls-ca-cert-file
tls-cert-file
tls-ciphers
tls-ciphersuites
tls-client-cert-file
tls-client-key-file
tls-client-key-file-pass
tls-cluster no
tls-dh-params-file
tls-key-file
tls-key-file-pass
tls-port 0
tls-prefer-server-ciphers no
tls-protocols
tls-replication no
tls-session-cache-size 20480
tls-session-cache-timeout 300
tls-session-caching yes
tracking-table-max-keys 1000000
unixsocket
unixsocketgroup
unixsocketperm 0
zset-max-listpack-entries 128
zset-max-listpack-value 64
"""
DEFAULTS: dict[str, str] = {name: value for name, _, value in (line.partition(" ") for line in _DEFAULTS.splitlines())}

_REDIS_DEFAULTS = {"hide-user-data-from-log": "no"}
_VALKEY_DEFAULTS = {
    "hide-user-data-from-log": "yes",
    "lazyfree-lazy-eviction": "yes",
    "lazyfree-lazy-expire": "yes",
    "lazyfree-lazy-server-del": "yes",
    "lazyfree-lazy-user-del": "yes",
    "lazyfree-lazy-user-flush": "yes",
    "repl-backlog-size": "10485760",
    "replica-lazy-flush": "yes",
    "syslog-ident": "valkey",
}


# Redis 6 starts otherwise, and is not among the servers that this was checked against.
_SINCE_7 = frozenset({"acl-pubsub-default", "repl-diskless-sync"})


def defaults(about: Mapping[str, Any]) -> dict[str, str]:
    """The known defaults, by present names, of the server that answers INFO with this."""
    known = {**DEFAULTS, **(_VALKEY_DEFAULTS if about.get("server_name") == "valkey" else _REDIS_DEFAULTS)}
    if str(about["redis_version"]).split(".", maxsplit=1)[0] in ("5", "6"):
        return {name: value for name, value in known.items() if name not in _SINCE_7}
    return known
