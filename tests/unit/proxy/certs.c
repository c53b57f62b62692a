/* SPDX-License-Identifier: MIT */
/* Which given certificates stay on a server, by a real SFTP server. */
#include "../../../src/proxy/internal.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SFTP_SERVER "/usr/lib/openssh/sftp-server"

static struct host host;
static char home[] = "/tmp/deploy-certs-XXXXXX";
static pid_t server;

static int start(void **state)
{
	(void)state;
	int pair[2];
	if (access(SFTP_SERVER, X_OK) < 0) {
		return 0;
	}
	assert_non_null(mkdtemp(home));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	server = fork();
	if (server == 0) {
		dup2(pair[1], 0);
		dup2(pair[1], 1);
		execl(SFTP_SERVER, SFTP_SERVER, (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	host.name = home;
	host.sftp = ssh_sftp_new(pair[0]);
	host.state_dir = home;
	pthread_mutex_init(&host.files_lock, NULL);
	return 0;
}

static struct sftp_batch *batch(void)
{
	return sftp_batch_new(host.sftp);
}

static void run(struct sftp_batch *b)
{
	struct error err = {0};
	if (sftp_run(b, 10000, &err) < 0 || sftp_check(b, &err) < 0) {
		fail_msg("%s", err.text);
	}
	sftp_batch_free(b);
}

static int stop(void **state)
{
	(void)state;
	if (host.sftp) {
		struct sftp_batch *b = batch();
		sftp_rmtree(b, home, 100);
		run(b);
		ssh_sftp_close(host.sftp);
		waitpid(server, NULL, 0);
	}
	return 0;
}

/* As after proxy_open(): the list is read. */
static struct proxy *service(const char *name)
{
	struct proxy_config pc = {.driver = "nginx"};
	struct error err = {0};
	struct proxy *p = proxy_new(&host, &pc, name, NULL, &err);
	assert_non_null(p);
	CLEANUP_FREE char *dir = proxy_path(p, "certs");
	struct sftp_batch *b = batch();
	sftp_mkdirs(b, dir, 0700);
	run(b);
	b = batch();
	struct sftp_op *list = sftp_list(b, dir, PROXY_MAX_CERTS);
	assert_int_equal(sftp_run(b, 10000, &err), 0);
	proxy_certs_take(p, list);
	sftp_batch_free(b);
	return p;
}

static void put_file(const struct proxy *p, const char *name)
{
	CLEANUP_FREE char *relative = xasprintf("certs/%s", name);
	CLEANUP_FREE char *path = proxy_path(p, relative);
	struct sftp_batch *b = batch();
	sftp_write(b, path, "x", 1, 0600);
	run(b);
}

static void put(struct proxy *p, const char *digest)
{
	struct secret *pem = secret_new("x", 1);
	struct proxy_service svc = {.tls = CONFIG_TLS_GIVEN,
		.certificate = pem,
		.private_key = pem,
		.certificate_digest = digest};
	struct sftp_batch *b = batch();
	proxy_certs_write(p, b, &svc);
	run(b);
	secret_unref(pem);
}

static void live(struct proxy *p, const char *digest)
{
	proxy_state_fini(&p->state);
	p->state.present = true;
	p->state.certificate = xstrdup(digest);
}

static void prune(struct proxy *p)
{
	struct error err = {0};
	if (proxy_prune(p, &err) < 0) {
		fail_msg("%s", err.text);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct sftp_entry *)a)->name, ((const struct sftp_entry *)b)->name);
}

/* The files, sorted, with the services' marks as their names. */
static void lie(struct proxy *a, struct proxy *b, const char *want)
{
	CLEANUP_FREE char *dir = proxy_path(a, "certs");
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_LINE);
	struct error err = {0};
	struct sftp_batch *batch_ = batch();
	struct sftp_op *list = sftp_list(batch_, dir, 100);
	assert_int_equal(sftp_run(batch_, 10000, &err), 0);
	qsort(list->entries.p, list->entries.len, sizeof(*list->entries.p), by_name);
	for (int marks = 0; marks < 2; marks++) {
		VEC_FOREACH (&list->entries, i) {
			const char *name = list->entries.p[i].name, *dot = strrchr(name, '.');
			const char *of = str_eq(dot + 1, a->sid)   ? "a"
					 : str_eq(dot + 1, b->sid) ? "b"
								   : NULL;
			if (marks == (of != NULL)) {
				str_addf(&out, "%s%.*s%s", out.len ? " " : "",
					(int)(dot + 1 - name), name, of ? of : dot + 1);
			}
		}
	}
	assert_string_equal(str_c(&out), want);
	sftp_batch_free(batch_);
}

static void test_what_stays(void **state)
{
	(void)state;
	if (!host.sftp) {
		print_message("no %s here\n", SFTP_SERVER);
		skip();
	}
	struct proxy *a = service("shop"), *b = service("blog");
	put_file(a, "default.crt");
	put(a, "d1");
	put(b, "d1");
	live(a, "d1");
	prune(a);
	lie(a, b, "d1.crt d1.key default.crt d1.a d1.b");

	/* Renewed by the one: the other still has it, though its fragment does not say so yet. */
	put(a, "d2");
	live(a, "d2");
	prune(a);
	lie(a, b, "d1.crt d1.key d2.crt d2.key default.crt d1.b d2.a");

	/* Nothing goes while nothing tells what is served. */
	put(b, "d3");
	prune(b);
	lie(a, b, "d1.crt d1.key d2.crt d2.key d3.crt d3.key default.crt d1.b d2.a d3.b");
	live(b, "d3");
	prune(b);
	lie(a, b, "d2.crt d2.key d3.crt d3.key default.crt d2.a d3.b");
	proxy_close(a);

	/* Of a tool that was killed while it wrote, or before it switched. */
	put_file(b, ".d4.key.tmp-0123456789abcdef");
	a = service("shop");
	put(a, "d4");
	put(a, "d5");
	proxy_close(a);
	a = service("shop");
	live(a, "d2");
	prune(a);
	lie(a, b, "d2.crt d2.key d3.crt d3.key default.crt d2.a d3.b");

	/* From before the marks; and another's, which has none. */
	put_file(a, "d6.key");
	put_file(a, "d7.key");
	struct proxy_other other = {.key = xstrdup("blog")};
	other.state.certificate = xstrdup("d7");
	vec_push(&a->others, other);
	put(a, "d7");
	strvec_push(&a->certs, "d6");
	live(a, "");
	prune(a);
	lie(a, b, "d3.crt d3.key d7.crt d7.key default.crt d3.b d7.a");
	proxy_close(a);
	proxy_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_stays)};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, start, stop);
}
