/*
 * Every setting of every process: one row each. The struct, the reader,
 * --help, --show-config and docs/config.md are made from it.
 *
 * C(field, key, kind, default, min, max, who, help). `who` is a set of the
 * letters of the stages that use it: i(ngest) r(outer) l(ogger) d(eliverer)
 * a(pi). Kinds: TEXT; NUMBER; MS (30s, 5m, 24h, 250ms); BYTES (64k, 4m, 1g);
 * BOOL (0 or 1). An empty TEXT means "not set" and says in its help what then
 * holds. Every process accepts (and ignores) the keys of the others.
 */
#ifndef SLUICE_CONFIG_KEYS_H
#define SLUICE_CONFIG_KEYS_H

#define CONFIG_SECOND UINT64_C(1000)
#define CONFIG_MINUTE (60 * CONFIG_SECOND)
#define CONFIG_HOUR (60 * CONFIG_MINUTE)
#define CONFIG_DAY (24 * CONFIG_HOUR)
#define CONFIG_MIB (UINT64_C(1024) * 1024)
#define CONFIG_GIB (1024 * CONFIG_MIB)

/* clang-format off */
#define CONFIG_KEYS(C)                                                         \
	C(data, "SLUICE_DATA", TEXT, "./var", 0, 0, "irlda",                   \
	    "folder of everything that is kept")                               \
	C(instance, "SLUICE_INSTANCE", TEXT, "", 0, 0, "irlda",                \
	    "name of this process among its stage; not set: HOST/STAGE-N, N "  \
	    "the lowest free slot under SLUICE_DATA")                          \
	C(log_level, "SLUICE_LOG_LEVEL", TEXT, "info", 0, 0, "irlda",          \
	    "debug, info, warn or error")                                      \
	C(admin_http, "SLUICE_ADMIN_HTTP", TEXT, "127.0.0.1:0", 0, 0, "irlda", \
	    "host:port of /healthz, /readyz and /metrics; port 0 takes a free " \
	    "one and the ready line names it")                                 \
	C(drain_ms, "SLUICE_DRAIN", MS, "25s", 0, CONFIG_HOUR, "irlda",        \
	    "how long SIGTERM waits for work in hand")                         \
	C(master_key_file, "SLUICE_MASTER_KEY_FILE", TEXT, "", 0, 0, "ida",    \
	    "32 random bytes that seal all secrets; not set: "                 \
	    "SLUICE_DATA/keys/master.key; made when absent")                   \
	C(keys_folder, "SLUICE_KEYS", TEXT, "", 0, 0, "irlda",                 \
	    "CURVE certificates (STAGE.pub, STAGE.key); not set: no keys, "    \
	    "ipc links only")                                                  \
	C(link_plain, "SLUICE_LINK_PLAIN", BOOL, "0", 0, 1, "irlda",           \
	    "1 allows tcp links without keys")                                 \
	C(ingest_link, "SLUICE_INGEST_LINK", TEXT, "", 0, 0, "irlda",          \
	    "where ingest binds its link; not set: "                           \
	    "ipc://SLUICE_DATA/run/ingest.sock")                               \
	C(logger_link, "SLUICE_LOGGER_LINK", TEXT, "", 0, 0, "irlda",          \
	    "where the logger binds its link; not set: "                       \
	    "ipc://SLUICE_DATA/run/logger.sock")                               \
	C(api_link, "SLUICE_API_LINK", TEXT, "", 0, 0, "irlda",                \
	    "where the api binds its link; not set: "                          \
	    "ipc://SLUICE_DATA/run/api.sock")                                  \
	C(ingest_peers, "SLUICE_INGEST_PEERS", TEXT, "", 0, 0, "r",            \
	    "ingests to connect to; not set: SLUICE_INGEST_LINK")              \
	C(logger_peers, "SLUICE_LOGGER_PEERS", TEXT, "", 0, 0, "rda",          \
	    "loggers to connect to; not set: SLUICE_LOGGER_LINK")              \
	C(api_peers, "SLUICE_API_PEERS", TEXT, "", 0, 0, "irl",                \
	    "apis to connect to; not set: SLUICE_API_LINK")                    \
	C(ingest_http, "SLUICE_INGEST_HTTP", TEXT, "127.0.0.1:8080", 0, 0,     \
	    "ia", "host:port of ingest's HTTP")                                \
	C(api_http, "SLUICE_API_HTTP", TEXT, "127.0.0.1:8081", 0, 0, "a",      \
	    "host:port of the api's HTTP")                                     \
	C(ingest_public_url, "SLUICE_INGEST_PUBLIC_URL", TEXT, "", 0, 0, "ia", \
	    "how connectors reach ingest, also in what a vendor signs; not "   \
	    "set: http://SLUICE_INGEST_HTTP")                                  \
	C(api_public_url, "SLUICE_API_PUBLIC_URL", TEXT, "", 0, 0, "a",        \
	    "how clients reach the api; not set: http://SLUICE_API_HTTP")      \
	C(entity_base_url, "SLUICE_ENTITY_BASE_URL", TEXT,                     \
	    "https://unify.apideck.com", 0, 0, "i",                            \
	    "base of entity_url in unified events")                            \
	C(http_connections, "SLUICE_HTTP_CONNECTIONS", NUMBER, "10000", 1,     \
	    100000, "ia", "connections at once")                               \
	C(request_timeout_ms, "SLUICE_REQUEST_TIMEOUT", MS, "30s",             \
	    CONFIG_SECOND, CONFIG_HOUR, "ia",                                  \
	    "a request must have arrived whole by then, else 408")             \
	C(connectors, "SLUICE_CONNECTORS", TEXT, "", 0, 0, "i",                \
	    "folder of connector files; not set: the one installed with it")   \
	C(accept_log, "SLUICE_ACCEPT_LOG", TEXT, "", 0, 0, "i",                \
	    "folder of the accept log; not set: SLUICE_DATA/accept")           \
	C(accept_log_max, "SLUICE_ACCEPT_LOG_MAX", BYTES, "0", 0,              \
	    1024 * CONFIG_GIB, "i",                                            \
	    "cap of the accept log; 0: half of what is free at start, 64g at " \
	    "most")                                                            \
	C(accept_log_any_fs, "SLUICE_ACCEPT_LOG_ANY_FS", BOOL, "0", 0, 1, "i", \
	    "1 allows overlay, tmpfs and network file systems")                \
	C(store, "SLUICE_STORE", TEXT, "", 0, 0, "l",                          \
	    "event store; not set: sqlite in SLUICE_DATA/store/events.db")     \
	C(retention_ms, "SLUICE_RETENTION", MS, "30d", CONFIG_MINUTE,          \
	    3650 * CONFIG_DAY, "l", "how long finished events are kept")       \
	C(lease_max_ms, "SLUICE_LEASE_MAX", MS, "5m", 10 * CONFIG_SECOND,      \
	    CONFIG_DAY, "l", "a lease ends after this at the latest")          \
	C(directory, "SLUICE_DIRECTORY", TEXT, "", 0, 0, "a",                  \
	    "directory database; not set: SLUICE_DATA/directory/directory.db") \
	C(retry_schedule, "SLUICE_RETRY_SCHEDULE", TEXT,                       \
	    "3m,5m,10m,30m,1h,2h,4h,8h,12h", 0, 0, "ld",                       \
	    "gaps between the attempts of a delivery")                         \
	C(retry_jitter, "SLUICE_RETRY_JITTER", NUMBER, "10", 0, 50, "ld",      \
	    "percent that a gap may vary")                                     \
	C(retry_max_age_ms, "SLUICE_RETRY_MAX_AGE", MS, "24h", CONFIG_SECOND,  \
	    365 * CONFIG_DAY, "ld", "a delivery is given up at this age")      \
	C(delivery_timeout_ms, "SLUICE_DELIVERY_TIMEOUT", MS, "60s", 100,      \
	    CONFIG_HOUR, "d", "of one attempt, whole")                         \
	C(connect_timeout_ms, "SLUICE_CONNECT_TIMEOUT", MS, "10s", 100,        \
	    CONFIG_HOUR, "d", "of its connection")                             \
	C(deliverer_slots, "SLUICE_DELIVERER_SLOTS", NUMBER, "1024", 16,       \
	    16384, "d", "attempts in flight at once")                          \
	C(deliverer_threads, "SLUICE_DELIVERER_THREADS", NUMBER, "1", 1, 16,   \
	    "d", "threads that carry them")                                    \
	C(allow_net, "SLUICE_ALLOW_NET", TEXT, "", 0, 0, "da",                 \
	    "networks that may be called although they are not public, as "    \
	    "127.0.0.0/8,::1/128")                                             \
	C(ca_file, "SLUICE_CA_FILE", TEXT, "", 0, 0, "d",                      \
	    "PEM file of the authorities that subscribers' certificates must " \
	    "come from; not set: the system's")                                \
	C(fail_point, "SLUICE_FAIL_POINT", TEXT, "", 0, 0, "irlda",            \
	    "for tests: the process kills itself at this point")
/* clang-format on */

#endif
