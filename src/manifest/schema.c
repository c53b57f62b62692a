/* SPDX-License-Identifier: MIT */
/* The table. Order is that of the manual. Forms of values come first, then maps, innermost first.
 */
#include "manifest/schema.h"

#include "manifest/ciphers.h"
#include "manifest/syntax.h"

#define SECOND   1000
#define MINUTE   (60 * SECOND)
#define HOUR     (60 * MINUTE)
#define PORT_MAX 65535

#define FORMAT(id, what, check, pattern)                                                           \
	static const struct schema_format id = {what, check, pattern}
FORMAT(f_name, "a name of letters, digits, '-' and '_'", syntax_name,
	"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$");
FORMAT(f_server, "a host: [user@]name[:port]", syntax_server, "^[^-\\s/][^\\s/]*$");
FORMAT(f_domain, "a host name", syntax_domain, NULL);
FORMAT(f_ip, "an IP address", syntax_ip, NULL);
FORMAT(f_repository, "an image name without tag", syntax_repository, NULL);
FORMAT(f_image, "an image", syntax_image, NULL);
FORMAT(f_registry, "a registry: host[:port]", syntax_registry, NULL);
FORMAT(f_env_name, "the name of a variable", syntax_env_name, "^[A-Za-z_][A-Za-z0-9_.-]*$");
FORMAT(f_secret, "the name of a secret", syntax_secret_name, "^[A-Za-z_][A-Za-z0-9_]*$");
FORMAT(f_secret_ref, "the name of a secret, or NAME:SECRET", syntax_secret_ref,
	"^[A-Za-z_][A-Za-z0-9_.-]*(:[A-Za-z_][A-Za-z0-9_]*)?$");
FORMAT(f_label, "the name of a label", syntax_label, NULL);
FORMAT(f_word, "a word", syntax_word, NULL);
FORMAT(f_line, "one line of text", syntax_line, NULL);
FORMAT(f_text, "a text", syntax_text, NULL);
FORMAT(f_command, "a command", syntax_command, NULL);
FORMAT(f_alias, "the name of an alias", syntax_alias, "^[a-z0-9_][a-z0-9_-]*$");
FORMAT(f_response_header, "the name of a header", syntax_response_header, "^[A-Za-z0-9_-]+$");
FORMAT(f_log_header, "the name of a header that holds no secret", syntax_log_header,
	"^[A-Za-z0-9_-]+$");
FORMAT(f_cookie, "the name of a cookie", syntax_cookie, "^[A-Za-z_][A-Za-z0-9_]*$");
FORMAT(f_header_value, "the value of a header", syntax_header_value, NULL);
FORMAT(f_rate, "a rate such as 10/s or 5/m", syntax_rate, "^[0-9]+/[sm]$");
FORMAT(f_user, "a login name", syntax_user, NULL);
FORMAT(f_number_version, "a version such as 2.1.0", syntax_number_version, "^[0-9]+(\\.[0-9]+)*$");
FORMAT(f_inside, "a path inside of the folder", syntax_path_inside, NULL);
FORMAT(f_relative, "a folder, relative to the manifest's", syntax_path_relative, NULL);
FORMAT(f_path, "a path", syntax_path, NULL);
FORMAT(f_absolute, "an absolute path", syntax_path_absolute, "^/");
FORMAT(f_asset, "an absolute path[:options]", syntax_asset_path, "^/");
FORMAT(f_volume, "a volume: name:/path[:ro] or /path:/path[:ro]", syntax_volume,
	"^[^:]+:/[^:]+(:[a-zA-Z,]+)?$");
FORMAT(f_url_path, "a URL path", syntax_url_path, "^/");
FORMAT(f_prefix, "a path prefix", syntax_path_prefix, "^/");
FORMAT(f_ssh_url, "ssh://[user@]host[:port]", syntax_ssh_url, "^ssh://");
FORMAT(f_jump, "a host: [user@]name[:port]", syntax_jump, NULL);
FORMAT(f_tag, "a tag, with {sha}, {branch} or {version}", syntax_tag_template, NULL);
FORMAT(f_port, "a port mapping: [address:][port:]port", syntax_port_mapping, NULL);
FORMAT(f_limit, "a number or a percentage", syntax_limit, "^[0-9]+%?$");
FORMAT(f_ratio, "a number from 0 to 1", syntax_ratio, "^(0?\\.[0-9]+|0|1(\\.0+)?)$");
FORMAT(f_mode, "a mode such as 0644", syntax_mode, "^[0-7]{3,4}$");
FORMAT(f_owner, "user[:group]", syntax_owner, NULL);
FORMAT(f_schedule, "daily, or five fields as cron has them", syntax_schedule, NULL);
FORMAT(f_url, "a URL, or [SECRET] that holds it", syntax_url, "^https?://");
FORMAT(f_plain_url, "a URL", syntax_url, "^https?://");
FORMAT(f_email, "an e-mail address", syntax_email, "@");
FORMAT(f_host_port, "host[:port]", syntax_host_port, NULL);
FORMAT(f_cipher, "a cipher suite of TLS 1.2", tls_cipher_check, "^(TLS_)?ECDHE[-_](ECDSA|RSA)[-_]");
FORMAT(f_backup_to, "server, ssh://host/folder, s3://bucket or a folder", syntax_backup_to, NULL);

#define TEXT(id, fmt) static const struct schema id = {.scalar = SCHEMA_TEXT, .format = &(fmt)}
#define LIST(id, of)  static const struct schema id = {.items = &(of)}
#define SET(id, of)   static const struct schema id = {.items = &(of), .unique = true}
#define WORDS(id, ...)                                                                             \
	static const char *const id##_words[] = {__VA_ARGS__, NULL};                               \
	static const struct schema id = {.scalar = SCHEMA_TEXT, .words = id##_words}
#define MAP(id, table) static const struct schema id = {.keys = (table)}
#define DURATION(id, low, high)                                                                    \
	static const struct schema id = {.scalar = SCHEMA_DURATION, .min = (low), .max = (high)}
#define INT(id, low, high)                                                                         \
	static const struct schema id = {.scalar = SCHEMA_INT, .min = (low), .max = (high)}

static const struct schema boolean = {.scalar = SCHEMA_BOOL};
static const struct schema any = {.special = SCHEMA_ANY};
static const struct schema value = {.scalar = SCHEMA_VALUE};
INT(port, 1, PORT_MAX);
INT(count, 1, 100);
INT(starts, 1, 512);
INT(burst, 0, 10000);
INT(retain, 1, 1000);
INT(days, 1, 3650);
INT(retries, 0, 20);
DURATION(up_to_hour, 0, HOUR);
DURATION(some_up_to_hour, SECOND, HOUR);
DURATION(up_to_day, SECOND, 24 * HOUR);
DURATION(cookie_age, SECOND, (int64_t)400 * 24 * HOUR);
DURATION(probe, 10, 10 * MINUTE);
static const struct schema size = {.scalar = SCHEMA_SIZE, .min = 0, .max = (int64_t)1 << 50};
TEXT(name, f_name);
TEXT(domain, f_domain);
TEXT(ip, f_ip);
TEXT(repository, f_repository);
TEXT(image, f_image);
TEXT(registry_host, f_registry);
TEXT(secret, f_secret);
TEXT(secret_ref, f_secret_ref);
TEXT(word, f_word);
TEXT(line, f_line);
TEXT(text, f_text);
TEXT(command, f_command);
TEXT(log_header, f_log_header);
TEXT(cookie, f_cookie);
TEXT(header_value, f_header_value);
TEXT(rate, f_rate);
TEXT(user, f_user);
TEXT(number_version, f_number_version);
TEXT(inside, f_inside);
TEXT(relative, f_relative);
TEXT(path, f_path);
TEXT(absolute, f_absolute);
TEXT(asset, f_asset);
TEXT(volume, f_volume);
TEXT(url_path, f_url_path);
TEXT(prefix, f_prefix);
TEXT(ssh_url, f_ssh_url);
TEXT(jump, f_jump);
TEXT(tag, f_tag);
TEXT(port_mapping, f_port);
TEXT(limit, f_limit);
TEXT(ratio, f_ratio);
TEXT(mode, f_mode);
TEXT(owner, f_owner);
TEXT(schedule, f_schedule);
TEXT(host_port, f_host_port);
TEXT(endpoint, f_url);
TEXT(email, f_email);
TEXT(plain_url, f_plain_url);
TEXT(backup_to, f_backup_to);
WORDS(arch_word, "amd64", "arm64");
static const struct schema arch = {
	.scalar = SCHEMA_TEXT, .words = arch_word_words, .items = &arch_word};
static const struct schema host = {
	.special = SCHEMA_HOST, .scalar = SCHEMA_TEXT, .format = &f_server};
SET(names, name);
SET(hosts, host);
SET(volumes, volume);
SET(tags, tag);
SET(secrets, secret);
static const struct schema one_secret = {
	.scalar = SCHEMA_TEXT, .format = &f_secret, .items = &secret, .single = true};
SET(log_headers, log_header);
SET(ips, ip);
SET(ports, port_mapping);
static const struct schema domains = {.items = &domain, .unique = true};
static const struct schema domain_list = {
	.scalar = SCHEMA_TEXT, .format = &f_domain, .commas = true};
static const struct schema prefix_list = {
	.scalar = SCHEMA_TEXT, .format = &f_prefix, .commas = true};
SET(prefixes, prefix);
LIST(paths, path);
static const struct schema env_file = {.scalar = SCHEMA_TEXT, .format = &f_path, .items = &path};
static const struct schema labels = {.values = &value, .names = &f_label};
static const struct schema header_map = {.values = &header_value, .names = &f_response_header};
static const struct schema args = {.values = &value, .names = &f_env_name};
static const struct schema options = {.special = SCHEMA_OPTIONS};

#define KEY(key, value, fallback, doc)                                                             \
	{                                                                                          \
		key, value, fallback, doc, false, NULL, NULL                                       \
	}
#define NEEDED(key, value, fallback, doc)                                                          \
	{                                                                                          \
		key, value, fallback, doc, true, NULL, NULL                                        \
	}
#define NEVER(key, value, doc, why, instead)                                                       \
	{                                                                                          \
		key, value, NULL, doc, false, why, instead                                         \
	}
#define END                                                                                        \
	{                                                                                          \
		NULL, NULL, NULL, NULL, false, NULL, NULL                                          \
	}

static const struct schema clear = {.values = &value, .names = &f_env_name};
SET(secret_refs, secret_ref);
static const struct schema tag_env = {.special = SCHEMA_ENV};
static const struct schema env_tags = {.values = &tag_env, .names = &f_name};
static const struct schema_key env_keys[] = {
	KEY("clear", &clear, NULL, "Variables with their values."),
	KEY("secret", &secret_refs, NULL,
		"Secrets by name; `NAME:SECRET` takes another one's value."),
	KEY("tags", &env_tags, NULL, "Variables for the hosts that have a tag."),
	END,
};
const struct schema schema_env = {
	.special = SCHEMA_ENV, .keys = env_keys, .values = &value, .names = &f_env_name};

static const struct schema log_options = {.values = &value, .names = &f_word};
static const struct schema_key logging_keys[] = {
	KEY("driver", &word, "the daemon's", "Docker's logging driver."),
	KEY("options", &log_options, NULL, "Options of the driver."),
	END,
};
MAP(logging, logging_keys);

static const struct schema port_or_true = {.scalar = SCHEMA_BOOL_OR_TEXT, .format = &f_port};
static const struct schema_key health_keys[] = {
	KEY("path", &url_path, "/up", "Asked with GET; 200 to 399 is healthy."),
	KEY("port", &port, "app_port", "Port that is asked."),
	KEY("interval", &probe, "1s", "Longest time between two probes; the first come faster."),
	KEY("timeout", &probe, "5s", "Time that one probe may take."),
	KEY("cmd", &text, NULL, "Instead: a command in the container (`sh -c`) that exits with 0."),
	KEY("tcp", &port_or_true, NULL, "Instead: a port that accepts; `true` means app_port."),
	KEY("docker", &boolean, NULL, "Instead: the image's HEALTHCHECK."),
	END,
};
static const struct schema health = {.scalar = SCHEMA_BOOL, .keys = health_keys};

static const struct schema_key ssl_keys[] = {
	NEEDED("certificate_pem", &one_secret, NULL, "Secret with the certificate and its chain."),
	NEEDED("private_key_pem", &one_secret, NULL, "Secret with the key."),
	END,
};
static const struct schema ssl = {.scalar = SCHEMA_BOOL, .keys = ssl_keys};

WORDS(tls_version, "1.2", "1.3");
TEXT(cipher, f_cipher);
SET(ciphers, cipher);
static const struct schema_key tls_keys[] = {
	KEY("min_version", &tls_version, "1.2", "Lowest version of TLS: 1.2 or 1.3."),
	KEY("ciphers", &ciphers, "the proxy's", "Cipher suites of TLS 1.2, the best one first."),
	KEY("hsts", &boolean, "false", "Browsers come by HTTPS alone, for a year."),
	END,
};
MAP(tls, tls_keys);

static const struct schema_key acme_keys[] = {
	KEY("email", &email, NULL, "Address that the authority writes to."),
	KEY("server", &plain_url, "Let's Encrypt's", "Directory of the authority."),
	KEY("ca", &path, NULL, "File with the root certificates of that server's own HTTPS."),
	END,
};
MAP(acme, acme_keys);

static const struct schema_key buffering_keys[] = {
	KEY("requests", &boolean, "false", "Read a request whole before the application gets it."),
	KEY("responses", &boolean, "false", "Read a response whole before the client gets it."),
	KEY("max_request_body", &size, "1g", "Largest request body; 0 is no limit."),
	NEVER("max_response_body", &size, "Largest response body.",
		"the proxies here do not bound responses", "leave it out"),
	NEVER("memory", &size, "Memory for one buffer.", "the proxies here choose their buffers",
		"leave it out"),
	END,
};
MAP(buffering, buffering_keys);

static const struct schema_key proxy_logging_keys[] = {
	KEY("request_headers", &log_headers, NULL, "Request headers that the access log shows."),
	KEY("response_headers", &log_headers, NULL, "Response headers that the access log shows."),
	END,
};
MAP(proxy_logging, proxy_logging_keys);

static const struct schema_key run_keys[] = {
	KEY("http_port", &port, "80", "Port for HTTP on the server."),
	KEY("https_port", &port, "443", "Port for HTTPS on the server."),
	KEY("bind_ips", &ips, "all", "Addresses that the ports are published on."),
	KEY("publish", &boolean, "true", "`false`: no port is published."),
	KEY("debug", &boolean, "false", "The proxy logs more."),
	KEY("log_max_size", &size, "10m", "Size at which the container's log is rotated."),
	KEY("options", &options, NULL, "Options of docker run for the proxy's container."),
	KEY("metrics_port", &port, NULL, "Port for Prometheus (driver caddy)."),
	KEY("metrics_ip", &ip, "127.0.0.1", "Address that it is published on."),
	NEVER("registry", &registry_host, "Registry of kamal-proxy.",
		"kamal-proxy is not used here",
		"name the image whole: proxy.image: registry/caddy:2"),
	NEVER("repository", &word, "Repository of kamal-proxy.", "kamal-proxy is not used here",
		"name the image whole: proxy.image: caddy:2"),
	NEVER("version", &word, "Version of kamal-proxy.", "kamal-proxy is not used here",
		"name the image whole: proxy.image: caddy:2"),
	END,
};
MAP(run, run_keys);

static const struct schema_key sticky_keys[] = {
	KEY("cookie", &cookie, "deploy_sticky", "Name of the cookie."),
	KEY("secure", &boolean, "with ssl", "Browsers send it by HTTPS alone."),
	KEY("max_age", &cookie_age, "the browser's session", "Time that browsers keep it."),
	END,
};
static const struct schema sticky = {.scalar = SCHEMA_BOOL, .keys = sticky_keys};

WORDS(policy, "round_robin", "least_conn", "random", "ip_hash");
static const struct schema_key balancing_keys[] = {
	KEY("policy", &policy, "of the driver",
		"round_robin, least_conn, random or ip_hash; by default caddy has least_conn, "
		"nginx random, traefik round_robin."),
	KEY("sticky", &sticky, "false", "A client stays with its container, by a cookie."),
	NEVER("weights", &any, "Shares of the containers.",
		"all containers of a release on a host are equal",
		"another number of 'replicas' on a host"),
	END,
};
MAP(balancing, balancing_keys);

static const struct schema_key rate_limit_keys[] = {
	KEY("path", &prefix, "/", "This path and what lies below it, as the application sees it."),
	NEEDED("rate", &rate, NULL, "Requests of one address: 10/s, 5/m."),
	KEY("burst", &burst, "0", "Further ones that are let through at once."),
	END,
};
MAP(rate_limit, rate_limit_keys);
LIST(rate_limits, rate_limit);

WORDS(driver, "caddy", "traefik", "nginx");
static const struct schema_key proxy_keys[] = {
	KEY("driver", &driver, "caddy", "caddy, nginx or traefik."),
	KEY("image", &image, "of the driver", "Image of the proxy: caddy:2, nginx:1, traefik:v3."),
	KEY("host", &domain_list, NULL, "Host name that is routed here; several with commas."),
	KEY("hosts", &domains, NULL, "Host names that are routed here; none: every one."),
	KEY("app_port", &port, "80", "Port that the application listens on."),
	KEY("ssl", &ssl, "false", "`true`: certificate by itself; or the secrets that hold one."),
	KEY("acme", &acme, NULL, "Whom `ssl: true` has its certificates from."),
	KEY("tls", &tls, NULL, "Versions and ciphers of TLS, and HSTS."),
	KEY("ssl_redirect", &boolean, "true", "With ssl: HTTP is redirected to HTTPS."),
	KEY("path_prefix", &prefix_list, NULL, "Path that is routed here; several with commas."),
	KEY("path_prefixes", &prefixes, NULL, "Paths that are routed here."),
	KEY("strip_path_prefix", &boolean, "true", "The application does not see the prefix."),
	KEY("healthcheck", &health, NULL, "When a new container counts as healthy."),
	KEY("response_timeout", &some_up_to_hour, "30s", "Time for an answer of the application."),
	KEY("buffering", &buffering, NULL, "Buffers for bodies."),
	KEY("response_headers", &header_map, NULL, "Headers of every answer of the application."),
	KEY("compress", &boolean, "false", "Answers are compressed for clients that can read it."),
	KEY("rate_limits", &rate_limits, NULL,
		"Requests that one address may send (nginx, traefik)."),
	KEY("load_balancing", &balancing, NULL, "How requests are shared among `replicas`."),
	KEY("circuit_breaker", &line, NULL, "When the application is left alone (traefik)."),
	KEY("snippet", &inside, NULL, "File with directives of the proxy's own language."),
	KEY("forward_headers", &boolean, "not ssl", "Trust the client's X-Forwarded headers."),
	KEY("logging", &proxy_logging, NULL, "What the access log shows beside the usual."),
	KEY("run", &run, NULL, "The proxy's container."),
	END,
};
static const struct schema proxy = {.scalar = SCHEMA_BOOL, .keys = proxy_keys};

WORDS(order, "start-first", "stop-first");
static const struct schema cron_commands = {
	.scalar = SCHEMA_TEXT, .format = &f_command, .items = &command};
static const struct schema cron = {.values = &cron_commands, .names = &f_schedule};
static const struct schema_key role_keys[] = {
	KEY("hosts", &hosts, NULL, "The hosts of the role."),
	KEY("cmd", &command, "the image's", "Command; words as in a shell, without a shell."),
	KEY("replicas", &count, "1", "Containers on each host."),
	KEY("env", &schema_env, NULL, "Laid over the service's env."),
	KEY("env_file", &env_file, NULL, "Files with variables; `env` counts more."),
	KEY("options", &options, NULL, "Options of docker run, by their long names."),
	KEY("labels", &labels, NULL, "Laid over the service's labels."),
	KEY("volumes", &volumes, NULL, "Beside the service's volumes."),
	KEY("networks", &names, "[deploy]", "Networks, of those under `networks`."),
	KEY("logging", &logging, NULL, "Laid over the service's logging."),
	KEY("stop_timeout", &up_to_hour, "10s", "Time between SIGTERM and SIGKILL."),
	KEY("proxy", &proxy, NULL, "Laid over `proxy`; true or false: with or without."),
	KEY("asset_path", &asset, NULL, "As `asset_path` of the service."),
	KEY("order", &order, "start-first", "Whether the new or the old ones come first."),
	KEY("cron", &cron, NULL,
		"Commands by their times: `{\"0 3 * * *\": bin/nightly}`, `{daily: ..}`."),
	KEY("healthcheck", &health, NULL, "Of a role without proxy."),
	END,
};
static const struct schema role = {.items = &host, .unique = true, .keys = role_keys};
static const struct schema servers = {
	.items = &host, .unique = true, .values = &role, .names = &f_name};

static const struct schema login = {
	.scalar = SCHEMA_TEXT, .format = &f_line, .items = &secret, .single = true};
static const struct schema_key registry_keys[] = {
	KEY("server", &registry_host, "Docker Hub", "Host and port of the registry."),
	KEY("username", &login, NULL, "Login; a list with one name means a secret."),
	KEY("password", &login, NULL, "A list with the name of the secret."),
	END,
};
MAP(registry, registry_keys);

WORDS(cache_type, "gha", "registry");
static const struct schema_key cache_keys[] = {
	NEEDED("type", &cache_type, NULL, "Kamal's; has no effect."),
	KEY("options", &line, NULL, "Kamal's; has no effect."),
	KEY("image", &line, NULL, "Kamal's; has no effect."),
	END,
};
MAP(cache, cache_keys);

static const struct schema bool_or_line = {.scalar = SCHEMA_BOOL_OR_TEXT, .format = &f_line};
static const struct schema_key builder_keys[] = {
	KEY("arch", &arch, "the servers'", "amd64, arm64, or a list."),
	KEY("context", &relative, "the commit's tree",
		"`.` or another folder: the work tree as it is, with what is not committed."),
	KEY("dockerfile", &inside, "Dockerfile", "Relative to the context."),
	KEY("target", &word, NULL, "Stage that is built."),
	KEY("args", &args, NULL, "Build arguments."),
	KEY("secrets", &secrets, NULL, "Build secrets (needs BuildKit)."),
	KEY("tags", &tags, NULL, "Further tags; {sha}, {branch} and {version} are put in."),
	KEY("remote", &ssh_url, NULL, "A host whose Docker builds."),
	KEY("local", &boolean, "true", "`false`: the remote builds everything."),
	KEY("no_cache", &boolean, "false", "Build every step anew."),
	KEY("pull", &boolean, "false", "Look for newer base images."),
	KEY("cache", &cache, NULL, "Kamal's; has no effect: the builder keeps its own."),
	KEY("driver", &line, NULL, "Kamal's; `docker` and `docker-container` have no effect."),
	KEY("provenance", &bool_or_line, NULL, "Kamal's; only `false`."),
	KEY("sbom", &bool_or_line, NULL, "Kamal's; only `false`."),
	NEVER("ssh", &line, "Kamal's.", "the build gets no SSH agent",
		"builder.secrets with a token, or a deploy key"),
	NEVER("pack", &any, "Kamal's.", "buildpacks are not supported",
		"write a Dockerfile, or build with pack in CI and push with --skip-build"),
	NEVER("multiarch", &any, "Kamal 1's.", "this is Kamal 1's", "builder.arch: [amd64, arm64]"),
	END,
};
MAP(builder, builder_keys);

static const struct schema snapshot = {.scalar = SCHEMA_TEXT, .format = &f_name, .items = &name};
static const struct schema_key release_keys[] = {
	KEY("command", &text, NULL,
		"Run once (`sh -c`) on the primary host, before new containers."),
	KEY("timeout", &up_to_day, "10m", "Time that it may take."),
	KEY("rollback_command", &text, NULL, "Run by a rollback that leaves such a release."),
	KEY("snapshot", &snapshot, NULL, "Accessory that is backed up first."),
	END,
};
MAP(release, release_keys);

WORDS(host_key_check, "strict", "accept-new");
WORDS(log_level, "debug", "info", "warn", "error", "fatal");
static const struct schema ssh_config = {
	.scalar = SCHEMA_BOOL_OR_TEXT, .format = &f_path, .items = &path};
static const struct schema_key ssh_keys[] = {
	KEY("user", &user, "as ssh does", "Login name."),
	KEY("port", &port, "as ssh does", "Port."),
	KEY("proxy", &jump, NULL, "Jump host: [user@]host[:port]; several with commas."),
	KEY("keys", &paths, NULL, "Files with private keys."),
	KEY("key_data", &secrets, NULL, "Secrets that hold private keys."),
	KEY("keys_only", &boolean, "false", "Only `keys` and `key_data`, nothing of the agent."),
	KEY("config", &ssh_config, "true", "`false`: no ~/.ssh/config; or the file to read."),
	KEY("known_hosts", &path, "as ssh does", "File with the known host keys."),
	KEY("host_key_check", &host_key_check, "strict", "`accept-new` records unknown keys."),
	KEY("connect_timeout", &some_up_to_hour, "ssh's, or 10s", "For connection and login."),
	KEY("keepalive", &some_up_to_hour, "ssh's, or 15s", "Between two signs of life."),
	KEY("max_parallel", &starts, "--parallel", "Hosts at the same time."),
	KEY("max_concurrent_starts", &starts, "8", "Handshakes at the same time."),
	KEY("log_level", &log_level, NULL, "Kamal's; has no effect: -v tells more."),
	KEY("forward_agent", &boolean, NULL, "Kamal's; the agent is never forwarded."),
	NEVER("proxy_command", &line, "Kamal's.", "a command here is not supported",
		"ssh.proxy: user@host, or ProxyCommand in ~/.ssh/config"),
	END,
};
MAP(ssh, ssh_keys);

static const struct schema_key sshkit_keys[] = {
	KEY("max_concurrent_starts", &starts, NULL, "As ssh.max_concurrent_starts."),
	KEY("pool_idle_timeout", &up_to_hour, NULL, "Kamal's; has no effect."),
	KEY("dns_retries", &retries, "3", "Look-ups of a host name after the first failed."),
	END,
};
MAP(sshkit, sshkit_keys);

WORDS(strategy, "all-at-once", "rolling", "canary");
WORDS(failure_action, "rollback", "pause", "continue");
static const struct schema_key rollout_keys[] = {
	KEY("strategy", &strategy, "all-at-once", "all-at-once, rolling or canary."),
	KEY("parallelism", &limit, "1",
		"Containers, or percentage of them, of a batch, or of the canary."),
	KEY("delay", &up_to_hour, "0", "Pause between two batches."),
	KEY("order", &order, "start-first", "Whether the new or the old ones come first."),
	KEY("monitor", &up_to_hour, "5s; canary: 30s",
		"Time that a batch is watched after its switch."),
	KEY("failure_action", &failure_action, "rollback",
		"What too many failures do: rollback, pause or continue."),
	KEY("max_failure_ratio", &ratio, "0", "Part of the hosts that may fail."),
	END,
};
MAP(rollout, rollout_keys);

static const struct schema_key boot_keys[] = {
	KEY("limit", &limit, "all",
		"Hosts, or percentage of them, that start containers at a time."),
	KEY("wait", &up_to_hour, "0", "Pause between two groups."),
	KEY("parallel_roles", &boolean, "false", "Roles of a host at the same time."),
	END,
};
MAP(boot, boot_keys);

static const struct schema_key file_keys[] = {
	NEEDED("local", &path, NULL, "File here."),
	NEEDED("remote", &absolute, NULL, "Path in the container."),
	KEY("mode", &mode, NULL, "Mode."),
	KEY("owner", &owner, NULL, "Owner and group."),
	KEY("options", &word, NULL, "ro, z, Z."),
	END,
};
static const struct schema file = {.scalar = SCHEMA_TEXT, .format = &f_line, .keys = file_keys};
LIST(files, file);
static const struct schema_key s3_keys[] = {
	KEY("endpoint", &endpoint, "of AWS", "URL of the S3 service."),
	KEY("region", &word, "us-east-1", "Region of the bucket."),
	NEEDED("access_key", &one_secret, NULL, "Secret with the access key's ID."),
	NEEDED("secret_key", &one_secret, NULL, "Secret with the secret access key."),
	END,
};
MAP(s3, s3_keys);
WORDS(backup_kind, "postgres", "mysql", "mariadb", "redis", "command");
static const struct schema_key backup_keys[] = {
	KEY("kind", &backup_kind, "by the image", "postgres, mysql, mariadb, redis or command."),
	KEY("database", &word, "of the image's variables", "Database that is backed up."),
	KEY("user", &word, "of the image's variables", "Login of the database."),
	KEY("command", &text, NULL,
		"kind: command: run in the container (`sh -c`); its output is the backup."),
	KEY("restore", &text, NULL, "kind: command: run in the container, reads a backup."),
	KEY("verify", &text, NULL, "kind: command: run after a restore, exits with 0 when good."),
	KEY("schedule", &schedule, NULL,
		"daily, hourly, weekly, monthly, or five fields as cron has them."),
	KEY("keep", &days, "30", "Days after which a backup is removed; never the newest."),
	KEY("timeout", &up_to_day, "1h", "Time that a backup may take."),
	KEY("to", &backup_to, "server",
		"server, ssh://[user@]host/folder, s3://bucket[/prefix], or a folder here."),
	KEY("s3", &s3, NULL, "Access to the bucket."),
	KEY("key", &one_secret, NULL, "Secret that backups are encrypted with."),
	END,
};
MAP(backup, backup_keys);
static const struct schema_key accessory_keys[] = {
	NEEDED("image", &image, NULL, "Image with its tag."),
	KEY("service", &name, "<service>-<name>", "Name of the container."),
	KEY("host", &host, NULL, "Where it runs."),
	KEY("hosts", &hosts, NULL, "Where it runs."),
	KEY("role", &name, NULL, "On the hosts of a role."),
	KEY("roles", &names, NULL, "On the hosts of roles."),
	KEY("tag", &name, NULL, "On the hosts with a tag."),
	KEY("tags", &names, NULL, "On the hosts with tags."),
	KEY("cmd", &command, "the image's", "Command."),
	KEY("port", &port_mapping, NULL, "Published on loopback unless an address is given."),
	KEY("ports", &ports, NULL, "Several of them."),
	KEY("labels", &labels, NULL, "Labels."),
	KEY("options", &options, NULL, "Options of docker run."),
	KEY("env", &schema_env, NULL, "Environment."),
	KEY("env_file", &env_file, NULL, "Files with variables; `env` counts more."),
	KEY("files", &files, NULL, "Files that are placed on the server and mounted."),
	KEY("directories", &files, NULL, "Folders that are made on the server and mounted."),
	KEY("volumes", &volumes, NULL, "Volumes."),
	KEY("network", &word, "deploy", "Network: one of `networks`, or one of Docker's."),
	KEY("networks", &names, "[deploy]", "Networks, of those under `networks`."),
	KEY("proxy", &proxy, NULL, "Behind the proxy."),
	KEY("registry", &registry, NULL, "Registry of its image."),
	KEY("healthcheck", &health, NULL, "When it counts as healthy."),
	KEY("boot_timeout", &some_up_to_hour, "60s", "Time to become healthy."),
	KEY("stop_timeout", &up_to_hour, "30s", "Time between SIGTERM and SIGKILL."),
	KEY("logging", &logging, NULL, "Logging of the container."),
	KEY("backup", &backup, NULL, "Backups."),
	END,
};
MAP(accessory, accessory_keys);
static const struct schema accessories = {.values = &accessory, .names = &f_name};

WORDS(hook_level, "quiet", "verbose", ":quiet", ":verbose");
static const struct schema hooks_output = {
	.scalar = SCHEMA_TEXT, .words = hook_level_words, .values = &hook_level, .names = &f_name};
static const struct schema aliases = {.values = &command, .names = &f_alias};
static const struct schema secret_files = {.values = &absolute, .names = &f_secret};

static const struct schema url_or_secret = {
	.scalar = SCHEMA_TEXT, .format = &f_url, .items = &secret};
static const struct schema emails = {
	.scalar = SCHEMA_TEXT, .format = &f_email, .items = &email, .unique = true};
WORDS(notify_event, "success", "failure", "rollback", "check");
SET(notify_events, notify_event);
WORDS(smtp_tls, "starttls", "tls", "none");
static const struct schema_key notify_keys[] = {
	KEY("webhook", &url_or_secret, NULL, "URL that gets JSON; [SECRET] when it is secret."),
	KEY("secret", &one_secret, NULL, "Secret that signs it (HMAC-SHA256)."),
	KEY("slack", &url_or_secret, NULL, "Incoming webhook of Slack, Mattermost and the like."),
	KEY("email", &emails, NULL, "Addresses."),
	KEY("from", &email, "deploy@<this host>", "Sender of the mail."),
	KEY("smtp", &host_port, "localhost:25", "Server that takes the mail."),
	KEY("tls", &smtp_tls, "starttls", "tls, starttls or none; none only for this machine."),
	KEY("username", &word, NULL, "Login of the mail server."),
	KEY("password", &one_secret, NULL, "Secret with its password."),
	KEY("on", &notify_events, "all", "success, failure, rollback, check."),
	END,
};
MAP(notification, notify_keys);
static const struct schema notify = {.items = &notification, .keys = notify_keys};

static const struct schema_key network_keys[] = {
	KEY("internal", &boolean, "false", "`true`: without a way out, and nothing comes in."),
	KEY("external", &boolean, "false", "`true`: it is there already, and stays."),
	KEY("name", &word, "the key", "Of an external one: its name in Docker."),
	END,
};
MAP(network, network_keys);
static const struct schema networks = {.values = &network, .names = &f_name};

static const struct schema_key root_keys[] = {
	NEEDED("service", &name, NULL, "Name of the service; the containers' names begin with it."),
	KEY("image", &repository, "the service", "Image without tag; the version is the tag."),
	NEEDED("servers", &servers, NULL, "A list of hosts, or a map of roles."),
	KEY("primary_role", &name, "web",
		"Role that takes the traffic and runs the release command."),
	KEY("allow_empty_roles", &boolean, "false", "Roles without hosts are no mistake."),
	KEY("proxy", &proxy, NULL, "The proxy in front of the service."),
	KEY("registry", &registry, NULL, "Registry of the image; none: it travels over SSH."),
	KEY("builder", &builder, NULL, "How the image is built."),
	KEY("env", &schema_env, NULL, "Environment of the containers."),
	KEY("env_file", &env_file, NULL, "Files with variables; `env` counts more."),
	KEY("labels", &labels, NULL, "Labels of the containers."),
	KEY("volumes", &volumes, NULL, "Volumes of the containers."),
	KEY("networks", &networks, NULL, "Networks beside the one that all services share."),
	KEY("asset_path", &asset, NULL, "Folder with assets that old and new releases share."),
	KEY("logging", &logging, NULL, "Logging of the containers."),
	KEY("release", &release, NULL, "Migrations and the like."),
	KEY("rollout", &rollout, NULL, "How a release takes over."),
	KEY("boot", &boot, NULL, "Groups in which containers start."),
	KEY("ssh", &ssh, NULL, "How the servers are reached."),
	KEY("sshkit", &sshkit, NULL, "Kamal's settings of its SSH library."),
	KEY("retain_containers", &retain, "5", "Releases that are kept for a rollback."),
	KEY("readiness_delay", &up_to_hour, "7s",
		"Time to stay up, where there is no health check."),
	KEY("deploy_timeout", &some_up_to_hour, "30s", "Time to become healthy."),
	KEY("drain_timeout", &up_to_hour, "30s", "Time for requests that are being answered."),
	KEY("stop_timeout", &up_to_hour, "10s", "Time between SIGTERM and SIGKILL."),
	KEY("error_pages_path", &inside, NULL, "Folder with pages such as 502.html for the proxy."),
	KEY("minimum_version", &number_version, NULL, "Kamal version whose manifest this is."),
	KEY("require_destination", &boolean, "false", "A destination has to be named."),
	KEY("hooks_path", &path, ".deploy/hooks", "Folder with the hooks."),
	KEY("hooks_output", &hooks_output, "as -q and -v", "quiet or verbose, for all or by hook."),
	KEY("secrets_path", &path, ".deploy/secrets", "File with the secrets."),
	KEY("run_directory", &path, NULL, "Kamal's; has no effect."),
	KEY("aliases", &aliases, NULL, "Short names for commands."),
	KEY("accessories", &accessories, NULL, "Databases and other services beside."),
	KEY("secret_files", &secret_files, NULL, "Secrets as files in the containers."),
	KEY("notify", &notify, NULL, "Whom to tell of releases: one, or a list."),
	NEVER("output", &any, "Kamal's.", "logs are not shipped from here",
		"deploy --json writes events that a collector can read"),
	NEVER("traefik", &any, "Kamal 1's.", "this is Kamal 1's", "proxy.driver: traefik"),
	NEVER("healthcheck", &any, "Kamal 1's.", "this is Kamal 1's",
		"it belongs in proxy.healthcheck"),
	END,
};
const struct schema schema_tags = {
	.scalar = SCHEMA_TEXT, .format = &f_name, .items = &name, .unique = true};
const struct schema schema_root = {.keys = root_keys};
