/* SPDX-License-Identifier: MIT */
/*
 * `docker run` options by name, onto the spec.  One table says of each what it is and where its
 * value goes; those that are more than a value have a function.
 * https://docs.docker.com/reference/cli/docker/container/run/
 */
#include "docker/spec.h"

#include <stdlib.h>
#include <string.h>

enum how {
	HOW_TEXT,   /* char * */
	HOW_LIST,   /* struct strvec */
	HOW_BOOL,   /* bool */
	HOW_BYTES,  /* int64_t */
	HOW_INT,    /* int, between low and high */
	HOW_INT64,  /* int64_t, between low and high */
	HOW_MS,     /* int64_t, a duration */
	HOW_MAP,    /* struct strmap, "key=value" */
	HOW_PARSE,  /* by a function, one value */
	HOW_PARSES, /* by a function, several values */
	HOW_SWITCH, /* by a function, boolean */
	HOW_OURS,   /* docker run has it, but the tool decides */
	HOW_NOT,    /* docker run has it, we do not support it */
};

typedef int parse_fn(struct docker_container_spec *s, const char *value, struct error *err);

struct option {
	const char *name, *alias;
	enum how how;
	size_t at; /* offset in the spec */
	int64_t low, high;
	parse_fn *parse;
	const char *why; /* HOW_OURS: what to use instead */
};

static int wrong(const char *value, const char *right, struct error *err)
{
	return error_set(err, ERROR_MANIFEST, "'%s' is wrong; %s", value, right);
}

static int parse_cpus(struct docker_container_spec *s, const char *value, struct error *err)
{
	char *end = NULL;
	double cpus = strtod(value, &end);
	if (end == value || *end || !(cpus > 0 && cpus < 100000)) {
		return wrong(value, "write a number of CPUs, as 0.5 or 2", err);
	}
	s->cpus = cpus;
	return 0;
}

static int parse_swap(struct docker_container_spec *s, const char *value, struct error *err)
{
	s->memory_swap = str_eq(value, "-1") ? -1 : docker_parse_bytes(value);
	if (s->memory_swap < 0 && !str_eq(value, "-1")) {
		return wrong(value, "write a size, as 512m or 1g, or -1", err);
	}
	return 0;
}

static int parse_swappiness(struct docker_container_spec *s, const char *value, struct error *err)
{
	long n;
	if (str_to_long(value, 0, 100, &n) != 0) {
		return wrong(value, "write a number from 0 to 100", err);
	}
	s->memory_swappiness = n;
	s->has_swappiness = true;
	return 0;
}

static int parse_signed(const char *value, long low, long high, long *out)
{
	bool minus = *value == '-';
	if (str_to_long(value + minus, 0, high > -low ? high : -low, out) != 0) {
		return -1;
	}
	*out = minus ? -*out : *out;
	return *out >= low && *out <= high ? 0 : -1;
}

static int parse_oom_score(struct docker_container_spec *s, const char *value, struct error *err)
{
	long n;
	if (parse_signed(value, -1000, 1000, &n) != 0) {
		return wrong(value, "write a number from -1000 to 1000", err);
	}
	s->oom_score_adj = (int)n;
	return 0;
}

static int parse_pids(struct docker_container_spec *s, const char *value, struct error *err)
{
	long n;
	if (parse_signed(value, -1, 4194304, &n) != 0) {
		return wrong(value, "write a number of processes, or -1", err);
	}
	s->pids_limit = n;
	return 0;
}

static int parse_restart(struct docker_container_spec *s, const char *value, struct error *err)
{
	long max = 0;
	bool counted = str_starts(value, "on-failure:");
	if (counted && str_to_long(value + strlen("on-failure:"), 0, 1000000, &max) != 0) {
		return wrong(value, "write on-failure:COUNT", err);
	}
	if (!counted && !str_eq(value, "no") && !str_eq(value, "always") &&
		!str_eq(value, "unless-stopped") && !str_eq(value, "on-failure")) {
		return wrong(value, "write no, always, unless-stopped or on-failure[:COUNT]", err);
	}
	free(s->restart);
	s->restart = xstrdup(counted ? "on-failure" : value);
	s->restart_max = (int)max;
	return 0;
}

static int parse_tmpfs(struct docker_container_spec *s, const char *value, struct error *err)
{
	const char *colon = strchr(value, ':');
	if (*value != '/') {
		return wrong(value, "write /path or /path:size=64m", err);
	}
	CLEANUP_FREE char *path = colon ? xstrndup(value, (size_t)(colon - value)) : xstrdup(value);
	strmap_set(&s->tmpfs, path, colon ? colon + 1 : "");
	return 0;
}

static int parse_ulimit(struct docker_container_spec *s, const char *value, struct error *err)
{
	const char *eq = strchr(value, '=');
	const char *colon = eq ? strchr(eq, ':') : NULL;
	long soft = 0;
	long hard = 0;
	CLEANUP_FREE char *first = NULL;
	if (eq) {
		first = colon ? xstrndup(eq + 1, (size_t)(colon - eq - 1)) : xstrdup(eq + 1);
	}
	if (!eq || eq == value || parse_signed(first, -1, INT64_MAX, &soft) != 0 ||
		parse_signed(colon ? colon + 1 : first, -1, INT64_MAX, &hard) != 0) {
		return wrong(value, "write name=soft[:hard], as nofile=1024:2048", err);
	}
	struct docker_ulimit u = {
		.name = xstrndup(value, (size_t)(eq - value)), .soft = soft, .hard = hard};
	vec_push(&s->ulimits, u);
	return 0;
}

static int parse_publish(struct docker_container_spec *s, const char *value, struct error *err)
{
	return docker_parse_port(value, &s->ports, err);
}

static int parse_env(struct docker_container_spec *s, const char *value, struct error *err)
{
	const char *eq = strchr(value, '=');
	if (!eq || eq == value) {
		return wrong(value, "write NAME=value", err);
	}
	CLEANUP_FREE char *name = xstrndup(value, (size_t)(eq - value));
	strmap_set(&s->env, name, eq + 1);
	return 0;
}

static int parse_host(struct docker_container_spec *s, const char *value, struct error *err)
{
	size_t n = strcspn(value, ":=");
	if (n == 0 || !value[n] || !value[n + 1]) {
		return wrong(value, "write name:address", err);
	}
	strvec_pushf(&s->extra_hosts, "%.*s:%s", (int)n, value, value + n + 1);
	return 0;
}

static int parse_security(struct docker_container_spec *s, const char *value, struct error *err)
{
	static const char seccomp[] = "seccomp";
	size_t n = sizeof(seccomp) - 1;
	if (str_starts(value, seccomp) && (value[n] == '=' || value[n] == ':') &&
		!str_eq(value + n + 1, "unconfined") && !str_eq(value + n + 1, "builtin") &&
		value[n + 1] != '{') {
		return wrong(value, "a profile in a file is not supported; give its JSON", err);
	}
	strvec_push(&s->security_opt, value);
	return 0;
}

static int parse_entrypoint(struct docker_container_spec *s, const char *value, struct error *err)
{
	(void)err;
	strvec_fini(&s->entrypoint);
	s->has_entrypoint = true;
	if (*value) {
		strvec_push(&s->entrypoint, value);
	}
	return 0;
}

static int parse_health_cmd(struct docker_container_spec *s, const char *value, struct error *err)
{
	(void)err;
	strvec_fini(&s->healthcheck.test);
	strvec_push(&s->healthcheck.test, "CMD-SHELL");
	strvec_push(&s->healthcheck.test, value);
	return 0;
}

static int parse_no_health(struct docker_container_spec *s, const char *value, struct error *err)
{
	(void)err;
	strvec_fini(&s->healthcheck.test);
	if (str_eq(value, "true")) {
		strvec_push(&s->healthcheck.test, "NONE");
	}
	return 0;
}

static int parse_init(struct docker_container_spec *s, const char *value, struct error *err)
{
	(void)err;
	s->has_init = true;
	s->init = str_eq(value, "true");
	return 0;
}

static int parse_gpus(struct docker_container_spec *s, const char *value, struct error *err)
{
	long n;
	if (!str_eq(value, "all") && !str_starts(value, "device=") &&
		str_to_long(value, 1, 1024, &n) != 0) {
		return wrong(value, "write all, a number, or device=ID,ID", err);
	}
	free(s->gpus);
	s->gpus = xstrdup(value);
	return 0;
}

static int parse_volume(struct docker_container_spec *s, const char *value, struct error *err)
{
	const char *colon = strchr(value, ':');
	const char *target = colon ? colon + 1 : value;
	if (*target != '/' || value == colon) {
		return wrong(value, "write name:/path, /host/path:/path[:ro], or /path", err);
	}
	strvec_push(&s->binds, value);
	return 0;
}

/* One "key=value" of --mount. */
static int mount_field(
	struct docker_mount *m, const char *key, const char *value, bool *typed, struct error *err)
{
	if (str_eq(key, "type")) {
		*typed = str_eq(value, "bind") || str_eq(value, "volume") || str_eq(value, "tmpfs");
		m->type = str_eq(value, "volume")  ? DOCKER_MOUNT_VOLUME
			  : str_eq(value, "tmpfs") ? DOCKER_MOUNT_TMPFS
						   : DOCKER_MOUNT_BIND;
		return *typed ? 0 : wrong(value, "the type is bind, volume or tmpfs", err);
	}
	if (str_eq(key, "source") || str_eq(key, "src")) {
		free(m->source);
		m->source = xstrdup(value);
	} else if (str_eq(key, "target") || str_eq(key, "dst") || str_eq(key, "destination")) {
		free(m->target);
		m->target = xstrdup(value);
	} else if (str_eq(key, "readonly") || str_eq(key, "ro")) {
		m->read_only = !str_eq(value, "false") && !str_eq(value, "0");
	} else if (str_eq(key, "tmpfs-size")) {
		m->tmpfs_size = docker_parse_bytes(value);
		return m->tmpfs_size < 0 ? wrong(value, "write a size, as 64m", err) : 0;
	} else {
		return wrong(key, "known here: type, source, target, readonly, tmpfs-size", err);
	}
	return 0;
}

static int parse_mount(struct docker_container_spec *s, const char *value, struct error *err)
{
	struct docker_mount m = {.type = DOCKER_MOUNT_VOLUME};
	bool typed = true;
	int rc = 0;
	for (const char *p = value; *p && rc == 0;) {
		size_t n = strcspn(p, ",");
		CLEANUP_FREE char *field = xstrndup(p, n);
		char *eq = strchr(field, '=');
		if (eq) {
			*eq = '\0';
		}
		rc = mount_field(&m, field, eq ? eq + 1 : "", &typed, err);
		p += n + (p[n] == ',');
	}
	if (rc == 0 && (!m.target || *m.target != '/')) {
		rc = wrong(value, "a mount needs target=/path", err);
	}
	if (rc == 0 && m.type == DOCKER_MOUNT_BIND && (!m.source || *m.source != '/')) {
		rc = wrong(value, "a bind mount needs source=/path", err);
	}
	if (rc != 0) {
		free(m.source);
		free(m.target);
		return -1;
	}
	vec_push(&s->mounts, m);
	return 0;
}

#define AT(member) offsetof(struct docker_container_spec, member)
#define TEXT(name, member)                                                                         \
	{                                                                                          \
		name, NULL, HOW_TEXT, AT(member), 0, 0, NULL, NULL                                 \
	}
#define TEXTA(name, a, member)                                                                     \
	{                                                                                          \
		name, a, HOW_TEXT, AT(member), 0, 0, NULL, NULL                                    \
	}
#define LIST(name, member)                                                                         \
	{                                                                                          \
		name, NULL, HOW_LIST, AT(member), 0, 0, NULL, NULL                                 \
	}
#define BOOL(name, a, member)                                                                      \
	{                                                                                          \
		name, a, HOW_BOOL, AT(member), 0, 0, NULL, NULL                                    \
	}
#define BYTES(name, a, member)                                                                     \
	{                                                                                          \
		name, a, HOW_BYTES, AT(member), 0, 0, NULL, NULL                                   \
	}
#define INT(name, member, lo, hi)                                                                  \
	{                                                                                          \
		name, NULL, HOW_INT, AT(member), lo, hi, NULL, NULL                                \
	}
#define INT64(name, a, member, lo, hi)                                                             \
	{                                                                                          \
		name, a, HOW_INT64, AT(member), lo, hi, NULL, NULL                                 \
	}
#define MS(name, member)                                                                           \
	{                                                                                          \
		name, NULL, HOW_MS, AT(member), 0, 0, NULL, NULL                                   \
	}
#define MAP(name, a, member)                                                                       \
	{                                                                                          \
		name, a, HOW_MAP, AT(member), 0, 0, NULL, NULL                                     \
	}
#define PARSE(name, fn)                                                                            \
	{                                                                                          \
		name, NULL, HOW_PARSE, 0, 0, 0, fn, NULL                                           \
	}
#define PARSES(name, a, fn)                                                                        \
	{                                                                                          \
		name, a, HOW_PARSES, 0, 0, 0, fn, NULL                                             \
	}
#define SWITCH(name, fn)                                                                           \
	{                                                                                          \
		name, NULL, HOW_SWITCH, 0, 0, 0, fn, NULL                                          \
	}
#define OURS(name, a, why)                                                                         \
	{                                                                                          \
		name, a, HOW_OURS, 0, 0, 0, NULL, why                                              \
	}
#define NOT(name)                                                                                  \
	{                                                                                          \
		name, NULL, HOW_NOT, 0, 0, 0, NULL, NULL                                           \
	}

static const struct option options[] = {
	PARSES("add-host", NULL, parse_host),
	NOT("annotation"),
	OURS("attach", "a", "the tool streams what is needed"),
	INT("blkio-weight", blkio_weight, 10, 1000),
	NOT("blkio-weight-device"),
	LIST("cap-add", cap_add),
	LIST("cap-drop", cap_drop),
	TEXT("cgroup-parent", cgroup_parent),
	TEXT("cgroupns", cgroupns),
	OURS("cidfile", NULL, "the tool keeps the container's id"),
	INT64("cpu-period", NULL, cpu_period, 1000, 1000000),
	INT64("cpu-quota", NULL, cpu_quota, 1000, INT64_MAX),
	NOT("cpu-rt-period"),
	NOT("cpu-rt-runtime"),
	INT64("cpu-shares", "c", cpu_shares, 2, 262144),
	PARSE("cpus", parse_cpus),
	TEXT("cpuset-cpus", cpuset_cpus),
	TEXT("cpuset-mems", cpuset_mems),
	OURS("detach", "d", "containers always run in the background"),
	OURS("detach-keys", NULL, "nothing is attached"),
	LIST("device", devices),
	LIST("device-cgroup-rule", device_cgroup_rules),
	NOT("device-read-bps"),
	NOT("device-read-iops"),
	NOT("device-write-bps"),
	NOT("device-write-iops"),
	OURS("disable-content-trust", NULL, "images are pinned by their ID"),
	LIST("dns", dns),
	LIST("dns-option", dns_options),
	LIST("dns-opt", dns_options),
	LIST("dns-search", dns_search),
	TEXT("domainname", domainname),
	PARSE("entrypoint", parse_entrypoint),
	PARSES("env", "e", parse_env),
	OURS("env-file", NULL, "use env: in the manifest"),
	LIST("expose", expose),
	PARSE("gpus", parse_gpus),
	LIST("group-add", group_add),
	PARSE("health-cmd", parse_health_cmd),
	MS("health-interval", healthcheck.interval_ms),
	INT("health-retries", healthcheck.retries, 1, 1000000),
	NOT("health-start-interval"),
	MS("health-start-period", healthcheck.start_period_ms),
	MS("health-timeout", healthcheck.timeout_ms),
	OURS("help", NULL, "see docker-run(1)"),
	TEXTA("hostname", "h", hostname),
	SWITCH("init", parse_init),
	BOOL("interactive", "i", open_stdin),
	TEXT("ip", ip),
	NOT("ip6"),
	TEXT("ipc", ipc),
	TEXT("isolation", isolation),
	NOT("kernel-memory"),
	MAP("label", "l", labels),
	OURS("label-file", NULL, "use labels: in the manifest"),
	NOT("link"),
	NOT("link-local-ip"),
	TEXT("log-driver", log_driver),
	MAP("log-opt", NULL, log_options),
	TEXT("mac-address", mac_address),
	BYTES("memory", "m", memory),
	BYTES("memory-reservation", NULL, memory_reservation),
	PARSE("memory-swap", parse_swap),
	PARSE("memory-swappiness", parse_swappiness),
	PARSES("mount", NULL, parse_mount),
	OURS("name", NULL, "the tool names its containers"),
	TEXTA("network", "net", network),
	LIST("network-alias", network_aliases),
	LIST("net-alias", network_aliases),
	SWITCH("no-healthcheck", parse_no_health),
	BOOL("oom-kill-disable", NULL, oom_kill_disable),
	PARSE("oom-score-adj", parse_oom_score),
	TEXT("pid", pid),
	PARSE("pids-limit", parse_pids),
	TEXT("platform", platform),
	BOOL("privileged", NULL, privileged),
	PARSES("publish", "p", parse_publish),
	BOOL("publish-all", "P", publish_all),
	OURS("pull", NULL, "the tool brings the image"),
	OURS("quiet", "q", "the tool brings the image"),
	BOOL("read-only", NULL, read_only),
	PARSE("restart", parse_restart),
	OURS("rm", NULL, "the tool removes its containers"),
	TEXT("runtime", runtime),
	PARSES("security-opt", NULL, parse_security),
	BYTES("shm-size", NULL, shm_size),
	OURS("sig-proxy", NULL, "nothing is attached"),
	TEXT("stop-signal", stop_signal),
	INT("stop-timeout", stop_timeout, 1, 86400),
	MAP("storage-opt", NULL, storage_opt),
	MAP("sysctl", NULL, sysctls),
	PARSES("tmpfs", NULL, parse_tmpfs),
	BOOL("tty", "t", tty),
	PARSES("ulimit", NULL, parse_ulimit),
	NOT("use-api-socket"),
	TEXTA("user", "u", user),
	TEXT("userns", userns),
	TEXT("uts", uts),
	PARSES("volume", "v", parse_volume),
	NOT("volume-driver"),
	LIST("volumes-from", volumes_from),
	TEXTA("workdir", "w", workdir),
};
#define NOPTIONS (sizeof(options) / sizeof(options[0]))

static const struct option *find(const char *name)
{
	for (size_t i = 0; i < NOPTIONS; i++) {
		if (str_eq(options[i].name, name) ||
			(options[i].alias && str_eq(options[i].alias, name))) {
			return &options[i];
		}
	}
	return NULL;
}

enum docker_option_kind docker_option_kind(const char *name)
{
	const struct option *o = find(name);
	if (!o) {
		return DOCKER_OPTION_UNKNOWN;
	}
	switch (o->how) {
	case HOW_OURS:
	case HOW_NOT:
		return DOCKER_OPTION_REFUSED;
	case HOW_BOOL:
	case HOW_SWITCH:
		return DOCKER_OPTION_BOOL;
	case HOW_LIST:
	case HOW_MAP:
	case HOW_PARSES:
		return DOCKER_OPTION_LIST;
	case HOW_TEXT:
	case HOW_BYTES:
	case HOW_INT:
	case HOW_INT64:
	case HOW_MS:
	case HOW_PARSE:
		break;
	}
	return DOCKER_OPTION_VALUE;
}

/* Levenshtein's distance, for names of up to 31 bytes; a large number otherwise. */
static size_t distance(const char *a, const char *b)
{
	size_t row[32];
	size_t n = strlen(b);
	if (n >= sizeof(row) / sizeof(row[0])) {
		return 99;
	}
	for (size_t j = 0; j <= n; j++) {
		row[j] = j;
	}
	for (size_t i = 1; a[i - 1]; i++) {
		size_t corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t above = row[j];
			size_t best = corner + (a[i - 1] != b[j - 1]);
			best = above + 1 < best ? above + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			corner = above;
			row[j] = best;
		}
	}
	return row[n];
}

static int unknown(const char *name, struct error *err)
{
	const char *nearest = NULL;
	size_t least = 3; /* further off is no slip of the fingers */
	for (size_t i = 0; i < NOPTIONS; i++) {
		size_t n = distance(name, options[i].name);
		if (n < least && n < strlen(name)) {
			least = n;
			nearest = options[i].name;
		}
	}
	error_set(err, ERROR_MANIFEST, "docker run has no option '%s'", name);
	return nearest ? error_hint(err, "did you mean '%s'?", nearest) : -1;
}

static int parse_flag(const char *value, bool *out, struct error *err)
{
	bool yes = !*value || str_eq(value, "true") || str_eq(value, "1") || str_eq(value, "yes");
	if (!yes && !str_eq(value, "false") && !str_eq(value, "0") && !str_eq(value, "no")) {
		return wrong(value, "write true or false", err);
	}
	*out = yes;
	return 0;
}

static int set_number(const struct option *o, void *at, const char *value, struct error *err)
{
	long n;
	if (o->how == HOW_INT || o->how == HOW_INT64) {
		if (str_to_long(value, o->low, o->high, &n) != 0) {
			return error_set(err, ERROR_MANIFEST,
				"'%s' is wrong; write a number of at least %lld", value,
				(long long)o->low);
		}
		if (o->how == HOW_INT) {
			*(int *)at = (int)n;
		} else {
			*(int64_t *)at = n;
		}
		return 0;
	}
	int64_t v = o->how == HOW_MS ? docker_parse_duration(value) : docker_parse_bytes(value);
	if (v < 0) {
		return wrong(value,
			o->how == HOW_MS ? "write a duration, as 30s or 1m30s"
					 : "write a size, as 512m or 1g",
			err);
	}
	*(int64_t *)at = v;
	return 0;
}

static int set_pair(struct strmap *m, const char *value, struct error *err)
{
	const char *eq = strchr(value, '=');
	if (!eq || eq == value) {
		return wrong(value, "write name=value", err);
	}
	CLEANUP_FREE char *name = xstrndup(value, (size_t)(eq - value));
	strmap_set(m, name, eq + 1);
	return 0;
}

static int set(const struct option *o, struct docker_container_spec *s, const char *value,
	struct error *err)
{
	void *at = (char *)s + o->at;
	bool flag = false;
	switch (o->how) {
	case HOW_TEXT:
		free(*(char **)at);
		*(char **)at = xstrdup(value);
		return 0;
	case HOW_LIST:
		strvec_push(at, value);
		return 0;
	case HOW_BOOL:
		return parse_flag(value, at, err);
	case HOW_BYTES:
	case HOW_INT:
	case HOW_INT64:
	case HOW_MS:
		return set_number(o, at, value, err);
	case HOW_MAP:
		return set_pair(at, value, err);
	case HOW_PARSE:
	case HOW_PARSES:
		return o->parse(s, value, err);
	case HOW_SWITCH:
		if (parse_flag(value, &flag, err) != 0) {
			return -1;
		}
		return o->parse(s, flag ? "true" : "false", err);
	case HOW_OURS:
		return error_set(err, ERROR_MANIFEST, "it cannot be given here: %s", o->why);
	case HOW_NOT:
		break;
	}
	return error_set(err, ERROR_MANIFEST, "it is not supported");
}

int docker_spec_option(
	struct docker_container_spec *s, const char *name, const char *value, struct error *err)
{
	const struct option *o = find(name);
	if (!o) {
		return unknown(name, err);
	}
	if (set(o, s, value ? value : "", err) != 0) {
		return error_wrap(err, "option '%s'", name);
	}
	return 0;
}
