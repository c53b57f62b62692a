/* SPDX-License-Identifier: MIT */
#include "manifest/options.h"

#include "manifest/syntax.h"

#include <string.h>

#define USE_NETWORK "containers live in the tool's own network, where the proxy finds them"
#define USE_LABELS  "write it under 'labels'"
#define USE_ENV     "write it under 'env'"
#define USE_LOGGING "write it under 'logging'"
#define THE_TOOL    "the tool decides it"

static const struct option_kind table[] = {
	{"add-host", OPTION_TEXT, true, NULL, 0, 0},
	{"annotation", OPTION_TEXT, true, "Docker 20.10 has none; write it under 'labels'", 0, 0},
	{"attach", OPTION_TEXT, true, THE_TOOL, 0, 0},
	{"blkio-weight", OPTION_INT, false, NULL, 10, 1000},
	{"cap-add", OPTION_TEXT, true, NULL, 0, 0},
	{"cap-drop", OPTION_TEXT, true, NULL, 0, 0},
	{"cgroup-parent", OPTION_TEXT, false, NULL, 0, 0},
	{"cgroupns", OPTION_TEXT, false, NULL, 0, 0},
	{"cidfile", OPTION_TEXT, false, THE_TOOL, 0, 0},
	{"cpu-period", OPTION_INT, false, NULL, 1000, 1000000},
	{"cpu-quota", OPTION_INT, false, NULL, 1000, INT64_MAX},
	{"cpu-shares", OPTION_INT, false, NULL, 2, 262144},
	{"cpus", OPTION_NUMBER, false, NULL, 0, 0},
	{"cpuset-cpus", OPTION_TEXT, false, NULL, 0, 0},
	{"cpuset-mems", OPTION_TEXT, false, NULL, 0, 0},
	{"detach", OPTION_BOOL, false, THE_TOOL, 0, 0},
	{"device", OPTION_TEXT, true, NULL, 0, 0},
	{"device-cgroup-rule", OPTION_TEXT, true, NULL, 0, 0},
	{"dns", OPTION_TEXT, true, NULL, 0, 0},
	{"dns-option", OPTION_TEXT, true, NULL, 0, 0},
	{"dns-search", OPTION_TEXT, true, NULL, 0, 0},
	{"domainname", OPTION_TEXT, false, NULL, 0, 0},
	{"entrypoint", OPTION_TEXT, false, NULL, 0, 0},
	{"env", OPTION_TEXT, true, USE_ENV, 0, 0},
	{"env-file", OPTION_TEXT, true, USE_ENV, 0, 0},
	{"expose", OPTION_TEXT, true, NULL, 0, 0},
	{"gpus", OPTION_TEXT, false, NULL, 0, 0},
	{"group-add", OPTION_TEXT, true, NULL, 0, 0},
	{"health-cmd", OPTION_TEXT, false, NULL, 0, 0},
	{"health-interval", OPTION_DURATION, false, NULL, 0, 0},
	{"health-retries", OPTION_INT, false, NULL, 1, 1000000},
	{"health-start-period", OPTION_DURATION, false, NULL, 0, 0},
	{"health-timeout", OPTION_DURATION, false, NULL, 0, 0},
	{"hostname", OPTION_TEXT, false, NULL, 0, 0},
	{"init", OPTION_BOOL, false, NULL, 0, 0},
	{"interactive", OPTION_BOOL, false, THE_TOOL, 0, 0},
	{"ip", OPTION_TEXT, false, USE_NETWORK, 0, 0},
	{"ip6", OPTION_TEXT, false, USE_NETWORK, 0, 0},
	{"ipc", OPTION_TEXT, false, NULL, 0, 0},
	{"isolation", OPTION_TEXT, false, NULL, 0, 0},
	{"label", OPTION_TEXT, true, NULL, 0, 0},
	{"label-file", OPTION_TEXT, true, USE_LABELS, 0, 0},
	{"link", OPTION_TEXT, true, USE_NETWORK, 0, 0},
	{"log-driver", OPTION_TEXT, false, USE_LOGGING, 0, 0},
	{"log-opt", OPTION_TEXT, true, USE_LOGGING, 0, 0},
	{"mac-address", OPTION_TEXT, false, USE_NETWORK, 0, 0},
	{"memory", OPTION_SIZE, false, NULL, 0, 0},
	{"memory-reservation", OPTION_SIZE, false, NULL, 0, 0},
	{"memory-swap", OPTION_SIZE, false, NULL, 0, 0},
	{"memory-swappiness", OPTION_INT, false, NULL, 0, 100},
	{"mount", OPTION_TEXT, true, NULL, 0, 0},
	{"name", OPTION_TEXT, false, THE_TOOL, 0, 0},
	{"network", OPTION_TEXT, true, USE_NETWORK, 0, 0},
	{"network-alias", OPTION_TEXT, true, NULL, 0, 0},
	{"no-healthcheck", OPTION_BOOL, false, NULL, 0, 0},
	{"oom-kill-disable", OPTION_BOOL, false, NULL, 0, 0},
	{"oom-score-adj", OPTION_INT, false, NULL, -1000, 1000},
	{"pid", OPTION_TEXT, false, NULL, 0, 0},
	{"pids-limit", OPTION_INT, false, NULL, -1, 4194304},
	{"platform", OPTION_TEXT, false, NULL, 0, 0},
	{"privileged", OPTION_BOOL, false, NULL, 0, 0},
	{"publish", OPTION_TEXT, true, NULL, 0, 0},
	{"publish-all", OPTION_BOOL, false, NULL, 0, 0},
	{"pull", OPTION_TEXT, false, THE_TOOL, 0, 0},
	{"read-only", OPTION_BOOL, false, NULL, 0, 0},
	{"restart", OPTION_TEXT, false, NULL, 0, 0},
	{"rm", OPTION_BOOL, false, "stopped containers are kept for rollback", 0, 0},
	{"runtime", OPTION_TEXT, false, NULL, 0, 0},
	{"security-opt", OPTION_TEXT, true, NULL, 0, 0},
	{"shm-size", OPTION_SIZE, false, NULL, 0, 0},
	{"sig-proxy", OPTION_BOOL, false, THE_TOOL, 0, 0},
	{"stop-signal", OPTION_TEXT, false, NULL, 0, 0},
	{"stop-timeout", OPTION_INT, false, "write 'stop_timeout' beside 'options'", 0, 0},
	{"storage-opt", OPTION_TEXT, true, NULL, 0, 0},
	{"sysctl", OPTION_TEXT, true, NULL, 0, 0},
	{"tmpfs", OPTION_TEXT, true, NULL, 0, 0},
	{"tty", OPTION_BOOL, false, NULL, 0, 0},
	{"ulimit", OPTION_TEXT, true, NULL, 0, 0},
	{"user", OPTION_TEXT, false, NULL, 0, 0},
	{"userns", OPTION_TEXT, false, NULL, 0, 0},
	{"uts", OPTION_TEXT, false, NULL, 0, 0},
	{"volume", OPTION_TEXT, true, "write it under 'volumes'", 0, 0},
	{"volume-driver", OPTION_TEXT, false, "make the volume with 'docker volume create'", 0, 0},
	{"volumes-from", OPTION_TEXT, true, NULL, 0, 0},
	{"workdir", OPTION_TEXT, false, NULL, 0, 0},
};

const struct option_kind *option_table(size_t *n)
{
	*n = sizeof(table) / sizeof(table[0]);
	return table;
}

const struct option_kind *option_find(const char *name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].name, name) == 0) {
			return &table[i];
		}
	}
	return NULL;
}

static bool has_form(const char *value, char separator)
{
	const char *p = strchr(value, separator);

	return p != NULL && p > value && p[1] != '\0';
}

static const char *check_restart(const char *value)
{
	static const char *const words[] = {"no", "always", "unless-stopped", "on-failure"};
	long n;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(value, words[i]) == 0) {
			return NULL;
		}
	}
	if (strncmp(value, "on-failure:", 11) == 0 && str_to_long(value + 11, 0, 100000, &n) == 0) {
		return NULL;
	}
	return "is not no, always, unless-stopped, on-failure or on-failure:N";
}

static const char *check_gpus(const char *value)
{
	long n;

	return strcmp(value, "all") == 0 || strncmp(value, "device=", 7) == 0 ||
			       str_to_long(value, 1, 1024, &n) == 0
		       ? NULL
		       : "is not all, a number or device=ID,ID";
}

/* name=soft[:hard] */
static const char *check_ulimit(const char *value)
{
	const char *p = strchr(value, '=');

	if (p == NULL || p == value) {
		return "is not name=soft[:hard]";
	}
	for (int i = 0; i < 2; i++) {
		size_t n = strspn(++p, "0123456789");

		if (n == 0 && strncmp(p, "-1", 2) == 0) {
			n = 2;
		}
		p += n;
		if (n == 0 || n > 18 || (*p != '\0' && (*p != ':' || i == 1))) {
			return "is not name=soft[:hard]";
		}
		if (*p == '\0') {
			return NULL;
		}
	}
	return "is not name=soft[:hard]";
}

/* key=value,...: what the docker layer knows of --mount. */
static const char *check_mount(const char *value)
{
	static const char *const keys[] = {"type=", "source=", "src=", "target=/", "dst=/",
		"destination=/", "readonly", "ro", "tmpfs-size="};
	bool bind = false, source = false, target = false;

	for (const char *p = value; *p != '\0';) {
		size_t n = strcspn(p, ","), key = 0;

		while (key < sizeof(keys) / sizeof(keys[0]) &&
			strncmp(p, keys[key], strlen(keys[key])) != 0) {
			key++;
		}
		if (key == sizeof(keys) / sizeof(keys[0])) {
			return "is not type=bind,source=/path,target=/path[,readonly]";
		}
		if (key == 0 && strncmp(p, "type=bind,", 10) != 0 &&
			strncmp(p, "type=volume,", 12) != 0 && strncmp(p, "type=tmpfs,", 11) != 0) {
			return "has a type that is not bind, volume or tmpfs (it comes first)";
		}
		if (strncmp(p, "tmpfs-size=", 11) == 0) {
			CLEANUP_FREE char *size = xstrndup(p + 11, n - 11);
			if (syntax_size(size) < 0) {
				return "has a tmpfs-size that is not a size such as 64m";
			}
		}
		bind = bind || strncmp(p, "type=bind", 9) == 0;
		source = source || ((key == 1 || key == 2) && strchr(p, '=')[1] == '/');
		target = target || (key >= 3 && key <= 5);
		p += n + (p[n] == ',');
	}
	if (!target) {
		return "has no target=/path";
	}
	return bind && !source ? "has no source=/path" : NULL;
}

/* What is more than a text. */
static const char *check_text(const char *name, const char *value)
{
	if (strcmp(name, "restart") == 0) {
		return check_restart(value);
	}
	if (strcmp(name, "gpus") == 0) {
		return check_gpus(value);
	}
	if (strcmp(name, "ulimit") == 0) {
		return check_ulimit(value);
	}
	if (strcmp(name, "mount") == 0) {
		return check_mount(value);
	}
	if (strcmp(name, "publish") == 0) {
		return syntax_port_mapping(value);
	}
	if (strcmp(name, "tmpfs") == 0) {
		return *value == '/' ? NULL : "is not an absolute path in the container";
	}
	if (strcmp(name, "workdir") == 0) {
		return syntax_path_absolute(value);
	}
	if (strcmp(name, "add-host") == 0) {
		return has_form(value, ':') || has_form(value, '=') ? NULL : "is not name:address";
	}
	if (strcmp(name, "dns") == 0) {
		return syntax_ip(value);
	}
	if (strcmp(name, "sysctl") == 0 || strcmp(name, "storage-opt") == 0 ||
		strcmp(name, "label") == 0) {
		return has_form(value, '=') ? NULL : "is not name=value";
	}
	return NULL;
}

static const char *check_int(const struct option_kind *kind, const char *value)
{
	int64_t n;
	bool any = kind->min == 0 && kind->max == 0;

	if (syntax_integer(value, &n) != 0) {
		return "is not a whole number";
	}
	return n < (any ? -1 : kind->min) || (!any && n > kind->max)
		       ? "is not in the range that Docker allows"
		       : NULL;
}

const char *option_check(const struct option_kind *kind, const char *value)
{
	static const char not_size[] = "is not a size such as 512m or 1g";

	/* Docker reads these itself: only what it and the manifest both understand */
	if (kind->type != OPTION_TEXT && strchr(value, '_') != NULL) {
		return "has a '_'; write the digits alone";
	}
	switch (kind->type) {
	case OPTION_BOOL:
		return syntax_bool(value) >= 0 ? NULL : "is not true or false";
	case OPTION_INT:
		return check_int(kind, value);
	case OPTION_NUMBER:
		return strspn(value, "0123456789.") == strlen(value) && syntax_size(value) >= 0 &&
				       strspn(value, "0.") != strlen(value)
			       ? NULL
			       : "is not a number above 0";
	case OPTION_SIZE:
		if (strcmp(value, "-1") == 0) {
			return strcmp(kind->name, "memory-swap") == 0 ? NULL : not_size;
		}
		return syntax_size(value) >= 0 ? NULL : not_size;
	case OPTION_DURATION:
		return syntax_duration(value) >= 0 && strpbrk(value, "di") == NULL
			       ? NULL
			       : "is not a duration such as 30s";
	case OPTION_TEXT:
		break;
	}
	const char *wrong = syntax_line(value);

	return wrong != NULL ? wrong : check_text(kind->name, value);
}
