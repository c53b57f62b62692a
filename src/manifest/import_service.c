/* SPDX-License-Identifier: MIT */
/* One service of Compose's as keys of the manifest. */
#include "import.h"

#include "manifest/syntax.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_MS 1e12 /* 30 years: no duration that anybody means */

void import_comment(struct importing *im, const char *fmt, ...)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	strvec_push(&im->comments, str_c(&text));
}

/* -- Variables -- */

static size_t name_len(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]) || s[n] == '_') {
		n++;
	}
	return isdigit((unsigned char)*s) ? 0 : n;
}

const char *import_text(struct importing *im, const struct node *scalar)
{
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_FILE);

	for (const char *p = scalar->text; *p != '\0';) {
		if (p[0] == '$' && p[1] == '$') {
			str_add(&out, p[2] == '{' ? "$$" : "$");
			p += 2;
		} else if (p[0] == '$' && name_len(p + 1) > 0) {
			str_addf(&out, "${%.*s}", (int)name_len(p + 1), p + 1);
			p += 1 + name_len(p + 1);
		} else {
			str_addc(&out, *p++);
		}
	}
	return arena_strdup(&im->arena, str_c(&out));
}

/* The same in double quotes of a secrets file, which knows no ${NAME:?message}. */
static void add_dotenv(struct str *out, const char *compose)
{
	str_addc(out, '"');
	for (const char *p = compose; *p != '\0';) {
		const char *name = p[0] == '$' ? p + 1 + (p[1] == '{') : NULL;
		size_t n = name != NULL ? name_len(name) : 0;
		if (p[0] == '$' && p[1] == '$') {
			str_add(out, "\\$");
			p += 2;
		} else if (n == 0) {
			str_addf(out, "%s%c", strchr("\"\\$", *p) != NULL ? "\\" : "", *p);
			p++;
		} else {
			const char *close = p[1] == '{' ? strchr(name + n, '}') : NULL;
			bool preset = strncmp(name + n, ":-", 2) == 0 && close != NULL;
			str_addf(out, "${%.*s}", preset ? (int)(close - name) : (int)n, name);
			p = p[1] == '{' ? (close != NULL ? close + 1 : name + strlen(name))
					: name + n;
		}
	}
	str_addc(out, '"');
}

/* -- Environment -- */

static bool sounds_secret(const char *name)
{
	static const char *const words[] = {
		"PASSWORD", "PASSWD", "SECRET", "TOKEN", "_KEY", "CREDENTIAL", "DSN", "PASSPHRASE"};

	if (str_ends(name, "_FILE")) {
		return false;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcasestr(name, words[i]) != NULL) {
			return true;
		}
	}
	return strcasecmp(name, "KEY") == 0;
}

/* A URL that nobody sees here, of what people log in to. */
static bool sounds_like_login(const char *name)
{
	static const char *const words[] = {"DATABASE", "DB_", "POSTGRES", "PG", "MYSQL", "MARIADB",
		"MONGO", "REDIS", "AMQP", "RABBIT", "BROKER", "SMTP"};

	if (!str_ends(name, "_URL") && !str_ends(name, "_URI")) {
		return false;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strstr(name, words[i]) != NULL) {
			return true;
		}
	}
	return false;
}

/* "scheme://user:password@host", or a variable that sounds like a secret. */
static bool holds_secret(const char *value)
{
	const char *at = strstr(value, "://");
	size_t authority = at != NULL ? strcspn(at + 3, "/") : 0;
	const char *colon = at != NULL ? memchr(at + 3, ':', authority) : NULL;

	if (colon != NULL && memchr(colon, '@', (size_t)(at + 3 + authority - colon)) != NULL) {
		return true;
	}
	for (const char *p = value; (p = strchr(p, '$')) != NULL; p++) {
		const char *name = p + 1 + (p[1] == '{');
		CLEANUP_FREE char *copy = xstrndup(name, name_len(name));
		if (sounds_secret(copy) || sounds_like_login(copy)) {
			return true;
		}
	}
	return false;
}

/* Lists the secret, and puts its value into the secrets file, under another name when it is taken.
 */
static void add_secret(struct importing *im, const char *service, const char *name,
	const char *value, json_t *list)
{
	CLEANUP_STR struct str line = STR_SECRET_INIT(STR_MAX_FILE);
	CLEANUP_FREE char *other = xasprintf("%s_%s", service, name);
	const char *stored = name;

	add_dotenv(&line, value);
	const char *taken = strmap_get(&im->named, name);
	if (taken != NULL && !str_eq(taken, str_c(&line))) {
		for (char *p = other; *p != '\0'; p++) {
			*p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
		}
		stored = other;
		taken = strmap_get(&im->named, other);
	}
	if (taken == NULL) {
		strmap_set(&im->named, stored, str_c(&line));
		str_addf(&im->secrets, "%s=%s\n", stored, str_c(&line));
	}
	CLEANUP_FREE char *item = stored == name ? xstrdup(name) : xasprintf("%s:%s", name, stored);
	json_array_append_new(list, json_string(item));
}

static bool same_value(const struct node *env, const struct node_item *item)
{
	const struct node *there = node_get(env, item->key->text);

	return there != NULL && there->kind == NODE_SCALAR && item->value->kind == NODE_SCALAR &&
	       str_eq(there->text, item->value->text);
}

void import_env(struct importing *im, const char *service, const struct node *s,
	const struct node *base, json_t *out)
{
	const struct node *env = node_get(s, "environment");
	json_t *clear = json_object(), *secret = json_array(), *both = json_object();

	for (size_t i = 0; env != NULL && env->kind == NODE_MAP && i < env->len; i++) {
		const char *name = env->p[i].key->text;
		const struct node *value = env->p[i].value;
		if (value->kind != NODE_SCALAR || same_value(base, &env->p[i])) {
			continue;
		}
		const char *text =
			node_is_null(value) ? arena_printf(&im->arena, "${%s}", name) : value->text;
		if (sounds_secret(name) || holds_secret(text)) {
			add_secret(im, service, name, text, secret);
		} else {
			struct node plain = {.text = text};
			json_object_set_new(clear, name, json_string(import_text(im, &plain)));
		}
	}
	put_new(both, "clear", clear);
	put_new(both, "secret", secret);
	put_new(out, "env", both);
}

/* -- Lists -- */

size_t import_count(const struct node *n)
{
	return n == NULL || node_is_null(n) ? 0 : n->kind == NODE_LIST ? n->len : 1;
}

const struct node *import_item(const struct node *n, size_t i)
{
	return n->kind == NODE_LIST ? n->p[i].value : n;
}

static json_t *texts(struct importing *im, const struct node *n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < import_count(n); i++) {
		if (import_item(n, i)->kind == NODE_SCALAR) {
			json_array_append_new(
				list, json_string(import_text(im, import_item(n, i))));
		}
	}
	return list;
}

/* A command: a text as it is, a list as words that a shell would read back. */
static const char *command(struct importing *im, const struct node *n, size_t from)
{
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_FILE);

	if (n->kind == NODE_SCALAR) {
		return import_text(im, n);
	}
	for (size_t i = from; i < import_count(n); i++) {
		const char *word = import_text(im, import_item(n, i));
		bool plain = *word != '\0' && strpbrk(word, " \t\n\"'\\$&;|<>()*?[]#~`!{}") == NULL;
		str_add(&out, i > from ? " " : "");
		str_add(&out, plain ? "" : "'");
		for (const char *p = word; *p != '\0'; p++) {
			str_add(&out, *p == '\'' ? "'\\''" : (char[]){*p, '\0'});
		}
		str_add(&out, plain ? "" : "'");
	}
	return arena_strdup(&im->arena, str_c(&out));
}

/* -- Container -- */

/* Keys with an option of docker run of nearly the same name. */
static const struct {
	const char *key, *option;
	bool many;
} options[] = {
	{"cap_add", "cap-add", true},
	{"cap_drop", "cap-drop", true},
	{"cpus", "cpus", false},
	{"devices", "device", true},
	{"dns", "dns", true},
	{"dns_search", "dns-search", true},
	{"entrypoint", "entrypoint", false},
	{"extra_hosts", "add-host", true},
	{"group_add", "group-add", true},
	{"hostname", "hostname", false},
	{"init", "init", false},
	{"mem_limit", "memory", false},
	{"mem_reservation", "memory-reservation", false},
	{"pids_limit", "pids-limit", false},
	{"platform", "platform", false},
	{"privileged", "privileged", false},
	{"read_only", "read-only", false},
	{"security_opt", "security-opt", true},
	{"shm_size", "shm-size", false},
	{"stop_signal", "stop-signal", false},
	{"tmpfs", "tmpfs", true},
	{"user", "user", false},
	{"working_dir", "workdir", false},
};

/* Taken elsewhere, or what the tool does by itself. */
static const char *const taken[] = {"build", "command", "container_name", "depends_on", "deploy",
	"env_file", "environment", "expose", "healthcheck", "image", "labels", "links", "logging",
	"networks", "ports", "pull_policy", "restart", "scale", "stop_grace_period", "volumes"};

static bool is_taken(const char *key)
{
	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
		if (strcmp(taken[i], key) == 0) {
			return true;
		}
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (strcmp(options[i].key, key) == 0) {
			return true;
		}
	}
	return strncmp(key, "x-", 2) == 0;
}

static void put_scalar(struct importing *im, json_t *o, const char *key, const struct node *n)
{
	if (n == NULL || n->kind != NODE_SCALAR || node_is_null(n)) {
		return;
	}
	int word = n->plain ? syntax_bool(n->text) : -1;
	json_object_set_new(
		o, key, word >= 0 ? json_boolean(word) : json_string(import_text(im, n)));
}

static void put_options_of(
	struct importing *im, const char *service, const struct node *s, json_t *out)
{
	const struct node *resources = node_get(node_get(s, "deploy"), "resources");
	const struct node *limits = node_get(resources, "limits");
	json_t *o = json_object();

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		const struct node *n = node_get(s, options[i].key);
		if (n == NULL) {
			continue;
		}
		if (options[i].many) {
			put_new(o, options[i].option, texts(im, n));
		} else if (n->kind == NODE_SCALAR) {
			put_scalar(im, o, options[i].option, n);
		} else {
			import_comment(im, "services.%s.%s: write it as one word", service,
				options[i].key);
		}
	}
	put_scalar(im, o, "cpus", node_get(limits, "cpus"));
	put_scalar(im, o, "memory", node_get(limits, "memory"));
	put_scalar(im, o, "pids-limit", node_get(limits, "pids"));
	put_scalar(im, o, "memory-reservation",
		node_get(node_get(resources, "reservations"), "memory"));
	put_new(out, "options", o);
}

/* "1m30s" as "90s"; what is none, or is absurd, as it is: the manifest's loading tells. */
static const char *duration(struct importing *im, const struct node *n)
{
	double ms = 0;

	for (const char *p = n->text; *p != '\0';) {
		char *end;
		double value = strtod(p, &end);
		size_t unit = strspn(end, "hmsu");
		if (end == p || unit == 0) {
			return import_text(im, n);
		}
		ms += value * (unit == 2 && *end == 'm' ? 1
				      : *end == 'h'     ? 3600e3
				      : *end == 'm'     ? 60e3
							: 1e3);
		if (!(ms >= 0 && ms < LONGEST_MS)) {
			return import_text(im, n);
		}
		p = end + unit;
	}
	return ms >= 1000 && ms == (double)((long)(ms / 1000) * 1000)
		       ? arena_printf(&im->arena, "%lds", (long)(ms / 1000))
		       : arena_printf(&im->arena, "%ldms", (long)ms);
}

static void put_health(struct importing *im, const char *service, const struct node *s, json_t *out)
{
	const struct node *health = node_get(s, "healthcheck"), *test = node_get(health, "test");
	const struct node *interval = node_get(health, "interval");
	const struct node *timeout = node_get(health, "timeout");
	const char *kind = test != NULL && test->kind == NODE_LIST && test->len > 0
				   ? import_item(test, 0)->text
				   : "CMD-SHELL";
	json_t *o = json_object();

	if (test == NULL || test->kind == NODE_MAP || str_eq(kind, "NONE")) {
		json_decref(o);
		return;
	}
	put_text(o, "cmd", command(im, test, 1));
	if (str_eq(kind, "CMD-SHELL") && test->kind == NODE_LIST && test->len > 1) {
		json_object_set_new(o, "cmd", json_string(import_text(im, import_item(test, 1))));
	}
	if (interval != NULL && interval->kind == NODE_SCALAR) {
		put_text(o, "interval", duration(im, interval));
	}
	if (timeout != NULL && timeout->kind == NODE_SCALAR) {
		put_text(o, "timeout", duration(im, timeout));
	}
	if (node_get(health, "retries") != NULL || node_get(health, "start_period") != NULL) {
		import_comment(im,
			"services.%s.healthcheck: retries and start_period are one here: the time "
			"to become healthy (deploy_timeout, boot_timeout)",
			service);
	}
	put_new(out, "healthcheck", o);
}

void import_container(struct importing *im, const char *service, const struct node *s, json_t *out)
{
	const struct node *cmd = node_get(s, "command"), *grace = node_get(s, "stop_grace_period");
	const struct node *logging = node_get(s, "logging"), *restart = node_get(s, "restart");
	const struct node *more = node_get(logging, "options");
	json_t *log = json_object(), *log_options = json_object();

	if (cmd != NULL && !node_is_null(cmd) && cmd->kind != NODE_MAP) {
		put_text(out, "cmd", command(im, cmd, 0));
	}
	put_options_of(im, service, s, out);
	put_health(im, service, s, out);
	if (grace != NULL && grace->kind == NODE_SCALAR) {
		put_text(out, "stop_timeout", duration(im, grace));
	}
	put_scalar(im, log, "driver", node_get(logging, "driver"));
	for (size_t i = 0; more != NULL && more->kind == NODE_MAP && i < more->len; i++) {
		put_scalar(im, log_options, more->p[i].key->text, more->p[i].value);
	}
	put_new(log, "options", log_options);
	put_new(out, "logging", log);
	if (restart != NULL && restart->kind == NODE_SCALAR &&
		(strncmp(restart->text, "on-failure", 10) == 0 || str_eq(restart->text, "no"))) {
		import_comment(
			im, "services.%s.restart: the tool keeps containers running", service);
	}
	for (size_t i = 0; i < s->len; i++) {
		if (!is_taken(s->p[i].key->text)) {
			import_comment(
				im, "services.%s.%s has no equal here", service, s->p[i].key->text);
		}
	}
}

/* -- Rollout -- */

json_t *import_rollout(struct importing *im, const char *service, const struct node *s)
{
	static const char *const as_it_is[] = {"failure_action", "max_failure_ratio"};
	static const char *const durations[] = {"delay", "monitor"};
	const struct node *update = node_get(node_get(s, "deploy"), "update_config");
	const char *parallelism = get_text(update, "parallelism", "1");
	json_t *o = json_object();

	if (update == NULL || update->kind != NODE_MAP) {
		return o;
	}
	if (str_eq(parallelism, "0")) {
		import_comment(im, "services.%s.deploy.update_config: all at once", service);
		return o;
	}
	put_text(o, "strategy", "rolling");
	put_scalar(im, o, "parallelism", node_get(update, "parallelism"));
	for (size_t i = 0; i < sizeof(durations) / sizeof(*durations); i++) {
		const struct node *n = node_get(update, durations[i]);
		if (n != NULL && n->kind == NODE_SCALAR && !node_is_null(n)) {
			put_text(o, durations[i], duration(im, n));
		}
	}
	for (size_t i = 0; i < sizeof(as_it_is) / sizeof(*as_it_is); i++) {
		put_scalar(im, o, as_it_is[i], node_get(update, as_it_is[i]));
	}
	if (str_eq(get_text(update, "order", NULL), "stop-first")) {
		import_comment(im,
			"services.%s.deploy.update_config.order: the old containers serve until "
			"the new ones are healthy",
			service);
	}
	return o;
}

/* -- Volumes -- */

/* "./config/my.cnf:/etc/my.cnf:ro": a file when its name there has a dot or it is read only. */
static bool is_file(const char *inside, const char *mode)
{
	const char *slash = strrchr(inside, '/');

	return strstr(mode, "ro") != NULL || strchr(slash != NULL ? slash : inside, '.') != NULL;
}

static void add_volume(struct importing *im, const char *service, const char *source,
	const char *inside, const char *mode, bool places, json_t *const lists[3])
{
	bool relative = *source == '.' || *source == '~';
	const char *local = strncmp(source, "./", 2) == 0 ? source + 2 : source;
	CLEANUP_FREE char *volume = xasprintf("%s:%s%s%s", source, inside, *mode ? ":" : "", mode);
	CLEANUP_FREE char *place = xasprintf("%s:%s", local, inside);

	if (*inside == '\0') {
		import_comment(im, "services.%s.volumes: one is not understood", service);
	} else if (*source == '\0') {
		import_comment(
			im, "services.%s: '%s' was an anonymous volume: name it", service, inside);
	} else if (!relative) {
		json_array_append_new(lists[0], json_string(volume));
		if (*source != '/') {
			import_comment(im, "volume '%s' was '%s_%s' under Compose: copy its data",
				source, im->project, source);
		}
	} else if (!places) {
		import_comment(im,
			"services.%s: '%s' was mounted at '%s': a release has its files in the "
			"image, or in a volume",
			service, source, inside);
	} else {
		json_array_append_new(lists[is_file(inside, mode) ? 1 : 2], json_string(place));
	}
}

void import_volumes(
	struct importing *im, const char *service, const struct node *s, bool places, json_t *out)
{
	const struct node *all = node_get(s, "volumes");
	json_t *const lists[3] = {json_array(), json_array(), json_array()};

	for (size_t i = 0; i < import_count(all); i++) {
		const struct node *v = import_item(all, i);
		if (v->kind == NODE_MAP) {
			const struct node *source = node_get(v, "source"),
					  *to = node_get(v, "target");
			bool ro = syntax_bool(get_text(v, "read_only", "no")) == 1;
			add_volume(im, service, source != NULL ? import_text(im, source) : "",
				to != NULL ? import_text(im, to) : "", ro ? "ro" : "", places,
				lists);
			continue;
		}
		CLEANUP_FREE char *text = xstrdup(import_text(im, v));
		char *inside = strstr(text, ":/");
		char *mode = inside != NULL ? strchr(inside + 2, ':') : NULL;
		if (inside != NULL) {
			*inside++ = '\0';
		}
		if (mode != NULL) {
			*mode++ = '\0';
		}
		add_volume(im, service, inside != NULL ? text : "", inside != NULL ? inside : text,
			mode != NULL ? mode : "", places, lists);
	}
	put_new(out, "volumes", lists[0]);
	put_new(out, "files", lists[1]);
	put_new(out, "directories", lists[2]);
}

/* -- Ports -- */

bool import_port(struct importing *im, const struct node *s, size_t at, struct import_port *out)
{
	const struct node *ports = node_get(s, "ports");

	*out = (struct import_port){0};
	if (at >= import_count(ports)) {
		return false;
	}
	const struct node *n = import_item(ports, at);
	if (n->kind == NODE_MAP) {
		out->address = get_text(n, "host_ip", NULL);
		out->outside = get_text(n, "published", NULL);
		out->inside = get_text(n, "target", NULL);
		return out->inside != NULL;
	}
	if (n->kind != NODE_SCALAR) {
		return false;
	}
	/* [address:][outside:]inside[/protocol] */
	char *text = arena_strdup(&im->arena, import_text(im, n));
	text[strcspn(text, "/")] = '\0';
	char *colon = strrchr(text, ':');
	out->inside = colon != NULL ? colon + 1 : text;
	if (colon != NULL) {
		*colon = '\0';
		colon = strrchr(text, ':');
		/* the ':' of ${PORT:-80} is none between parts */
		colon = colon != NULL && strchr(colon, '}') != NULL ? NULL : colon;
		out->outside = colon != NULL ? colon + 1 : text;
		if (colon != NULL) {
			*colon = '\0';
			out->address = text;
		}
	}
	return true;
}

void import_networks(struct importing *im, const struct node *s, json_t *out)
{
	const struct node *n = node_get(s, "networks");
	bool map = n != NULL && n->kind == NODE_MAP;
	json_t *list = json_array();

	for (size_t i = 0; i < (map ? n->len : import_count(n)); i++) {
		const struct node *item = map ? n->p[i].key : import_item(n, i);
		const char *name = item->kind == NODE_SCALAR ? item->text : "";

		if (strcmp(name, "default") == 0) {
			json_array_append_new(list, json_string("deploy"));
		} else if (node_find(im->networks, name) != NULL) {
			json_array_append_new(list, json_string(name));
		}
	}
	put_new(out, "networks", list);
}

int import_inside_port(struct importing *im, const struct node *s)
{
	const struct node *expose = node_get(s, "expose");
	struct import_port port;
	long number;

	for (size_t i = 0; import_port(im, s, i, &port); i++) {
		if (str_to_long(port.inside, 1, 65535, &number) == 0) {
			return (int)number;
		}
	}
	for (size_t i = 0; i < import_count(expose); i++) {
		CLEANUP_FREE char *text =
			xstrdup(import_item(expose, i)->text ? import_item(expose, i)->text : "");
		text[strcspn(text, "/")] = '\0';
		if (str_to_long(text, 1, 65535, &number) == 0) {
			return (int)number;
		}
	}
	return 0;
}
