/* SPDX-License-Identifier: MIT */
/* Logging in: keys, agent, passphrases, host keys, jump hosts, hostile servers. */
#include "sshd.h"

#include "ssh/exec.h"
#include "ssh/fabric.h"
#include "util/cancel.h"
#include "util/thread.h"

#include <stdatomic.h>

/* libssh2 1.10 never frees the private exponent of an ECDSA key that it has read.  Its frames are
 * only seen by the slow unwinder. */
const char *__lsan_default_suppressions(void);
const char *__asan_default_options(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libssh2.so";
}

const char *__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}

static struct sshd server;
static bool have_sshd;
static struct error why;
static char paths[5][128]; /* keys: see below */
static struct strvec file[5];

enum { RSA, RSA_PEM, ECDSA, LOCKED, STRANGER };

static void authorize(const char *key)
{
	CLEANUP_FREE char *pub = xasprintf("%s.pub", key);
	CLEANUP_FREE char *list = xasprintf("%s/authorized_keys", server.dir);
	CLEANUP_STR struct str text = STR_INIT(65536);

	assert_int_equal(fs_read(list, &text, &why), 0);
	assert_int_equal(fs_read(pub, &text, &why), 0);
	assert_int_equal(fs_write_atomic(list, text.p, text.len, 0600, &why), 0);
}

static int start(void **state)
{
	static const char *const names[] = {"rsa", "pem", "ecdsa", "locked", "stranger"};

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	unsetenv("SSH_AUTH_SOCK");
	have_sshd = sshd_start(&server, NULL);
	if (!have_sshd) {
		return 0;
	}
	for (int i = 0; i < 5; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", server.dir, names[i]);
		strvec_push(&file[i], paths[i]);
	}
	make_key(paths[RSA], "rsa", "");
	const char *pem[] = {"ssh-keygen", "-q", "-t", "rsa", "-m", "PEM", "-N", "sesame", "-f",
		paths[RSA_PEM], NULL};
	assert_int_equal(run_program(pem), 0);
	make_key(paths[ECDSA], "ecdsa", "");
	make_key(paths[LOCKED], "ed25519", "sesame");
	make_key(paths[STRANGER], "ed25519", "");
	for (int i = RSA; i <= LOCKED; i++) {
		authorize(paths[i]);
	}
	return 0;
}

static pid_t agent;

static void agent_stop(void)
{
	if (agent > 0) {
		kill(agent, SIGKILL);
		waitpid(agent, NULL, 0);
		agent = 0;
	}
}

static int stop(void **state)
{
	(void)state;
	agent_stop();
	sshd_stop(&server);
	for (int i = 0; i < 5; i++) {
		strvec_fini(&file[i]);
	}
	return 0;
}

#define NEED_SSHD()                                                                                \
	do {                                                                                       \
		if (!have_sshd) {                                                                  \
			print_message("no %s here\n", SSHD);                                       \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

static void logs_in(const struct ssh_options *o)
{
	int status = -1;
	why = (struct error){0};
	struct ssh_session *s = sshd_open(o, &why);

	if (s == NULL) {
		fail_msg("%s\n%s", why.text, why.hint);
	}
	assert_int_equal(ssh_run(s, "true", NULL, 0, NULL, NULL, 10000, &status, &why), 0);
	assert_int_equal(status, 0);
	ssh_session_close(s);
}

static void is_refused(const struct ssh_options *o, const char *text)
{
	why = (struct error){0};
	struct ssh_session *s = sshd_open(o, &why);

	assert_null(s);
	assert_int_equal(why.kind, ERROR_CONNECT);
	assert_true(why.host[0] != '\0');
	if (strstr(why.text, text) == NULL) {
		fail_msg("'%s' is not in: %s", text, why.text);
	}
}

static void key_files_log_in(void **state)
{
	(void)state;
	NEED_SSHD();
	struct ssh_options o = sshd_options(&server);
	logs_in(&o);
	o.key_files = &file[RSA];
	logs_in(&o);
	o.key_files = &file[ECDSA];
	logs_in(&o);
}

static void key_data_logs_in(void **state)
{
	CLEANUP_STR struct str text = STR_INIT(65536);
	struct ssh_secret_vec keys = {0};

	(void)state;
	NEED_SSHD();
	assert_int_equal(fs_read(server.key, &text, &why), 0);
	struct secret *key = secret_new(text.p, text.len);
	vec_push(&keys, key);
	struct ssh_options o = sshd_options(&server);
	o.key_files = NULL;
	o.key_data = &keys;
	logs_in(&o);
	secret_unref(key);
	vec_fini(&keys);
}

static void stranger_is_refused(void **state)
{
	(void)state;
	NEED_SSHD();
	struct ssh_options o = sshd_options(&server);
	o.key_files = &file[STRANGER];
	is_refused(&o, "stranger");
	assert_true(why.hint[0] != '\0');
	struct strvec none = {0};
	strvec_push(&none, "/nowhere/key");
	o.key_files = &none;
	is_refused(&o, "no key");
	strvec_fini(&none);
	/* A wrong one first does no harm. */
	struct strvec two = {0};
	strvec_push(&two, paths[STRANGER]);
	strvec_push(&two, server.key);
	o.key_files = &two;
	logs_in(&o);
	strvec_fini(&two);
}

struct asker {
	const char *const *answers;
	int asked;
};

static struct secret *ask(void *ctx, const char *key_file)
{
	struct asker *a = ctx;
	const char *answer = a->answers[a->asked++];

	assert_non_null(key_file);
	return answer != NULL ? secret_new(answer, strlen(answer)) : NULL;
}

static void passphrase_is_asked(void **state)
{
	static const char *const right[] = {"sesame", NULL};
	static const char *const second[] = {"wrong", "sesame", NULL};
	static const char *const never[] = {"a", "b", "c", NULL};
	struct asker a = {.answers = right};

	(void)state;
	NEED_SSHD();
	struct ssh_options o = sshd_options(&server);
	o.key_files = &file[LOCKED];
	is_refused(&o, "encrypted");
	o.ask_passphrase = ask;
	o.ctx = &a;
	logs_in(&o);
	assert_int_equal(a.asked, 1);
	a = (struct asker){.answers = second};
	logs_in(&o);
	assert_int_equal(a.asked, 2);
	a = (struct asker){.answers = never};
	is_refused(&o, "wrong passphrase");
	assert_int_equal(a.asked, 3);
	a = (struct asker){.answers = never + 3};
	is_refused(&o, "no passphrase");
	o.key_files = &file[RSA_PEM];
	a = (struct asker){.answers = right};
	logs_in(&o);
}

static void agent_logs_in(void **state)
{
	char sock[128];

	(void)state;
	NEED_SSHD();
	snprintf(sock, sizeof(sock), "%s/agent", server.dir);
	agent = fork();
	if (agent == 0) {
		close(STDOUT_FILENO);
		execlp("ssh-agent", "ssh-agent", "-D", "-a", sock, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && !fs_exists(sock); i++) {
		usleep(10000);
	}
	CLEANUP_FREE char *env = xasprintf("SSH_AUTH_SOCK=%s", sock);
	const char *envp[] = {env, NULL};
	const char *add[] = {"ssh-add", "-q", paths[STRANGER], paths[RSA], NULL};
	struct proc_request req = {.argv = add, .env = envp, .timeout_ms = 10000};
	struct proc_result result;
	assert_int_equal(proc_run(&req, NULL, NULL, &result, &why), 0);
	assert_int_equal(result.status, 0);
	setenv("SSH_AUTH_SOCK", sock, 1);
	struct ssh_options o = sshd_options(&server);
	o.keys_only = false;
	o.key_files = NULL;
	setenv("HOME", "/nonexistent", 1);
	logs_in(&o); /* with the agent's RSA key, after its other one was refused */
	/* keys_only: the agent's key counts only when its file is named. */
	o.keys_only = true;
	o.key_files = &file[STRANGER];
	is_refused(&o, "from the agent");
	o.key_files = &file[RSA];
	logs_in(&o);
	unsetenv("SSH_AUTH_SOCK");
	agent_stop();
	/* A socket nobody listens on is no obstacle. */
	setenv("SSH_AUTH_SOCK", sock, 1);
	o.keys_only = false;
	logs_in(&o);
	unsetenv("SSH_AUTH_SOCK");
}

static void host_keys_are_checked(void **state)
{
	CLEANUP_FREE char *fresh = xasprintf("%s/fresh_known", server.dir);
	CLEANUP_FREE char *changed = xasprintf("%s/changed_known", server.dir);
	CLEANUP_FREE char *pub = xasprintf("%s.pub", paths[STRANGER]);
	CLEANUP_STR struct str text = STR_INIT(65536);

	(void)state;
	NEED_SSHD();
	struct ssh_options o = sshd_options(&server);
	o.known_hosts = fresh;
	is_refused(&o, "not known");
	o.host_key_check = SSH_HOST_KEY_ACCEPT_NEW;
	logs_in(&o);
	o.host_key_check = SSH_HOST_KEY_STRICT;
	logs_in(&o);
	str_addf(&text, "[127.0.0.1]:%d ", server.port);
	assert_int_equal(fs_read(pub, &text, &why), 0);
	assert_int_equal(fs_write_atomic(changed, text.p, text.len, 0600, &why), 0);
	o.known_hosts = changed;
	o.host_key_check = SSH_HOST_KEY_ACCEPT_NEW;
	is_refused(&o, "CHANGED");
}

static void known_type_is_preferred(void **state)
{
	struct sshd other;
	char conf[300];
	char host[128];
	struct error err = {0};
	CLEANUP_STR struct str text = STR_INIT(65536);

	(void)state;
	NEED_SSHD();
	snprintf(host, sizeof(host), "%s/host_ecdsa", server.dir);
	make_key(host, "ecdsa", "");
	snprintf(conf, sizeof(conf), "HostKey %s\n", host);
	assert_true(sshd_start(&other, conf));
	/* Only the ecdsa key is known, and the server has both. */
	CLEANUP_FREE char *pub = xasprintf("%s.pub", host);
	CLEANUP_FREE char *known = xasprintf("%s/ecdsa_known", server.dir);
	str_addf(&text, "[127.0.0.1]:%d ", other.port);
	assert_int_equal(fs_read(pub, &text, &err), 0);
	assert_int_equal(fs_write_atomic(known, text.p, text.len, 0600, &err), 0);
	struct ssh_options o = sshd_options(&other);
	o.known_hosts = known;
	logs_in(&o);
	sshd_stop(&other);
}

/* Servers that are none: named fakes. */
struct fake {
	int fd;
	int port;
	const char *text;
	bool endless;
	pthread_t thread;
};

static void *fake_main(void *arg)
{
	struct fake *f = arg;
	int fd = accept(f->fd, NULL, NULL);

	if (fd >= 0) {
		do {
			if (f->text == NULL) {
				char c;
				while (read(fd, &c, 1) > 0) {
				}
				break;
			}
		} while (fd_write_all(fd, f->text, strlen(f->text)) == 0 && f->endless);
		close(fd);
	}
	return NULL;
}

static void against(const char *text, bool endless, int timeout_ms, const char *expect)
{
	struct fake f = {.text = text, .endless = endless};

	f.fd = listen_loopback(&f.port);
	assert_int_equal(thread_start(&f.thread, fake_main, &f), 0);
	struct ssh_options o = sshd_options(&server);
	o.port = f.port;
	o.connect_timeout_ms = timeout_ms;
	int64_t begin = clock_mono_ms();
	is_refused(&o, expect);
	assert_true(clock_mono_ms() - begin < timeout_ms + 1500);
	close(f.fd);
	pthread_join(f.thread, NULL);
}

static void hostile_servers_are_bounded(void **state)
{
	(void)state;
	NEED_SSHD();
	against(NULL, false, 300, "no answer");
	against("", false, 1000, "handshake");
	against("HTTP/1.0 400 Bad Request\r\n\r\n", false, 5000, "no SSH server");
	against("a line before the version\r\n", true, 20000, "without end");
	against("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", true, 20000,
		"without end");
	against("SSH-2.0-x\r\n\xff\xff\xff\xff garbage garbage", false, 5000, "");
	against("SSH-2.0-x\r\n", true, 20000, "");
}

static void nobody_listens(void **state)
{
	(void)state;
	NEED_SSHD();
	struct ssh_options o = sshd_options(&server);
	o.port = free_port();
	is_refused(&o, "onnection refused");
	o.host = "no-such-host.invalid";
	is_refused(&o, "cannot find the address");
}

static void *cancel_soon(void *arg)
{
	(void)arg;
	usleep(100000);
	cancel_now();
	return NULL;
}

static void connecting_can_be_cancelled(void **state)
{
	struct fake f = {0};
	pthread_t t;

	(void)state;
	NEED_SSHD();
	f.fd = listen_loopback(&f.port);
	assert_int_equal(thread_start(&f.thread, fake_main, &f), 0);
	struct ssh_options o = sshd_options(&server);
	o.port = f.port;
	assert_int_equal(thread_start(&t, cancel_soon, NULL), 0);
	int64_t begin = clock_mono_ms();
	why = (struct error){0};
	assert_null(sshd_open(&o, &why));
	assert_int_equal(why.kind, ERROR_INTERRUPTED);
	assert_true(clock_mono_ms() - begin < 2000);
	pthread_join(t, NULL);
	cancel_reset();
	close(f.fd);
	pthread_join(f.thread, NULL);
}

static void jumps_are_shared(void **state)
{
	struct sshd hop;
	char chain[256];

	(void)state;
	NEED_SSHD();
	assert_true(sshd_start(&hop, NULL));
	/* One set of keys and known hosts for all: as a manifest has it. */
	CLEANUP_FREE char *known = xasprintf("%s/all_known", server.dir);
	struct strvec keys = {0};
	strvec_push(&keys, server.key);
	strvec_push(&keys, hop.key);
	snprintf(chain, sizeof(chain), "%s@127.0.0.1:%d,%s@localhost:%d", hop.user, hop.port,
		server.user, server.port);
	struct ssh_options o = sshd_options(&server);
	o.key_files = &keys;
	o.known_hosts = known;
	o.host_key_check = SSH_HOST_KEY_ACCEPT_NEW;
	o.jump = chain;
	struct ssh_fabric *f = ssh_fabric_new(0);
	struct error err = {0};
	struct ssh_session *a = ssh_fabric_connect(f, &o, &err);
	if (a == NULL) {
		fail_msg("%s", err.text);
	}
	struct ssh_session *b = ssh_fabric_connect(f, &o, &err);
	assert_ptr_equal(a, b);
	int status = -1;
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_REPLY);
	assert_int_equal(
		ssh_run(a, "head -c 5000000 /dev/zero", NULL, 0, &out, NULL, 10000, &status, &err),
		0);
	assert_int_equal(out.len, 5000000);
	/* The first hop dies: what goes through it dies too, and says so. */
	sshd_kill(&hop);
	for (int i = 0; i < 300 && ssh_session_alive(a); i++) {
		usleep(10000);
	}
	assert_false(ssh_session_alive(a));
	assert_null(ssh_fabric_connect(f, &o, &err));
	assert_int_equal(err.kind, ERROR_CONNECT);
	assert_non_null(strstr(err.text, "jump host"));
	ssh_fabric_free(f);
	strvec_fini(&keys);
	sshd_stop(&hop);
}

static void proxy_command_is_run(void **state)
{
	char conf[] = "/tmp/deploy-config.XXXXXX";
	CLEANUP_STR struct str text = STR_INIT(4096);

	(void)state;
	NEED_SSHD();
	if (access("/usr/bin/ssh", X_OK) < 0 || access("/bin/bash", X_OK) < 0) {
		skip();
	}
	int fd = mkstemp(conf);
	str_addf(&text,
		"Host hidden\n  HostName 127.0.0.1\n  ProxyCommand bash -c 'exec "
		"3<>/dev/tcp/%%h/%d; cat <&3 & cat >&3'\n",
		server.port);
	assert_int_equal(fd_write_all(fd, text.p, text.len), 0);
	close(fd);
	struct ssh_options o = sshd_options(&server);
	o.host = "hidden";
	o.no_config = false;
	o.config_file = conf;
	logs_in(&o);
	unlink(conf);
}

struct crowd {
	struct ssh_fabric *fabric;
	struct ssh_options options[40];
	char users[40][64];
	atomic_int failed;
};

static void join_crowd(void *ctx, size_t i)
{
	struct crowd *c = ctx;
	struct error err = {0};
	int status = -1;
	struct ssh_session *s = ssh_fabric_connect(c->fabric, &c->options[i], &err);

	if (s == NULL || ssh_run(s, "true", NULL, 0, NULL, NULL, 20000, &status, &err) < 0 ||
		status != 0) {
		print_message("%s\n", err.text);
		atomic_fetch_add(&c->failed, 1);
	}
}

static void many_hosts_connect_at_once(void **state)
{
	static struct crowd c;

	(void)state;
	NEED_SSHD();
	/* 40 names of one address (127.0.0.N): more than MaxStartups would bear at once. */
	struct ssh_options o = sshd_options(&server);
	CLEANUP_FREE char *known = xasprintf("%s/crowd_known", server.dir);
	o.known_hosts = known;
	o.host_key_check = SSH_HOST_KEY_ACCEPT_NEW;
	c.fabric = ssh_fabric_new(0);
	for (int i = 0; i < 40; i++) {
		c.options[i] = o;
		/* Two names, so that sessions are shared too. */
		c.options[i].host = i % 2 ? "127.0.0.1" : "localhost";
	}
	pool_run(40, 40, join_crowd, &c);
	assert_int_equal(c.failed, 0);
	struct error err = {0};
	struct ssh_session *s = ssh_fabric_connect(c.fabric, &c.options[0], &err);
	/* The 20 who share it have it until the last one gives it back. */
	for (int i = 0; i < 20; i++) {
		ssh_fabric_release(c.fabric, s);
		assert_true(ssh_session_alive(s));
	}
	ssh_fabric_release(c.fabric, s);
	join_crowd(&c, 0); /* a new one */
	assert_int_equal(c.failed, 0);
	ssh_fabric_free(c.fabric);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_files_log_in),
		cmocka_unit_test(key_data_logs_in),
		cmocka_unit_test(stranger_is_refused),
		cmocka_unit_test(passphrase_is_asked),
		cmocka_unit_test(host_keys_are_checked),
		cmocka_unit_test(known_type_is_preferred),
		cmocka_unit_test(hostile_servers_are_bounded),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(connecting_can_be_cancelled),
		cmocka_unit_test(jumps_are_shared),
		cmocka_unit_test(proxy_command_is_run),
		cmocka_unit_test(many_hosts_connect_at_once),
		cmocka_unit_test(agent_logs_in),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
