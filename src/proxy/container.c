/* SPDX-License-Identifier: MIT */
/*
 * The proxy's container: made, compared, replaced.
 *
 * It runs with the user and group number of the SSH user: so its sockets and files can be used over
 * SSH by that user and by nobody else, keys may be 0600, and nothing in it is root.  It needs no
 * capability for ports below 1024: Docker 20.10 and newer lower ip_unprivileged_port_start in
 * containers; we ask for it all the same.  (Rootless Docker: the container's root is the SSH user.)
 */
#include "gate.h"

#include "docker/container.h"
#include "docker/exec.h"
#include "docker/image.h"
#include "docker/network.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/json.h"

#include <string.h>

#define READY_MS     15000
#define GATE_S       60 /* a stop and a start by a slow Docker, and READY_MS */
#define LABEL_SPEC   "deploy.proxy.spec"
#define LABEL_DRIVER "deploy.proxy"
#define EXEC_MAX     ((size_t)64 << 10)
#define LOG_MAX      (10 << 20)

static const char *const folders[] = {
	"services", "live", "certs", "next", "check", "run", "log", "data", NULL};

/* What is there. */
struct seen {
	struct docker_container container;
	struct docker_container next; /* of a reboot: under way, or killed; else all zero */
	struct docker_image image;
	struct docker_network network;
	bool has_container, has_image, has_network;
	struct sftp_attrs home;
	bool migrates;      /* the kernel has tcp_migrate_req */
	char *main, *facts; /* texts, or NULL */
};

static void seen_fini(struct seen *s)
{
	docker_container_fini(&s->container);
	docker_container_fini(&s->next);
	docker_image_fini(&s->image);
	docker_network_fini(&s->network);
	free(s->main);
	free(s->facts);
	memset(s, 0, sizeof(*s));
}

static const char *image_of(const struct proxy *p)
{
	return p->config.image && *p->config.image ? p->config.image : p->driver->default_image;
}

static char *name_next(const struct proxy *p)
{
	return xasprintf("%s-new", p->container);
}

/*
 * A reboot was killed when the new one ran and had not got its name yet: it goes forward.  (One
 * that was killed before that leaves the old one under its name, and a new one that does not run.)
 */
static int settle(struct proxy *p, struct seen *s, struct error *err)
{
	if (!s->next.running || s->container.running) {
		return 0;
	}
	if ((s->has_container && docker_container_remove(
					 p->host->docker, s->container.id, true, true, err) < 0) ||
		docker_container_rename(p->host->docker, s->next.id, p->container, err) < 0) {
		return -1;
	}
	docker_container_fini(&s->container);
	s->container = s->next;
	memset(&s->next, 0, sizeof(s->next));
	s->has_container = true;
	return 0;
}

static int look_docker(struct proxy *p, struct seen *s, struct error *err)
{
	CLEANUP_FREE char *next = name_next(p);
	struct docker_lookup items[] = {
		{.kind = DOCKER_LOOKUP_CONTAINER, .name = p->container, .out = &s->container},
		{.kind = DOCKER_LOOKUP_CONTAINER, .name = next, .out = &s->next},
		{.kind = DOCKER_LOOKUP_IMAGE, .name = image_of(p), .out = &s->image},
		{.kind = DOCKER_LOOKUP_NETWORK, .name = p->config.network, .out = &s->network},
	};
	int rc = docker_lookup(p->host->docker, items, sizeof(items) / sizeof(*items), err);
	s->has_container = items[0].found;
	s->has_image = items[2].found;
	s->has_network = items[3].found;
	return rc < 0 ? -1 : settle(p, s, err);
}

static int look_files(struct proxy *p, struct seen *s, struct error *err)
{
	CLEANUP_FREE char *main_path = proxy_path(p, p->driver->main);
	CLEANUP_FREE char *facts_path = proxy_path(p, "facts.json");
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	for (size_t i = 0; folders[i]; i++) {
		CLEANUP_FREE char *path = proxy_path(p, folders[i]);
		sftp_mkdirs(b, path, 0700);
	}
	CLEANUP_FREE char *sites = proxy_path(p, p->driver->sites);
	CLEANUP_FREE char *main_folder =
		xstrndup(main_path, (size_t)(strrchr(main_path, '/') - main_path));
	sftp_mkdirs(b, sites, 0700);
	sftp_mkdirs(b, main_folder, 0700);
	const struct sftp_op *home = sftp_stat(b, p->host->home);
	const struct sftp_op *migrate = sftp_stat(b, "/proc/sys/net/ipv4/tcp_migrate_req");
	const struct sftp_op *main_op = sftp_read(b, main_path, STR_MAX_FILE);
	const struct sftp_op *facts_op = sftp_read(b, facts_path, STR_MAX_LINE);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	if (rc == 0 && home->status != SFTP_OK) {
		*err = home->error;
		rc = -1;
	}
	s->home = home->attrs;
	s->migrates = migrate->status == SFTP_OK;
	if (rc == 0 && main_op->status == SFTP_OK) {
		s->main = xstrdup(str_c(&main_op->data));
	}
	if (rc == 0 && facts_op->status == SFTP_OK) {
		s->facts = xstrdup(str_c(&facts_op->data));
	}
	sftp_batch_free(b);
	return rc;
}

static void add_bind(struct docker_container_spec *spec, const struct proxy *p, const char *folder,
	const char *target, const char *mode)
{
	strvec_pushf(
		&spec->binds, "%s%s%s:%s%s", p->root, *folder ? "/" : "", folder, target, mode);
}

static void add_ports(struct docker_container_spec *spec, const struct proxy_config *c)
{
	size_t n = c->bind_ips ? c->bind_ips->len : 0;
	for (size_t i = 0; !c->no_ports && i < 2 * (n ? n : 1); i++) {
		int port = i % 2 ? c->https_port : c->http_port;
		struct docker_port one = {.host_port = port, .container_port = port};
		one.host_ip = n ? xstrdup(c->bind_ips->p[i / 2]) : NULL;
		vec_push(&spec->ports, one);
	}
	if (c->metrics_port > 0) {
		struct docker_port one = {.host_ip = xstrdup(c->metrics_ip),
			.host_port = c->metrics_port,
			.container_port = c->metrics_port};
		CLEANUP_FREE char *port = xasprintf("%d", c->metrics_port);
		vec_push(&spec->ports, one);
		strmap_set(&spec->labels, PROXY_LABEL_METRICS, port);
	}
}

static bool security_has(const struct host *h, const char *what)
{
	VEC_FOREACH (&h->info.security_options, i) {
		if (strstr(h->info.security_options.p[i], what)) {
			return true;
		}
	}
	return false;
}

/* What the proxy says itself; requests are in files of its own, which it rotates. */
static void set_logging(struct docker_container_spec *spec, int64_t max)
{
	CLEANUP_FREE char *size = xasprintf("%lld", (long long)(max > 0 ? max : LOG_MAX));
	spec->log_driver = xstrdup("json-file");
	strmap_set(&spec->log_options, "max-size", size);
	strmap_set(&spec->log_options, "max-file", "2");
}

static void set_limits(struct docker_container_spec *spec)
{
	spec->read_only = true;
	strmap_set(&spec->tmpfs, "/tmp", "size=64m,mode=1777");
	strmap_set(&spec->sysctls, "net.ipv4.ip_unprivileged_port_start", "0");
	strvec_push(&spec->cap_drop, "ALL");
	/* The official caddy binary carries it as a file capability, and cannot be run without. */
	strvec_push(&spec->cap_add, "NET_BIND_SERVICE");
	strvec_push(&spec->security_opt, "no-new-privileges");
}

/* Root in the container: of the server, or (rootless Docker) the SSH user. */
static bool is_root(const struct proxy *p, const struct seen *s)
{
	return p->host->info.rootless || s->home.uid == 0;
}

/* The container as the manifest wants it, with the digest of all that as a label. */
static int make_spec(struct proxy *p, const struct seen *s, struct docker_container_spec *spec,
	struct error *err)
{
	struct docker_body body = {0};
	char hex[DIGEST_HEX_SIZE];
	memset(spec, 0, sizeof(*spec));
	spec->name = xstrdup(p->container);
	spec->image = xstrdup(image_of(p));
	spec->network = xstrdup(p->config.network);
	/* Any signal by the API (nginx's HUP) counts as stopped by hand for "unless-stopped", and
	 * then the proxy does not come back after a power cut. */
	spec->restart = xstrdup("always");
	spec->user = is_root(p, s) ? xstrdup("0:0") : xasprintf("%u:%u", s->home.uid, s->home.gid);
	if (security_has(p->host, "name=userns")) {
		spec->userns = xstrdup("host");
	}
	add_bind(spec, p, "", PROXY_ETC, ":ro");
	add_bind(spec, p, "run", PROXY_RUN, "");
	add_bind(spec, p, "log", PROXY_LOG, "");
	add_bind(spec, p, "data", PROXY_VAR, "");
	add_ports(spec, &p->config);
	strmap_set(&spec->labels, LABEL_DRIVER, p->driver->name);
	strmap_set(&spec->labels, PROXY_LABEL_ROOT, p->root);
	set_limits(spec);
	set_logging(spec, p->config.log_max_size);
	/*
	 * caddy listens anew at each load (SO_REUSEPORT) and closes the old socket, with the
	 * connections that wait to be accepted there: 3 of 2600 requests were lost so in 6
	 * switches. Linux 5.14 can move them to the new one.
	 */
	if (s->migrates) {
		strmap_set(&spec->sysctls, "net.ipv4.tcp_migrate_req", "1");
	}
	if (is_root(p, s)) {
		/* nginx gives itself the user that it has already, and its folders to it. */
		strvec_push(&spec->cap_add, "CHOWN");
		strvec_push(&spec->cap_add, "SETUID");
		strvec_push(&spec->cap_add, "SETGID");
	}
	p->driver->command(&p->config, spec);
	for (size_t i = 0; p->config.options && i < p->config.options->len; i++) {
		const struct config_option *o = &p->config.options->p[i];
		VEC_FOREACH (&o->values, v) {
			if (docker_spec_option(spec, o->name, o->values.p[v], err) < 0) {
				return -1;
			}
		}
	}
	if (docker_container_spec_body(spec, &body, err) < 0) {
		return -1;
	}
	digest_sha256_hex(body.p, body.len, hex);
	docker_body_fini(&body);
	hex[16] = '\0';
	strmap_set(&spec->labels, LABEL_SPEC, hex);
	return 0;
}

static int need_image(struct proxy *p, struct seen *s, struct error *err)
{
	if (s->has_image) {
		return 0;
	}
	ui_step(p->host->ui, p->host->name, "pull %s", image_of(p));
	if (docker_image_pull(p->host->docker, image_of(p), NULL, NULL, NULL, NULL, err) < 0) {
		error_wrap(err, "pull the proxy's image '%s'", image_of(p));
		return error_hint(err,
			"where the server reaches no registry, bring the image there "
			"first (docker save | ssh docker load), or name another one "
			"as 'proxy.image'");
	}
	return docker_image_inspect(p->host->docker, image_of(p), &s->image, err);
}

static int need_network(struct proxy *p, const struct seen *s, struct error *err)
{
	CLEANUP_STRMAP struct strmap labels = {0};
	if (s->has_network) {
		return 0;
	}
	strmap_set(&labels, "deploy.network", "1");
	return docker_network_create(p->host->docker, p->config.network, false, &labels, err);
}

static char *main_text(const struct proxy *p, const struct seen *s)
{
	struct proxy_main m = {.config = &p->config, .version = p->version, .root = is_root(p, s)};
	struct str text = STR_INIT(STR_MAX_FILE);
	p->driver->render_main(&m, &text);
	return str_take(&text);
}

static int write_file(struct proxy *p, const char *relative, const char *text, struct error *err)
{
	CLEANUP_FREE char *path = proxy_path(p, relative);
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	sftp_write(b, path, text, strlen(text), 0600);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err) < 0 || sftp_check(b, err) < 0 ? -1 : 0;
	sftp_batch_free(b);
	return rc;
}

static int write_roots(struct proxy *p, struct error *err)
{
	CLEANUP_FREE char *file = proxy_acme_ca_file(&p->config);
	return file ? write_file(p, file, p->config.acme_ca, err) : 0;
}

/* What a new container wants to find. */
static int write_files(struct proxy *p, struct error *err)
{
	struct proxy_files files = {0};
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	int rc = write_roots(p, err);
	if (p->driver->render_files) {
		p->driver->render_files(&files);
	}
	VEC_FOREACH (&files, i) {
		const struct proxy_file *f = &files.p[i];
		CLEANUP_FREE char *path = proxy_path(p, f->path);
		CLEANUP_FREE char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
		sftp_mkdirs(b, folder, 0700);
		sftp_barrier(b);
		sftp_write(b, path, f->text, strlen(f->text), 0600);
	}
	if (rc == 0 && files.len > 0) {
		rc = sftp_run(b, PROXY_TIMEOUT_MS, err) < 0 || sftp_check(b, err) < 0 ? -1 : 0;
	}
	sftp_batch_free(b);
	proxy_files_fini(&files);
	return rc;
}

/* The roots first: the main file names them. */
static int write_main(struct proxy *p, const char *text, struct error *err)
{
	return write_roots(p, err) < 0 ? -1 : write_file(p, p->driver->main, text, err);
}

static int collect(void *ctx, enum frames_stream stream, const void *data, size_t len)
{
	(void)stream;
	str_addn(ctx, data, len);
	return 0;
}

int proxy_exec(struct proxy *p, const struct strvec *argv, struct str *out, int *exit_code,
	struct error *err)
{
	struct docker_exec_request req = {.cmd = argv};
	return docker_exec_run(
		p->host->docker, p->container, &req, NULL, 30000, collect, out, exit_code, err);
}

long proxy_facts_version(const char *text, size_t len)
{
	struct error ignored = {0};
	CLEANUP_JSON json_t *j = json_parse(text, len, "facts", &ignored);
	return (long)json_int_at(j, "version", 0);
}

/* Asks which version it is, when the image is another one than at the last time. */
static int learn_version(
	struct proxy *p, const struct seen *s, const char *image, struct error *err)
{
	struct error ignored = {0};
	CLEANUP_JSON json_t *known =
		s->facts ? json_parse(s->facts, strlen(s->facts), "facts", &ignored) : NULL;
	CLEANUP_STRVEC struct strvec argv = {0};
	struct str out = STR_INIT(EXEC_MAX);
	int exit_code = 0;
	p->version = (long)json_int_at(known, "version", 0);
	if (p->version && str_eq(json_str_at(known, "image", ""), image)) {
		return 0;
	}
	p->driver->version(&argv);
	int rc = proxy_exec(p, &argv, &out, &exit_code, err);
	if (rc == 0) {
		CLEANUP_JSON json_t *j = json_object();
		p->version = proxy_version_parse(str_c(&out));
		json_object_set_new(j, "version", json_integer(p->version));
		json_object_set_new(j, "image", json_string(image));
		CLEANUP_FREE char *text = json_text(j);
		rc = write_file(p, "facts.json", text, err);
	}
	str_fini(&out);
	return rc;
}

/* Its last words: container output, then its error log. */
static void add_log(struct proxy *p, struct error *err)
{
	struct error ignored = {0};
	struct str tail = STR_INIT(EXEC_MAX);
	CLEANUP_FREE char *path = proxy_path(p, "log/error.log");
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	if (docker_container_tail(p->host->docker, p->container, 20, &tail, &ignored) == 0) {
		error_detail(err, str_c(&tail), tail.len);
	}
	const struct sftp_op *op = sftp_read(b, path, STR_MAX_FILE);
	if (sftp_run(b, PROXY_TIMEOUT_MS, &ignored) == 0 && op->status == SFTP_OK) {
		size_t n = op->data.len < 2000 ? op->data.len : 2000;
		error_detail(err, str_c(&op->data) + op->data.len - n, n);
	}
	sftp_batch_free(b);
	str_fini(&tail);
}

/* Until it answers on its probe socket, with all that is on disk. */
static int wait_ready(struct proxy *p, struct error *err)
{
	int64_t until = clock_mono_ms() + READY_MS;
	struct proxy_request req = {.socket = "probe.sock",
		.host = PROXY_PROBE_HOST,
		.method = "GET",
		.target = "/",
		.timeout_ms = 2000};
	for (;;) {
		struct error e = {0};
		struct http_reply reply = {0};
		int rc = proxy_http(p, &req, &reply, &e);
		http_reply_fini(&reply);
		if (rc == 0) {
			return p->driver->listens_early ? p->driver->reload(p, err) : 0;
		}
		if (cancel_check(err) < 0) {
			return -1;
		}
		if (clock_mono_ms() > until || e.status == SSH_OPEN_PROHIBITED) {
			*err = e;
			error_wrap(err, "the proxy '%s' does not come up", p->container);
			add_log(p, err);
			return -1;
		}
		clock_sleep_ms(30);
	}
}

/* Docker 20.10 that died while it started this container may keep the ports for nobody. */
static int start_failed(struct error *err)
{
	error_wrap(err, "start the proxy");
	return strstr(err->text, "port is already allocated") == NULL
		       ? -1
		       : error_hint(err,
				 "which container has it ('docker ps' on the server)? when none "
				 "has, Docker kept it over a crash: sudo systemctl restart docker");
}

/* A start that comes second changes nothing. */
static int start(struct proxy *p, struct error *err)
{
	return docker_container_start(p->host->docker, p->container, err) < 0 ? start_failed(err)
									      : wait_ready(p, err);
}

static int create_failed(struct proxy *p, const char *id, struct error *err)
{
	/*
	 * Only what was made here: the name may be taken.  And not when interrupted: a daemon that
	 * is slow removes it when the tool has left, under the hands of the next push, which would
	 * have found it and used it.
	 */
	if (id && err->kind != ERROR_INTERRUPTED) {
		struct error ignored = {0};
		if (docker_container_remove(p->host->docker, id, true, true, &ignored) < 0) {
			ui_debug(p->host->ui, p->host->name, "%s", ignored.text);
		}
	}
	return start_failed(err);
}

static int create(struct proxy *p, const struct docker_container_spec *spec, struct error *err)
{
	CLEANUP_FREE char *id = NULL;
	if (write_files(p, err) < 0) {
		return -1;
	}
	int64_t until = clock_mono_ms() + READY_MS;
	while (docker_container_run(p->host->docker, spec, &id, NULL, err) < 0) {
		if (err->status != 409 || id) {
			return create_failed(p, id, err);
		}
		/* Another service's push has just made it, and has perhaps ended since; or Docker
		 * has given it the name, and nothing else yet. */
		*err = (struct error){0};
		if (start(p, err) == 0) {
			return 0;
		}
		if (err->status != 404 || clock_mono_ms() > until) {
			return -1;
		}
		*err = (struct error){0};
		if (cancel_check(err) < 0) {
			return -1;
		}
		clock_sleep_ms(30);
	}
	return wait_ready(p, err);
}

static char *drift_of(
	const struct proxy *p, const struct seen *s, const struct docker_container_spec *spec)
{
	const char *spec_now = strmap_get(&s->container.labels, LABEL_SPEC);
	struct str t = STR_INIT(STR_MAX_LINE);
	if (!str_eq(s->container.image_id, s->image.id)) {
		str_addf(&t, "it runs another image than '%s' is now", image_of(p));
	}
	if (!str_eq(spec_now, strmap_get(&spec->labels, LABEL_SPEC))) {
		str_addf(&t, "%sits options, ports or image name differ from the manifest",
			t.len ? "; " : "");
	}
	if (t.len == 0) {
		str_fini(&t);
		return NULL;
	}
	return str_take(&t);
}

static int boot_container(struct proxy *p, struct seen *s, const struct docker_container_spec *spec,
	bool main_changed, struct proxy_boot_result *r, struct error *err)
{
	if (s->has_container && s->container.running) {
		r->drift = drift_of(p, s, spec);
		if (!main_changed) {
			r->outcome = PROXY_UNCHANGED;
			return 0;
		}
		r->outcome = PROXY_RECONFIGURED;
		return p->driver->reload(p, err);
	}
	r->outcome = s->has_container ? PROXY_STARTED : PROXY_BOOTED;
	CLEANUP_FREE char *differs = s->has_container ? drift_of(p, s, spec) : NULL;
	if (s->has_container && !differs) {
		return start(p, err);
	}
	if (s->has_container &&
		docker_container_remove(p->host->docker, p->container, true, true, err) < 0) {
		return -1;
	}
	return create(p, spec, err);
}

/* The main file for the version that it turned out to be, when that makes a difference. */
static int refine_main(struct proxy *p, const struct seen *s, const char *text, struct error *err)
{
	CLEANUP_FREE char *better = main_text(p, s);
	if (str_eq(better, text)) {
		return 0;
	}
	return write_main(p, better, err) < 0 ? -1 : p->driver->reload(p, err);
}

static int boot(struct proxy *p, struct seen *s, struct proxy_boot_result *r, struct error *err)
{
	CLEANUP_DOCKER_SPEC struct docker_container_spec spec = {0};
	if (look_docker(p, s, err) < 0 || look_files(p, s, err) < 0 ||
		need_network(p, s, err) < 0 || need_image(p, s, err) < 0 ||
		make_spec(p, s, &spec, err) < 0) {
		return -1;
	}
	if (s->facts) {
		p->version = proxy_facts_version(s->facts, strlen(s->facts));
	}
	CLEANUP_FREE char *text = main_text(p, s);
	bool main_changed = !str_eq(text, s->main);
	if (main_changed && write_main(p, text, err) < 0) {
		return -1;
	}
	if (boot_container(p, s, &spec, main_changed, r, err) < 0) {
		if (main_changed && s->main) {
			struct error ignored = {0};
			if (write_file(p, p->driver->main, s->main, &ignored) < 0) {
				ui_debug(p->host->ui, p->host->name, "%s", ignored.text);
			}
		}
		return -1;
	}
	const char *image = s->has_container && r->outcome != PROXY_BOOTED && s->container.running
				    ? s->container.image_id
				    : s->image.id;
	return learn_version(p, s, image, err) < 0 ? -1 : refine_main(p, s, text, err);
}

int proxy_boot(struct host *h, const struct proxy_config *pc, struct proxy_boot_result *result,
	struct error *err)
{
	struct seen s = {0};
	memset(result, 0, sizeof(*result));
	struct proxy *p = proxy_new(h, pc, "deploy", NULL, err);
	int rc = p ? boot(p, &s, result, err) : -1;
	result->version = p ? p->version : 0;
	seen_fini(&s);
	proxy_close(p);
	if (rc < 0) {
		free(result->drift);
		result->drift = NULL;
		error_wrap(err, "boot proxy");
		return host_error(h, err);
	}
	return 0;
}

void proxy_booted(struct proxy *p, const struct proxy_boot_result *result)
{
	p->version = result->version;
}

/* Stops the one for the other, which has not got its name yet. */
static int relieve(
	struct proxy *p, const char *old, const char *next, int drain_s, struct error *err)
{
	char *name = p->container;
	if (docker_container_relieve(p->host->docker, old, drain_s, next, err) < 0) {
		return -1;
	}
	p->container = xstrdup(next);
	int rc = wait_ready(p, err);
	free(p->container);
	p->container = name;
	return rc;
}

static void go_back(struct proxy *p, const char *old, const char *next, struct error *err)
{
	struct docker *d = p->host->docker;
	struct error why = {0};
	if (docker_container_remove(d, next, true, true, &why) < 0 ||
		docker_container_start(d, old, &why) < 0 || wait_ready(p, &why) < 0) {
		error_detail(err, why.text, strlen(why.text));
	}
	error_wrap(err, "the old proxy was started again");
}

/* Old one stopped and new one started behind the gate, then removed and renamed; else the old one
 * again.  By their IDs: names change hands here. */
static int replace(struct proxy *p, const char *old, struct docker_container_spec *spec,
	int drain_ms, struct proxy_reboot_result *result, struct error *err)
{
	struct docker *d = p->host->docker;
	CLEANUP_FREE char *next = NULL;
	struct error why = {0};
	int drain_s = (drain_ms + 999) / 1000;
	free(spec->name);
	spec->name = name_next(p);
	/* Created beforehand, so that only a start lies between the two. */
	if (write_files(p, err) < 0 ||
		docker_container_remove(d, spec->name, true, true, err) < 0 ||
		docker_container_create(d, spec, &next, err) < 0) {
		return -1;
	}
	cancel_shield_begin();
	int gate = gate_shut(p, spec->image, &spec->ports, drain_s + GATE_S, &why);
	if (gate < 0) {
		result->refused = xstrdup(why.text);
	}
	int64_t begin = clock_mono_ms();
	int rc = relieve(p, old, next, drain_s, err);
	result->gap_ms = (int)(clock_mono_ms() - begin);
	if (rc < 0) {
		go_back(p, old, next, err);
	}
	gate_open(p, gate);
	if (rc == 0) {
		rc = docker_container_remove(d, old, true, true, err) < 0
			     ? -1
			     : docker_container_rename(d, next, p->container, err);
	}
	cancel_shield_end();
	return rc;
}

static int reboot(struct proxy *p, struct seen *s, int drain_ms, struct proxy_reboot_result *result,
	struct error *err)
{
	CLEANUP_DOCKER_SPEC struct docker_container_spec spec = {0};
	if (look_docker(p, s, err) < 0 || look_files(p, s, err) < 0 ||
		need_network(p, s, err) < 0 || need_image(p, s, err) < 0 ||
		make_spec(p, s, &spec, err) < 0) {
		return -1;
	}
	/* The image may be another one: written for any version first. */
	CLEANUP_FREE char *text = main_text(p, s);
	if (!str_eq(text, s->main) && write_main(p, text, err) < 0) {
		return -1;
	}
	int rc = s->has_container ? replace(p, s->container.id, &spec, drain_ms, result, err)
				  : create(p, &spec, err);
	if (rc < 0 || learn_version(p, s, s->image.id, err) < 0) {
		return -1;
	}
	return refine_main(p, s, text, err);
}

int proxy_reboot(struct host *h, const struct proxy_config *pc, int drain_ms,
	struct proxy_reboot_result *result, struct error *err)
{
	struct seen s = {0};
	memset(result, 0, sizeof(*result));
	struct proxy *p = proxy_new(h, pc, "deploy", NULL, err);
	int rc = p ? reboot(p, &s, drain_ms, result, err) : -1;
	seen_fini(&s);
	proxy_close(p);
	if (rc < 0) {
		free(result->refused);
		result->refused = NULL;
		error_wrap(err, "reboot proxy");
		return host_error(h, err);
	}
	return 0;
}

int proxy_remove(struct host *h, const char *driver, bool data, struct error *err)
{
	struct proxy_config pc = {.driver = driver};
	struct proxy *p = proxy_new(h, &pc, "deploy", NULL, err);
	if (!p) {
		return host_error(h, err);
	}
	int rc = docker_container_stop(h->docker, p->container, 10, err);
	if (rc < 0 && err->status == 404) {
		*err = (struct error){0};
		rc = 0;
	}
	/* With what a reboot left that was killed. */
	CLEANUP_FREE char *next = name_next(p);
	if (rc == 0 && (docker_container_remove(h->docker, p->container, true, true, err) < 0 ||
			       docker_container_remove(h->docker, next, true, true, err) < 0 ||
			       gate_remove(p, err) < 0)) {
		rc = -1;
	}
	if (rc == 0 && data) {
		struct sftp_batch *b = sftp_batch_new(h->sftp);
		sftp_rmtree(b, p->root, 100000);
		rc = sftp_run(b, 4 * PROXY_TIMEOUT_MS, err);
		sftp_batch_free(b);
	}
	proxy_close(p);
	return rc < 0 ? host_error(h, err) : 0;
}
