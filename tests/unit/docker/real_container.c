/* SPDX-License-Identifier: MIT */
/* Containers on the real local daemon. */
#include "support.h"

#include "docker/exec.h"
#include "docker/network.h"
#include "docker/system.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/proc.h"

static struct docker *d;
static const char *image;
static const char *missing;

static int setup(void **state)
{
	(void)state;
	missing = support_missing();
	if (!missing) {
		d = support_docker();
		image = support_name("image");
		support_image(d, image);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (d) {
		struct error ignored = {0};
		if (docker_image_remove(d, image, true, false, &ignored) != 0) {
			print_message("# left: %s\n", ignored.text);
		}
		docker_free(d);
	}
	return 0;
}

static void need_daemon(void)
{
	if (missing) {
		print_message("# skipped: %s\n", missing);
		skip();
	}
}

static void fill_spec(struct docker_container_spec *s, const char *name, const char *script)
{
	s->name = xstrdup(name);
	s->image = xstrdup(image);
	if (script) {
		strvec_push(&s->cmd, "sh");
		strvec_push(&s->cmd, "-c");
		strvec_push(&s->cmd, script);
	}
	s->stop_timeout = 1;
	s->network = xstrdup("none"); /* the default bridge may be in no good order */
}

static void remove_it(const char *name)
{
	struct error err = {0};
	OK(docker_container_remove(d, name, true, true, &err), err);
}

static void a_container_lives_from_create_to_remove(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	const char *name = support_name("life");
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	CLEANUP_FREE char *id = NULL;
	fill_spec(&s, name, "trap 'exit 3' TERM; while :; do sleep 0.05; done");
	strmap_set(&s.labels, "role", "web");
	strmap_set(&s.env, "A", "1");
	static const char pem[] = "-----\nl\"i'n$e\n\t-----\n";
	secret_map_set(&s.secret_env, "PEM", secret_new(pem, strlen(pem)));
	OK(docker_container_create(d, &s, &id, &err), err);
	OK(docker_container_start(d, name, &err), err);
	OK(docker_container_start(d, name, &err), err); /* again: is success */
	struct docker_container c = {0};
	OK(docker_container_inspect(d, name, &c, &err), err);
	assert_string_equal(c.id, id);
	assert_string_equal(c.name, name);
	assert_string_equal(c.state, "running");
	assert_true(c.running && c.pid > 0);
	assert_string_equal(strmap_get(&c.labels, "role"), "web");
	assert_string_equal(strmap_get(&c.labels, "made-by"), "unit");
	assert_true(strvec_has(&c.env, "A=1"));
	assert_true(strvec_has(&c.env, "PEM=-----\nl\"i'n$e\n\t-----\n"));
	assert_int_equal(c.networks.len, 1);
	assert_string_equal(c.networks.p[0].name, "none");
	docker_container_fini(&c);
	clock_sleep_ms(100); /* the trap is set */
	OK(docker_container_stop(d, name, 5, &err), err);
	OK(docker_container_stop(d, name, 5, &err), err);
	OK(docker_container_kill(d, name, "TERM", &err), err); /* not running: success */
	OK(docker_container_inspect(d, name, &c, &err), err);
	assert_int_equal(c.exit_code, 3);
	assert_string_equal(c.state, "exited");
	docker_container_fini(&c);
	const char *other = support_name("life2");
	OK(docker_container_rename(d, name, other, &err), err);
	OK(docker_container_update_restart(d, other, "unless-stopped", 0, &err), err);
	OK(docker_container_remove(d, other, false, true, &err), err);
	OK(docker_container_remove(d, other, false, true, &err), err);
	assert_int_equal(docker_container_inspect(d, other, &c, &err), -1);
	assert_int_equal(err.status, 404);
	assert_int_equal(err.kind, ERROR_REMOTE);
	assert_non_null(strstr(err.text, "inspect container '"));
	assert_null(strchr(err.text, '{'));
}

static void run_is_one_exchange(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	const char *name = support_name("run");
	const char *net = support_name("net");
	const char *net2 = support_name("net2");
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	CLEANUP_STRVEC struct strvec names = {0};
	CLEANUP_FREE char *id = NULL;
	struct docker_counters before, after;
	fill_spec(&s, name, "sleep 1000");
	free(s.network);
	s.network = xstrdup(net);
	strvec_push(&s.network_aliases, "app");
	strvec_push(&s.more_networks, net2);
	OK(docker_network_create(d, net2, true, NULL, &err), err);
	OK(docker_network_create(d, net, false, NULL, &err), err);
	OK(docker_network_create(d, net, false, NULL, &err), err); /* there already */
	docker_counters(d, &before);
	OK(docker_container_run(d, &s, &id, NULL, &err), err);
	docker_counters(d, &after);
	assert_int_equal(after.exchanges - before.exchanges, 1);
	assert_int_equal(after.requests - before.requests, 3);
	assert_int_equal(strlen(id), 64);
	struct docker_container c = {0};
	OK(docker_container_inspect(d, name, &c, &err), err);
	assert_true(c.running);
	assert_int_equal(c.networks.len, 2);
	assert_true(strvec_has(&c.networks.p[1].aliases, "app"));
	docker_container_fini(&c);
	struct docker_network n = {0};
	OK(docker_network_inspect(d, net, &n, &err), err);
	assert_int_equal(n.members.len, 1);
	assert_string_equal(n.members.p[0].name, name);
	assert_null(strchr(n.members.p[0].ipv4, '/'));
	assert_true(n.subnet[0] != '\0');
	docker_network_fini(&n);
	OK(docker_network_connect(d, net, name, NULL, &err), err); /* is connected */
	OK(docker_network_disconnect(d, net, name, true, &err), err);
	strvec_push(&names, name);
	strvec_push(&names, support_name("not-there"));
	docker_counters(d, &before);
	OK(docker_discard(d, &names, &names, &err), err);
	docker_counters(d, &after);
	assert_int_equal(after.exchanges - before.exchanges, 1);
	assert_int_equal(docker_container_inspect(d, name, &c, &err), -1);
	OK(docker_network_remove(d, net, &err), err);
	OK(docker_network_remove(d, net2, &err), err);
}

/* Another network of that name, which goes after half a second. */
static void make_twin(const char *net)
{
	struct error err = {0};
	CLEANUP_FREE char *body = xasprintf("{\"Name\": \"%s\"}", net);
	const char *argv[] = {"sh", "-c",
		"id=$(curl -sf --unix-socket /var/run/docker.sock "
		"-H 'Content-Type: application/json' -d \"$0\" http://d/networks/create | "
		"jq -er .Id) && { (sleep 0.5; docker network rm \"$id\") >/dev/null 2>&1 & }",
		body, NULL};
	struct proc_request twin = {.argv = argv, .timeout_ms = 10000};
	struct proc_result made = {0};
	OK(proc_run(&twin, NULL, NULL, &made, &err), err);
	assert_int_equal(made.status, 0);
}

/* As when two first pushes make the network at the same time, and the other is the slower one. */
static void start_waits_for_a_twin_of_its_network(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	const char *name = support_name("twin");
	const char *net = support_name("twin-net");
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	struct docker_lookup there = {.kind = DOCKER_LOOKUP_NETWORK, .name = net};
	struct docker_network found = {0};
	there.out = &found;
	fill_spec(&s, name, "sleep 1000");
	free(s.network);
	s.network = xstrdup(net);
	OK(docker_network_create(d, net, false, NULL, &err), err);
	OK(docker_container_create(d, &s, NULL, &err), err);
	make_twin(net);
	OK(docker_lookup(d, &there, 1, &err), err);
	assert_true(there.found);
	docker_network_fini(&found);
	OK(docker_container_start(d, name, &err), err);
	OK(docker_container_remove(d, name, true, true, &err), err);
	OK(docker_container_create(d, &s, NULL, &err), err);
	make_twin(net);
	OK(docker_container_update_start(d, name, "always", NULL, &err), err);
	OK(docker_container_remove(d, name, true, true, &err), err);
	make_twin(net);
	OK(docker_container_run(d, &s, NULL, NULL, &err), err);
	OK(docker_container_remove(d, name, true, true, &err), err);
	OK(docker_network_remove(d, net, &err), err);
}

static void run_that_does_not_start_says_so(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	const char *name = support_name("nostart");
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	fill_spec(&s, name, NULL);
	strvec_push(&s.cmd, "/no/such/file");
	assert_int_equal(docker_container_run(d, &s, NULL, NULL, &err), -1);
	assert_non_null(strstr(err.text, "start container"));
	assert_non_null(strstr(err.text, "/no/such/file"));
	remove_it(name);
	free(s.image);
	s.image = xstrdup("deploy-unit-no-such-image:1");
	err = (struct error){0};
	assert_int_equal(docker_container_run(d, &s, NULL, NULL, &err), -1);
	assert_int_equal(err.status, 404);
	assert_non_null(strstr(err.text, "create container"));
}

static void wait_sees_the_exit(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	const char *name = support_name("wait");
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	int code = -1;
	fill_spec(&s, name, "sleep 0.2; exit 42");
	OK(docker_container_create(d, &s, NULL, &err), err);
	struct docker_wait *w = docker_wait_open(d, name, DOCKER_WAIT_NEXT_EXIT, &err);
	assert_non_null(w);
	assert_int_equal(docker_wait_next(w, 0, &code, &err), 0);
	OK(docker_container_start(d, name, &err), err);
	assert_int_equal(docker_wait_next(w, 10000, &code, &err), 1);
	assert_int_equal(code, 42);
	docker_wait_close(w);
	remove_it(name);
}

static void logs_are_demultiplexed(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	const char *name = support_name("logs");
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	struct support_output o = SUPPORT_OUTPUT;
	int code;
	fill_spec(&s, name, "for i in 1 2 3; do echo out$i; echo err$i >&2; done");
	OK(docker_container_run(d, &s, NULL, NULL, &err), err);
	struct docker_wait *w = docker_wait_open(d, name, DOCKER_WAIT_NOT_RUNNING, &err);
	assert_int_equal(docker_wait_next(w, 10000, &code, &err), 1);
	docker_wait_close(w);
	OK(docker_container_logs(d, name, &(struct docker_logs_request){0}, support_sink, &o, &err),
		err);
	assert_string_equal(str_c(&o.out), "out1\nout2\nout3\n");
	assert_string_equal(str_c(&o.err), "err1\nerr2\nerr3\n");
	str_fini(&o.out);
	str_fini(&o.err);
	CLEANUP_STR struct str tail = STR_INIT(12);
	OK(docker_container_tail(d, name, 4, &tail, &err), err);
	assert_true(tail.len > 0 && tail.len <= 12);
	assert_non_null(strstr(str_c(&tail), "3\n"));
	remove_it(name);
}

static void a_tty_is_read_raw(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	const char *name = support_name("tty");
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	CLEANUP_STR struct str tail = STR_INIT(4096);
	int code;
	fill_spec(&s, name, "echo hello");
	s.tty = true;
	OK(docker_container_run(d, &s, NULL, NULL, &err), err);
	struct docker_wait *w = docker_wait_open(d, name, DOCKER_WAIT_NOT_RUNNING, &err);
	assert_int_equal(docker_wait_next(w, 10000, &code, &err), 1);
	docker_wait_close(w);
	OK(docker_container_tail(d, name, 4, &tail, &err), err);
	assert_string_equal(str_c(&tail), "hello\r\n");
	remove_it(name);
}

static void lookups_are_one_exchange(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	struct docker *fresh = support_docker();
	struct docker_filters filters = {0};
	struct docker_info info = {0};
	struct docker_container_list list = {0};
	struct docker_image img = {0};
	struct docker_network net = {0};
	struct docker_container none = {0};
	struct docker_counters n;
	vec_push(&filters, ((struct docker_filter){"label", "role=nobody"}));
	struct docker_lookup items[] = {
		{.kind = DOCKER_LOOKUP_INFO, .out = &info},
		{.kind = DOCKER_LOOKUP_CONTAINERS, .filters = &filters, .out = &list},
		{.kind = DOCKER_LOOKUP_IMAGE, .name = image, .out = &img},
		{.kind = DOCKER_LOOKUP_NETWORK, .name = "bridge", .out = &net},
		{.kind = DOCKER_LOOKUP_CONTAINER, .name = "deploy-unit-not-there", .out = &none},
	};
	OK(docker_lookup(fresh, items, 5, &err), err);
	docker_counters(fresh, &n);
	assert_int_equal(n.exchanges, 1);
	assert_int_equal(n.dials, 1);
	assert_int_equal(n.requests, 6); /* and the ping */
	assert_true(items[0].found && items[1].found && items[2].found && items[3].found);
	assert_false(items[4].found);
	assert_int_equal(items[4].err.kind, ERROR_NONE);
	assert_true(info.ncpu > 0 && info.memory > 0);
	assert_int_equal(list.len, 0);
	assert_int_equal(img.layers.len, 1);
	assert_string_equal(strmap_get(&img.labels, "made-by"), "unit");
	assert_true(docker_api(fresh) >= DOCKER_API_MIN);
	docker_info_fini(&info);
	docker_container_list_fini(&list);
	docker_image_fini(&img);
	docker_network_fini(&net);
	docker_container_fini(&none);
	vec_fini(&filters);
	docker_free(fresh);
}

static void top_stats_and_lists(void **state)
{
	(void)state;
	need_daemon();
	struct error err = {0};
	const char *name = support_name("stats");
	CLEANUP_DOCKER_SPEC struct docker_container_spec s = {0};
	struct docker_top top = {0};
	struct docker_stats stats = {0};
	struct docker_container_list list = {0};
	struct docker_filters filters = {0};
	fill_spec(&s, name, "sleep 1000");
	strmap_set(&s.labels, "unit", name);
	OK(docker_container_run(d, &s, NULL, NULL, &err), err);
	OK(docker_container_top(d, name, &top, &err), err);
	assert_true(top.titles.len > 0 && top.cells.len >= top.titles.len);
	docker_top_fini(&top);
	OK(docker_container_stats(d, name, true, &stats, &err), err);
	assert_true(stats.memory > 0);
	assert_true(stats.cpu_percent < 0); /* one sample only */
	CLEANUP_FREE char *label = xasprintf("unit=%s", name);
	vec_push(&filters, ((struct docker_filter){"label", label}));
	OK(docker_container_list(d, true, &filters, &list, &err), err);
	assert_int_equal(list.len, 1);
	assert_string_equal(list.p[0].name, name);
	assert_string_equal(list.p[0].state, "running");
	docker_container_list_fini(&list);
	vec_fini(&filters);
	remove_it(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_container_lives_from_create_to_remove),
		cmocka_unit_test(run_is_one_exchange),
		cmocka_unit_test(start_waits_for_a_twin_of_its_network),
		cmocka_unit_test(run_that_does_not_start_says_so),
		cmocka_unit_test(wait_sees_the_exit),
		cmocka_unit_test(logs_are_demultiplexed),
		cmocka_unit_test(a_tty_is_read_raw),
		cmocka_unit_test(lookups_are_one_exchange),
		cmocka_unit_test(top_stats_and_lists),
	};
	return cmocka_run_group_tests_name("docker containers", tests, setup, teardown);
}
