/* SPDX-License-Identifier: MIT */
/*
 * The drivers for real: a private sshd, this machine's Docker, the proxy's container, containers of
 * the sample application, requests all the while.  Skipped where there is no Docker, no sshd or no
 * image (deploy/support/image app-base:1 caddy:2 nginx:1).
 *
 *   DEPLOY_SWITCHES=N        how many switches under load (3)
 *   DEPLOY_PROXY_IMAGES=...  "caddy=IMAGE nginx=IMAGE ..." instead of caddy:2 and nginx:1
 */
#include "../../../src/proxy/internal.h"
#include "../ssh/sshd.h"

#include "docker/container.h"
#include "docker/image.h"
#include "docker/network.h"
#include "util/cancel.h"
#include "util/digest.h"
#include "util/json.h"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>

#define APP_IMAGE "app-base:1"
#define PORT      3000

struct live {
	struct sshd sshd;
	struct ssh_fabric *fabric;
	struct ui *ui;
	struct host *host;
	struct proxy_config config;
	struct strvec hosts;
	char dir[64], tag[16], network[32], container[48];
	char image[128];
	int version; /* of the newest application container */
	char *loader;
	bool ready;
};

static struct error err;

#define OK(call)                                                                                   \
	do {                                                                                       \
		if ((call) != 0) {                                                                 \
			fail_msg("%s: %s\n%s", #call, err.text, err.detail);                       \
		}                                                                                  \
	} while (0)

static bool has_image(struct host *h, const char *name)
{
	struct docker_image i = {0};
	struct error ignored = {0};
	bool has = docker_image_inspect(h->docker, name, &i, &ignored) == 0;
	docker_image_fini(&i);
	return has;
}

static bool connect_host(struct live *l)
{
	struct config_host address = {
		.name = "127.0.0.1", .user = l->sshd.user, .port = l->sshd.port};
	struct config_ssh ssh = {.keys_only = true,
		.known_hosts = l->sshd.known_hosts,
		.connect_timeout_ms = 10000,
		.keepalive_ms = 15000};
	strvec_push(&ssh.keys, l->sshd.key);
	struct host_request req = {
		.name = "live", .address = &address, .ssh = &ssh, .fabric = l->fabric, .ui = l->ui};
	l->host = host_connect(&req, &err);
	strvec_fini(&ssh.keys);
	if (!l->host || docker_info(l->host->docker, &l->host->info, &err) < 0) {
		print_message("no host: %s\n", err.text);
		return false;
	}
	l->host->home = xstrdup(getenv("HOME"));
	l->host->state_dir = xasprintf("%s/.deploy", l->dir);
	return true;
}

static bool build_loader(struct live *l)
{
	l->loader = xasprintf("%s/load", l->dir);
	const char *argv[] = {"cc", "-O2", "-o", l->loader, "deploy/support/load.c", NULL};
	return run_program(argv) == 0;
}

static void begin(struct live *l, const char *driver, const char *image)
{
	struct ui_options options = {.verbosity = -1, .out = stdout, .err = stderr};
	memset(l, 0, sizeof(*l));
	err = (struct error){0};
	if (!sshd_start(&l->sshd, NULL)) {
		return;
	}
	snprintf(l->dir, sizeof(l->dir), "/tmp/deploy-proxy.XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	digest_random_hex(4, l->tag);
	snprintf(l->network, sizeof(l->network), "ptest-%s", l->tag);
	snprintf(l->container, sizeof(l->container), "ptest-%s-proxy", l->tag);
	snprintf(l->image, sizeof(l->image), "%s", image);
	l->ui = ui_new(&options);
	l->fabric = ssh_fabric_new(0);
	l->config = (struct proxy_config){.driver = driver,
		.image = l->image,
		.network = l->network,
		.http_port = free_port(),
		.https_port = free_port(),
		.container = l->container};
	strvec_push(&l->hosts, "shop.test");
	l->ready = connect_host(l) && has_image(l->host, APP_IMAGE) && has_image(l->host, image) &&
		   build_loader(l);
}

static char *app_name(const struct live *l, int version)
{
	return xasprintf("ptest-%s-v%d", l->tag, version);
}

static void remove_app(struct live *l, int version)
{
	CLEANUP_FREE char *name = app_name(l, version);
	OK(docker_container_stop(l->host->docker, name, 10, &err));
	OK(docker_container_remove(l->host->docker, name, true, true, &err));
}

static void end(struct live *l)
{
	struct error ignored = {0};
	if (l->host) {
		for (int v = 1; v <= l->version; v++) {
			CLEANUP_FREE char *name = app_name(l, v);
			(void)!docker_container_remove(l->host->docker, name, true, true, &ignored);
		}
		(void)!docker_container_remove(l->host->docker, l->container, true, true, &ignored);
		(void)!docker_network_remove(l->host->docker, l->network, &ignored);
	}
	host_close(l->host);
	ssh_fabric_free(l->fabric);
	ui_free(l->ui);
	if (l->dir[0]) {
		const char *argv[] = {"rm", "-rf", l->dir, NULL};
		run_program(argv);
	}
	sshd_stop(&l->sshd);
	strvec_fini(&l->hosts);
	free(l->loader);
}

/* A container of the application that answers "v<version>". */
static char *start_app(struct live *l, bool wait)
{
	char text[32];
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	CLEANUP_FREE char *dir = xasprintf("%s/v%d", l->dir, ++l->version);
	CLEANUP_FREE char *file = xasprintf("%s/version.txt", dir);
	OK(fs_mkdirs(dir, 0755, &err));
	snprintf(text, sizeof(text), "v%d\n", l->version);
	OK(fs_write_atomic(file, text, strlen(text), 0644, &err));
	s.name = app_name(l, l->version);
	s.image = xstrdup(APP_IMAGE);
	s.network = xstrdup(l->network);
	strvec_pushf(&s.binds, "%s:/app:ro", dir);
	OK(docker_container_run(l->host->docker, &s, NULL, NULL, &err));
	char *name = xstrdup(s.name);
	struct proxy_service svc = {.service = "shop", .app_port = PORT, .hosts = &l->hosts};
	struct proxy *p = proxy_open(l->host, &l->config, "shop", NULL, &err);
	for (int i = 0; wait; i++) {
		struct proxy_answer a;
		struct error e = {0};
		if (proxy_probe(p, &svc, name, "/up", 2000, &a, &e) == 0 && a.status == 200) {
			break;
		}
		if (i > 300) {
			fail_msg("not healthy: %s", e.text);
		}
		usleep(10000);
	}
	proxy_close(p);
	return name;
}

static void boot(struct live *l, enum proxy_boot_outcome want)
{
	struct proxy_boot_result r = {0};
	OK(proxy_boot(l->host, &l->config, &r, &err));
	assert_int_equal(r.outcome, want);
	assert_null(r.drift);
}

/* GET by the published port; the body's first line in `body`. */
static int get(const struct live *l, const char *host, const char *path, char body[256])
{
	struct http_reply reply = {0};
	struct http_request req = {.method = "GET", .target = path, .host = host};
	struct error e = {0};
	int fd = connect_loopback(l->config.http_port);
	body[0] = '\0';
	if (fd < 0 || http_exchange(fd, &req, 15000, &reply, &e) < 0) {
		print_message("%s %s: %s\n", host, path, e.text);
	}
	close(fd);
	snprintf(body, 256, "%.*s", (int)strcspn(str_c(&reply.body), "\n"), str_c(&reply.body));
	int status = reply.status;
	http_reply_fini(&reply);
	return status;
}

static int64_t phase_ms[5];

/* One whole push of the proxy's part; returns the name of the retired container's version. */
static void push(struct live *l, const char *name, const char *const *extra, bool count)
{
	struct proxy_counts c = {0};
	struct proxy_service svc = {.service = "shop",
		.release = name,
		.app_port = PORT,
		.hosts = &l->hosts,
		.health_path = "/up"};
	int64_t t[6];
	int left = 0;
	t[0] = clock_mono_ms();
	struct proxy *p = proxy_open(l->host, &l->config, "shop", NULL, &err);
	if (!p) {
		fail_msg("%s", err.text);
	}
	strvec_push(&svc.live, name);
	for (; extra && *extra; extra++) {
		strvec_push(&svc.live, *extra);
	}
	OK(proxy_stage(p, &svc, &err));
	t[1] = clock_mono_ms();
	OK(proxy_counts_begin(p, &err));
	t[2] = clock_mono_ms();
	OK(proxy_switch(p, &svc, &err));
	t[3] = clock_mono_ms();
	OK(proxy_drain(p, &svc.draining, 5000, &left, &err));
	if (left) {
		print_message("# %d left\n", left);
	}
	assert_int_equal(left, 0);
	t[4] = clock_mono_ms();
	OK(proxy_counts_end(p, &c, &err));
	t[5] = clock_mono_ms();
	for (int i = 0; i < 5; i++) {
		phase_ms[i] += t[i + 1] - t[i];
	}
	assert_int_equal(c.failed, 0);
	if (count) {
		assert_true(c.served > 0);
	}
	bool same = false;
	OK(proxy_running(p, &same, &err));
	assert_true(same);
	proxy_counts_fini(&c);
	proxy_service_fini(&svc);
	proxy_close(p);
}

struct load {
	pid_t pid;
	char file[96];
};

static void load_begin(struct live *l, struct load *load, const char *mode, const char *name)
{
	char url[64], ready[96];
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", l->config.http_port);
	snprintf(load->file, sizeof(load->file), "%s/%s.json", l->dir, name);
	snprintf(ready, sizeof(ready), "%s/%s.ready", l->dir, name);
	load->pid = fork();
	if (load->pid == 0) {
		int fd = open(load->file, O_CREAT | O_WRONLY | O_TRUNC, 0644);
		dup2(fd, 1);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		execl(l->loader, l->loader, "--rate", "200", "--host-header", "shop.test", "--path",
			"/:1", "--path", "/slow?ms=800:1", "--ready-file", ready, "--json", mode,
			url, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && access(ready, F_OK) < 0; i++) {
		usleep(10000);
	}
	assert_int_equal(access(ready, F_OK), 0);
}

static void load_end(struct load *load, bool strict)
{
	struct str text = STR_INIT(STR_MAX_FILE);
	int status = 0;
	kill(load->pid, SIGTERM);
	waitpid(load->pid, &status, 0);
	OK(fs_read(load->file, &text, &err));
	CLEANUP_JSON json_t *j = json_parse(str_c(&text), text.len, "load", &err);
	assert_non_null(j);
	print_message("# load: %s\n", str_c(&text));
	assert_true(json_int_at(j, "sent", 0) > 100);
	if (strict) {
		assert_int_equal(json_int_at(j, "failed", -1), 0);
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	str_fini(&text);
}

/* -- The behaviours, each for a driver and image -- */

static void boots_once_and_tells_drift(struct live *l)
{
	struct proxy_boot_result r = {0};
	boot(l, PROXY_BOOTED);
	boot(l, PROXY_UNCHANGED);
	l->config.acme_email =
		"ops@shop.test"; /* caddy's main file has it: reloaded, not replaced */
	OK(proxy_boot(l->host, &l->config, &r, &err));
	assert_int_equal(r.outcome,
		str_eq(l->config.driver, "caddy") ? PROXY_RECONFIGURED : PROXY_UNCHANGED);
	int port = l->config.https_port;
	l->config.https_port = free_port();
	OK(proxy_boot(l->host, &l->config, &r, &err));
	assert_non_null(r.drift);
	free(r.drift);
	l->config.https_port = port;
	OK(proxy_boot(l->host, &l->config, &r, &err));
	assert_null(r.drift);
}

static void *ask(void *arg)
{
	struct docker_info info = {0};
	struct error e = {0};
	if (docker_info(arg, &info, &e) == 0) {
		docker_info_fini(&info);
	}
	return NULL;
}

/* As behind the first steps of a push: connections to the daemon that stand idle. */
static void connections_stand_idle(struct live *l)
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++) {
		OK(pthread_create(&threads[i], NULL, ask, l->host->docker));
	}
	for (int i = 0; i < 4; i++) {
		OK(pthread_join(threads[i], NULL));
	}
}

/* Once Docker has the proxy's container: Ctrl-C. */
static void *interrupt(void *arg)
{
	struct live *l = arg;
	struct docker *d = docker_new(&(struct docker_dialer){.dial = docker_dial_local}, NULL);
	struct docker_container seen = {0};
	struct error e = {0};
	for (int i = 0; i < 3000; i++) {
		if (docker_container_inspect(d, l->container, &seen, &e) == 0) {
			break;
		}
		usleep(2000);
	}
	docker_container_fini(&seen);
	docker_free(d);
	cancel_now();
	return NULL;
}

/*
 * A daemon that is slow may do what it was asked for long after the tool has left; a removal among
 * it would take the proxy from the push that comes next.
 */
static void an_interrupted_boot_is_the_next_ones(struct live *l)
{
	struct docker_container seen = {0};
	struct proxy_boot_result r = {0};
	pthread_t thread;
	connections_stand_idle(l);
	OK(pthread_create(&thread, NULL, interrupt, l));
	int rc = proxy_boot(l->host, &l->config, &r, &err);
	OK(pthread_join(thread, NULL));
	cancel_reset();
	if (rc == 0) {
		print_message("# %s: booted before it was interrupted\n", l->image);
	} else {
		assert_int_equal(err.kind, ERROR_INTERRUPTED);
	}
	OK(docker_container_inspect(l->host->docker, l->container, &seen, &err));
	CLEANUP_FREE char *id = xstrdup(seen.id);
	docker_container_fini(&seen);
	OK(proxy_boot(l->host, &l->config, &r, &err));
	OK(docker_container_inspect(l->host->docker, l->container, &seen, &err));
	assert_string_equal(seen.id, id);
	assert_true(seen.running);
	docker_container_fini(&seen);
	OK(docker_container_remove(l->host->docker, l->container, true, true, &err));
}

static void switches_without_a_lost_request(struct live *l)
{
	const char *many = getenv("DEPLOY_SWITCHES");
	int n = many ? (int)strtol(many, NULL, 10) : 3;
	struct load kept, fresh;
	char body[256], want[32];
	memset(phase_ms, 0, sizeof(phase_ms));
	load_begin(l, &kept, "--keepalive", "kept");
	load_begin(l, &fresh, "--close", "fresh");
	for (int i = 0; i < n; i++) {
		int old = l->version;
		char *name = start_app(l, true);
		push(l, name, NULL, true);
		remove_app(l, old);
		assert_int_equal(get(l, "shop.test", "/", body), 200);
		snprintf(want, sizeof(want), "v%d", l->version);
		assert_string_equal(body, want);
		free(name);
	}
	load_end(&kept, true);
	load_end(&fresh, true);
	print_message("# %s: %d switches; ms each: stage %lld, counts %lld, switch %lld, drain "
		      "%lld, counts %lld\n",
		l->image, n, (long long)(phase_ms[0] / n), (long long)(phase_ms[1] / n),
		(long long)(phase_ms[2] / n), (long long)(phase_ms[3] / n),
		(long long)(phase_ms[4] / n));
}

static void a_dead_container_is_refused_and_the_old_one_put_back(struct live *l)
{
	char body[256], want[32];
	struct proxy_service svc = {
		.service = "shop", .app_port = PORT, .hosts = &l->hosts, .health_path = "/up"};
	struct proxy *p = proxy_open(l->host, &l->config, "shop", NULL, &err);
	CLEANUP_FREE char *id = xstrdup(proxy_live(p)->id);
	snprintf(want, sizeof(want), "v%d", l->version);
	strvec_push(&svc.live, "there-is-no-such-container");
	struct proxy_answer a;
	struct error e = {0};
	assert_int_equal(proxy_probe(p, &svc, svc.live.p[0], "/up", 5000, &a, &e), -1);
	assert_int_equal(e.kind, ERROR_UNHEALTHY);
	e = (struct error){0};
	assert_int_equal(proxy_switch(p, &svc, &e), -1);
	assert_int_equal(e.kind, ERROR_UNHEALTHY);
	assert_string_equal(e.detail, "");
	assert_string_equal(proxy_live(p)->id, id);
	assert_int_equal(get(l, "shop.test", "/", body), 200);
	assert_string_equal(body, want);
	bool same = false;
	OK(proxy_running(p, &same, &err));
	assert_true(same);
	proxy_service_fini(&svc);
	proxy_close(p);
}

static void edit(struct live *l, const char *name, const char *text)
{
	CLEANUP_FREE char *path =
		xasprintf("%s/.deploy/proxy/%s/%s", l->dir, l->config.driver, name);
	if (text) {
		OK(fs_write_atomic(path, text, strlen(text), 0644, &err));
	} else {
		unlink(path);
	}
}

/* Another service's broken file makes the proxy refuse everything: nothing may change. */
static void a_refused_configuration_is_put_back(struct live *l)
{
	char body[256], want[32];
	struct error e = {0};
	struct proxy_service svc = {
		.service = "shop", .app_port = PORT, .hosts = &l->hosts, .health_path = "/up"};
	CLEANUP_FREE char *name = app_name(l, l->version);
	struct proxy *p = proxy_open(l->host, &l->config, "shop", NULL, &err);
	CLEANUP_FREE char *id = xstrdup(proxy_live(p)->id);
	const char *file =
		str_eq(l->config.driver, "caddy") ? "services/zz.caddy" : "services/zz.conf";
	snprintf(want, sizeof(want), "v%d", l->version);
	edit(l, file, "nonsense {\n");
	strvec_push(&svc.live, name);
	strvec_push(&svc.live, "second"); /* three: no slot has room for so many, so it is loaded */
	strvec_push(&svc.live, "third");
	assert_int_equal(proxy_switch(p, &svc, &e), -1);
	print_message("# refused: %s\n", e.text);
	assert_non_null(strstr(e.text, "refused"));
	assert_string_equal(proxy_live(p)->id, id);
	edit(l, file, NULL);
	assert_int_equal(get(l, "shop.test", "/", body), 200);
	assert_string_equal(body, want);
	svc.max_request_body = 12345; /* another shape: judged before anything is touched */
	edit(l, file, "nonsense {\n");
	struct proxy *again = proxy_open(l->host, &l->config, "shop", NULL, &err);
	e = (struct error){0};
	assert_int_equal(proxy_stage(again, &svc, &e), -1);
	print_message("# refused: %s\n", e.text);
	edit(l, file, NULL);
	proxy_service_fini(&svc);
	proxy_close(again);
	proxy_close(p);
}

static void a_hand_edited_fragment_is_told_and_mended(struct live *l)
{
	CLEANUP_FREE char *name = app_name(l, l->version);
	CLEANUP_FREE char *path = xasprintf("%s/.deploy/proxy/%s/services/shop.%s", l->dir,
		l->config.driver, str_eq(l->config.driver, "caddy") ? "caddy" : "conf");
	struct str text = STR_INIT(STR_MAX_FILE);
	OK(fs_read(path, &text, &err));
	str_add(&text, "# by hand\n");
	OK(fs_write_atomic(path, str_c(&text), text.len, 0644, &err));
	struct proxy *p = proxy_open(l->host, &l->config, "shop", NULL, &err);
	assert_true(proxy_live(p)->present);
	assert_true(proxy_live(p)->edited);
	proxy_close(p);
	push(l, name, NULL, false);
	p = proxy_open(l->host, &l->config, "shop", NULL, &err);
	assert_false(proxy_live(p)->edited);
	assert_string_equal(proxy_live(p)->live.p[0], name);
	proxy_close(p);
	str_fini(&text);
}

static void maintenance_shows_a_page_and_goes_away(struct live *l)
{
	char body[256];
	CLEANUP_FREE char *name = app_name(l, l->version);
	struct proxy_service svc = {.service = "shop",
		.app_port = PORT,
		.hosts = &l->hosts,
		.health_path = "/up",
		.maintenance = true,
		.maintenance_message = "Back `soon` & {so}"};
	struct proxy_answer a;
	strvec_push(&svc.live, name);
	struct proxy *p = proxy_open(l->host, &l->config, "shop", NULL, &err);
	OK(proxy_switch(p, &svc, &err));
	assert_true(proxy_live(p)->maintenance);
	assert_int_equal(get(l, "shop.test", "/", body), 503);
	assert_non_null(strstr(body, "<!doctype html>"));
	OK(proxy_probe(p, &svc, name, "/up", 5000, &a, &err));
	assert_int_equal(a.status, 200);
	svc.maintenance = false;
	OK(proxy_switch(p, &svc, &err));
	assert_int_equal(get(l, "shop.test", "/", body), 200);
	proxy_service_fini(&svc);
	proxy_close(p);
}

static void two_services_share_a_host(struct live *l)
{
	char body[256];
	struct error e = {0};
	struct strvec prefixes = {0};
	CLEANUP_FREE char *shop = app_name(l, l->version);
	CLEANUP_FREE char *name = start_app(l, true);
	struct proxy_service svc = {.service = "api",
		.app_port = PORT,
		.hosts = &l->hosts,
		.prefixes = &prefixes,
		.strip_prefix = true,
		.health_path = "/up"};
	strvec_push(&svc.live, name);
	struct proxy *p = proxy_open(l->host, &l->config, "api", NULL, &err);
	assert_int_equal(proxy_stage(p, &svc, &e), -1);
	print_message("# refused: %s\n", e.text);
	assert_non_null(strstr(e.text, "'shop'"));
	strvec_push(&prefixes, "/api");
	OK(proxy_switch(p, &svc, &err));
	assert_int_equal(get(l, "shop.test", "/api/echo", body), 200);
	assert_int_equal(get(l, "shop.test", "/api", body), 200);
	CLEANUP_FREE char *want = xasprintf("v%d", l->version);
	assert_string_equal(body, want);
	assert_int_equal(get(l, "shop.test", "/", body), 200);
	assert_string_not_equal(body, want);
	assert_int_equal(get(l, "other.test", "/", body), 404);
	push(l, shop, NULL, false); /* the neighbour keeps its prefix through a push of the other */
	assert_int_equal(get(l, "shop.test", "/api", body), 200);
	assert_string_equal(body, want);
	OK(proxy_remove_service(p, &err));
	assert_int_equal(get(l, "shop.test", "/api", body), 404);
	proxy_close(p);
	struct proxy_details d;
	OK(proxy_details(l->host, l->config.driver, &d, &err));
	assert_int_equal(d.services_len, 1);
	proxy_details_fini(&d);
	remove_app(l, l->version--);
	proxy_service_fini(&svc);
	strvec_fini(&prefixes);
}

/* Another number of containers is a load of the configuration, which caddy of Go 1.23 and newer may
 * lose requests by: only the drain is judged. */
static void scaling_drains_too(struct live *l)
{
	struct load kept;
	load_begin(l, &kept, "--keepalive", "scale");
	for (int i = 0; i < 2; i++) {
		int old = l->version;
		CLEANUP_FREE char *one = start_app(l, true);
		CLEANUP_FREE char *two = start_app(l, true);
		const char *extra[] = {two, NULL};
		push(l, one, extra, true);
		remove_app(l, old);
		if (old > 2 && i > 0) {
			continue;
		}
		CLEANUP_FREE char *three = start_app(l, true);
		push(l, three, NULL, true);
		remove_app(l, l->version - 1);
		remove_app(l, l->version - 2);
	}
	load_end(&kept, false);
	CLEANUP_FREE char *last = start_app(l, true);
	push(l, last, NULL, false);
	remove_app(l, l->version - 1);
	remove_app(l, l->version - 2);
}

static void replicas_share_the_load(struct live *l)
{
	char body[256];
	int seen[2] = {0};
	CLEANUP_FREE char *one = app_name(l, l->version);
	CLEANUP_FREE char *two = start_app(l, true);
	const char *extra[] = {two, NULL};
	push(l, one, extra, false);
	for (int i = 0; i < 60; i++) {
		assert_int_equal(get(l, "shop.test", "/", body), 200);
		seen[strtol(body + 1, NULL, 10) == l->version]++;
	}
	assert_true(seen[0] > 3);
	assert_true(seen[1] > 3);
	push(l, one, NULL, false);
	remove_app(l, l->version--);
}

/* The whole server's power cut: all killed, sockets left behind, the application up later. */
static void a_killed_proxy_comes_back_with_the_same_routes(struct live *l)
{
	char body[256], want[32];
	CLEANUP_FREE char *app = app_name(l, l->version);
	OK(docker_container_kill(l->host->docker, l->container, "KILL", &err));
	OK(docker_container_kill(l->host->docker, app, "KILL", &err));
	boot(l, PROXY_STARTED);
	get(l, "shop.test", "/", body); /* nobody there yet */
	OK(docker_container_start(l->host->docker, app, &err));
	snprintf(want, sizeof(want), "v%d", l->version);
	for (int i = 0; i < 100 && !str_eq(body, want); i++) {
		get(l, "shop.test", "/", body);
		usleep(50000);
	}
	assert_string_equal(body, want);
}

static void a_reboot_replaces_the_container(struct live *l)
{
	char body[256];
	struct proxy_reboot_result result;
	strvec_push(&l->hosts, "www.shop.test");
	OK(proxy_reboot(l->host, &l->config, 5000, &result, &err));
	print_message("# %s: reboot, %d ms without the port\n", l->image, result.gap_ms);
	assert_null(result.refused);
	assert_int_equal(get(l, "shop.test", "/", body), 200);
	boot(l, PROXY_UNCHANGED);
	/* A server that cannot hold connections back is told of, and its proxy rebooted too. */
	char other[] = "riscv64", *own = l->host->info.architecture;
	l->host->info.architecture = other;
	OK(proxy_reboot(l->host, &l->config, 5000, &result, &err));
	l->host->info.architecture = own;
	assert_string_equal(result.refused, "its processor (riscv64) is another one than here");
	free(result.refused);
	assert_int_equal(get(l, "shop.test", "/", body), 200);
}

static void all_of(const char *driver, const char *image)
{
	struct live l;
	begin(&l, driver, image);
	if (!l.ready) {
		end(&l);
		skip();
	}
	an_interrupted_boot_is_the_next_ones(&l);
	boots_once_and_tells_drift(&l);
	char *name = start_app(&l, true);
	push(&l, name, NULL, false);
	free(name);
	switches_without_a_lost_request(&l);
	scaling_drains_too(&l);
	a_dead_container_is_refused_and_the_old_one_put_back(&l);
	a_refused_configuration_is_put_back(&l);
	a_hand_edited_fragment_is_told_and_mended(&l);
	maintenance_shows_a_page_and_goes_away(&l);
	replicas_share_the_load(&l);
	two_services_share_a_host(&l);
	a_killed_proxy_comes_back_with_the_same_routes(&l);
	a_reboot_replaces_the_container(&l);
	end(&l);
}

static const char *image_for(const char *driver, const char *otherwise, char buf[128])
{
	const char *all = getenv("DEPLOY_PROXY_IMAGES");
	const char *at = all ? strstr(all, driver) : NULL;
	if (!at || at[strlen(driver)] != '=') {
		return otherwise;
	}
	at += strlen(driver) + 1;
	snprintf(buf, 128, "%.*s", (int)strcspn(at, " "), at);
	return buf;
}

static void test_caddy(void **state)
{
	char buf[128];
	all_of("caddy", image_for("caddy", "caddy:2", buf));
}

static void test_nginx(void **state)
{
	char buf[128];
	all_of("nginx", image_for("nginx", "nginx:1", buf));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caddy),
		cmocka_unit_test(test_nginx),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
