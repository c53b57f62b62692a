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
	{"add-host", OPTION_TEXT, true, NULL},
	{"annotation", OPTION_TEXT, true, NULL},
	{"attach", OPTION_TEXT, true, THE_TOOL},
	{"blkio-weight", OPTION_INT, false, NULL},
	{"cap-add", OPTION_TEXT, true, NULL},
	{"cap-drop", OPTION_TEXT, true, NULL},
	{"cgroup-parent", OPTION_TEXT, false, NULL},
	{"cgroupns", OPTION_TEXT, false, NULL},
	{"cidfile", OPTION_TEXT, false, THE_TOOL},
	{"cpu-period", OPTION_INT, false, NULL},
	{"cpu-quota", OPTION_INT, false, NULL},
	{"cpu-shares", OPTION_INT, false, NULL},
	{"cpus", OPTION_NUMBER, false, NULL},
	{"cpuset-cpus", OPTION_TEXT, false, NULL},
	{"cpuset-mems", OPTION_TEXT, false, NULL},
	{"detach", OPTION_BOOL, false, THE_TOOL},
	{"device", OPTION_TEXT, true, NULL},
	{"device-cgroup-rule", OPTION_TEXT, true, NULL},
	{"dns", OPTION_TEXT, true, NULL},
	{"dns-option", OPTION_TEXT, true, NULL},
	{"dns-search", OPTION_TEXT, true, NULL},
	{"domainname", OPTION_TEXT, false, NULL},
	{"entrypoint", OPTION_TEXT, false, NULL},
	{"env", OPTION_TEXT, true, USE_ENV},
	{"env-file", OPTION_TEXT, true, USE_ENV},
	{"expose", OPTION_TEXT, true, NULL},
	{"gpus", OPTION_TEXT, false, NULL},
	{"group-add", OPTION_TEXT, true, NULL},
	{"health-cmd", OPTION_TEXT, false, NULL},
	{"health-interval", OPTION_DURATION, false, NULL},
	{"health-retries", OPTION_INT, false, NULL},
	{"health-start-period", OPTION_DURATION, false, NULL},
	{"health-timeout", OPTION_DURATION, false, NULL},
	{"hostname", OPTION_TEXT, false, NULL},
	{"init", OPTION_BOOL, false, NULL},
	{"interactive", OPTION_BOOL, false, THE_TOOL},
	{"ip", OPTION_TEXT, false, USE_NETWORK},
	{"ip6", OPTION_TEXT, false, USE_NETWORK},
	{"ipc", OPTION_TEXT, false, NULL},
	{"isolation", OPTION_TEXT, false, NULL},
	{"label", OPTION_TEXT, true, NULL},
	{"label-file", OPTION_TEXT, true, USE_LABELS},
	{"link", OPTION_TEXT, true, USE_NETWORK},
	{"log-driver", OPTION_TEXT, false, USE_LOGGING},
	{"log-opt", OPTION_TEXT, true, USE_LOGGING},
	{"mac-address", OPTION_TEXT, false, USE_NETWORK},
	{"memory", OPTION_SIZE, false, NULL},
	{"memory-reservation", OPTION_SIZE, false, NULL},
	{"memory-swap", OPTION_SIZE, false, NULL},
	{"memory-swappiness", OPTION_INT, false, NULL},
	{"mount", OPTION_TEXT, true, NULL},
	{"name", OPTION_TEXT, false, THE_TOOL},
	{"network", OPTION_TEXT, true, USE_NETWORK},
	{"network-alias", OPTION_TEXT, true, NULL},
	{"no-healthcheck", OPTION_BOOL, false, NULL},
	{"oom-kill-disable", OPTION_BOOL, false, NULL},
	{"oom-score-adj", OPTION_INT, false, NULL},
	{"pid", OPTION_TEXT, false, NULL},
	{"pids-limit", OPTION_INT, false, NULL},
	{"platform", OPTION_TEXT, false, NULL},
	{"privileged", OPTION_BOOL, false, NULL},
	{"publish", OPTION_TEXT, true, NULL},
	{"publish-all", OPTION_BOOL, false, NULL},
	{"pull", OPTION_TEXT, false, THE_TOOL},
	{"read-only", OPTION_BOOL, false, NULL},
	{"restart", OPTION_TEXT, false, NULL},
	{"rm", OPTION_BOOL, false, "stopped containers are kept for rollback"},
	{"runtime", OPTION_TEXT, false, NULL},
	{"security-opt", OPTION_TEXT, true, NULL},
	{"shm-size", OPTION_SIZE, false, NULL},
	{"sig-proxy", OPTION_BOOL, false, THE_TOOL},
	{"stop-signal", OPTION_TEXT, false, NULL},
	{"stop-timeout", OPTION_INT, false, "write 'stop_timeout' beside 'options'"},
	{"storage-opt", OPTION_TEXT, true, NULL},
	{"sysctl", OPTION_TEXT, true, NULL},
	{"tmpfs", OPTION_TEXT, true, NULL},
	{"tty", OPTION_BOOL, false, NULL},
	{"ulimit", OPTION_TEXT, true, NULL},
	{"user", OPTION_TEXT, false, NULL},
	{"userns", OPTION_TEXT, false, NULL},
	{"uts", OPTION_TEXT, false, NULL},
	{"volume", OPTION_TEXT, true, "write it under 'volumes'"},
	{"volume-driver", OPTION_TEXT, false, "make the volume with 'docker volume create'"},
	{"volumes-from", OPTION_TEXT, true, NULL},
	{"workdir", OPTION_TEXT, false, NULL},
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

/* What is more than a text. */
static const char *check_text(const char *name, const char *value)
{
	if (strcmp(name, "restart") == 0) {
		return check_restart(value);
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
	if (strcmp(name, "sysctl") == 0 || strcmp(name, "ulimit") == 0 ||
		strcmp(name, "storage-opt") == 0 || strcmp(name, "label") == 0) {
		return has_form(value, '=') ? NULL : "is not name=value";
	}
	return NULL;
}

const char *option_check(const struct option_kind *kind, const char *value)
{
	int64_t n;

	switch (kind->type) {
	case OPTION_BOOL:
		return syntax_bool(value) >= 0 ? NULL : "is not true or false";
	case OPTION_INT:
		return syntax_integer(value, &n) == 0 && n >= -1000 ? NULL
								    : "is not a whole number";
	case OPTION_NUMBER:
		return strspn(value, "0123456789.") == strlen(value) && syntax_size(value) >= 0 &&
				       strspn(value, "0.") != strlen(value)
			       ? NULL
			       : "is not a number above 0";
	case OPTION_SIZE:
		return strcmp(value, "-1") == 0 || syntax_size(value) >= 0
			       ? NULL
			       : "is not a size such as 512m or 1g";
	case OPTION_DURATION:
		return syntax_duration(value) >= 0 ? NULL : "is not a duration such as 30s";
	case OPTION_TEXT:
		break;
	}
	const char *wrong = syntax_line(value);

	return wrong != NULL ? wrong : check_text(kind->name, value);
}
