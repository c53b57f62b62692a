/* SPDX-License-Identifier: MIT */
/* From a host as written to where and how to connect. */
#include "sshd.h"

#include "ssh/exec.h"
#include "ssh/target.h"

#include "../../../src/ssh/config_cache.h"

static struct error why;

static void hosts_are_split(void **state)
{
	static const struct {
		const char *text;
		const char *user;
		const char *host;
		int port;
	} cases[] = {
		{"example.com", NULL, "example.com", 0},
		{"deploy@example.com:2121", "deploy", "example.com", 2121},
		{"ssh://deploy@example.com:22/", "deploy", "example.com", 22},
		{"[2001:db8::1]:2222", NULL, "2001:db8::1", 2222},
		{"2001:db8::1", NULL, "2001:db8::1", 0},
		{"u@[::1]", "u", "::1", 0},
	};
	static const char *const bad[] = {"", "-oProxyCommand=x", "u@-x", "-u@x", "a b", "x:0",
		"x:65536", "x:", "x:1x", "a;b", "a$(b)", "[::1", "[::1]x", "@x", "u@", "a\nb",
		"ssh://", "a`b`", "x:-1"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_FREE char *user = NULL;
		CLEANUP_FREE char *host = NULL;
		int port;
		assert_int_equal(ssh_host_split(cases[i].text, &user, &host, &port, &why), 0);
		assert_true(str_eq(user, cases[i].user));
		assert_string_equal(host, cases[i].host);
		assert_int_equal(port, cases[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *user;
		char *host;
		int port;
		if (ssh_host_split(bad[i], &user, &host, &port, &why) == 0) {
			fail_msg("'%s' was taken", bad[i]);
		}
	}
}

static void config_is_parsed(void **state)
{
	static const char text[] =
		"host app\nuser deploy\nhostname app.example.com\nport 2222\n"
		"identityfile ~/.ssh/id_ed25519\nidentityfile \"/with space/key\"\n"
		"identitiesonly yes\nproxyjump a,b@c:3\nproxycommand none\nidentityagent none\n"
		"userknownhostsfile /one /two\nglobalknownhostsfile none\n"
		"stricthostkeychecking accept-new\nhostkeyalias known\nhashknownhosts yes\n"
		"connecttimeout 7\nserveraliveinterval 20\nunheard of\nlonely\n";
	struct ssh_target t = {0};

	(void)state;
	setenv("HOME", "/home/me", 1);
	assert_int_equal(ssh_config_parse(text, sizeof(text) - 1, &t, &why), 0);
	assert_string_equal(t.hostname, "app.example.com");
	assert_string_equal(t.user, "deploy");
	assert_int_equal(t.port, 2222);
	assert_int_equal(t.identity_files.len, 2);
	assert_string_equal(t.identity_files.p[0], "/home/me/.ssh/id_ed25519");
	assert_string_equal(t.identity_files.p[1], "/with space/key");
	assert_true(t.identities_only);
	assert_int_equal(t.jumps.len, 2);
	assert_string_equal(t.jumps.p[1], "b@c:3");
	assert_null(t.proxy_command);
	assert_null(t.agent);
	assert_int_equal(t.known_hosts.len, 2);
	assert_int_equal(t.global_known_hosts.len, 0);
	assert_int_equal(t.host_key_check, SSH_HOST_KEY_ACCEPT_NEW);
	assert_string_equal(t.host_key_alias, "known");
	assert_true(t.hash_known_hosts);
	assert_int_equal(t.connect_timeout_ms, 7000);
	assert_int_equal(t.keepalive_ms, 20000);
	/* Every cut of it is survived. */
	for (size_t n = 0; n < sizeof(text); n++) {
		struct ssh_target cut = {0};
		char *copy = malloc(n > 0 ? n : 1);
		memcpy(copy, text, n);
		struct error ignored = {0};
		if (ssh_config_parse(copy, n, &cut, &ignored) < 0) {
			assert_int_equal(ignored.kind, ERROR_CONNECT);
		}
		free(copy);
		ssh_target_fini(&cut);
	}
	ssh_target_fini(&t);
}

static void nonsense_is_refused(void **state)
{
	static const char *const bad[] = {
		"port x\n", "port 0\n", "port 70000\n", "connecttimeout -3\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ssh_target t = {0};
		assert_int_equal(ssh_config_parse(bad[i], strlen(bad[i]), &t, &why), -1);
		ssh_target_fini(&t);
	}
	struct ssh_target t = {0};
	assert_int_equal(ssh_config_parse("user a\0b\n", 9, &t, &why), -1);
	ssh_target_fini(&t);
}

static void options_go_over_ssh_config(void **state)
{
	char path[] = "/tmp/deploy-config.XXXXXX";
	static const char text[] = "Host app\n  HostName 192.0.2.1\n  User conf\n  Port 2222\n"
				   "  ProxyJump hop@192.0.2.9\n  IdentityFile /conf/key\n"
				   "Host *\n  UserKnownHostsFile /conf/known\n";
	struct strvec keys = {0};
	struct ssh_target t;
	int fd = mkstemp(path);

	(void)state;
	if (access("/usr/bin/ssh", X_OK) < 0) {
		print_message("no /usr/bin/ssh here\n");
		skip();
	}
	assert_int_equal(fd_write_all(fd, text, sizeof(text) - 1), 0);
	close(fd);
	struct ssh_options o = {.host = "app", .config_file = path};
	assert_int_equal(ssh_target_resolve(&o, &t, &why), 0);
	assert_string_equal(t.host, "app");
	assert_string_equal(t.hostname, "192.0.2.1");
	assert_string_equal(t.user, "conf");
	assert_int_equal(t.port, 2222);
	assert_int_equal(t.jumps.len, 1);
	assert_string_equal(t.jumps.p[0], "hop@[192.0.2.9]");
	assert_string_equal(t.known_hosts.p[0], "/conf/known");
	assert_int_equal(t.connect_timeout_ms, 10000);
	ssh_target_fini(&t);
	strvec_push(&keys, "/mine");
	o = (struct ssh_options){.host = "app",
		.config_file = path,
		.user = "me",
		.port = 22,
		.jump = "none",
		.key_files = &keys,
		.keys_only = true,
		.known_hosts = "/mine/known",
		.connect_timeout_ms = 1234};
	assert_int_equal(ssh_target_resolve(&o, &t, &why), 0);
	assert_string_equal(t.user, "me");
	assert_int_equal(t.port, 22);
	assert_int_equal(t.jumps.len, 0);
	assert_int_equal(t.identity_files.len, 1);
	assert_string_equal(t.identity_files.p[0], "/mine");
	assert_true(t.identities_only);
	assert_int_equal(t.known_hosts.len, 1);
	assert_int_equal(t.connect_timeout_ms, 1234);
	ssh_target_fini(&t);
	o = (struct ssh_options){.host = "app", .config_file = "/nowhere/config"};
	assert_int_equal(ssh_target_resolve(&o, &t, &why), -1);
	assert_string_equal(why.host, "app");
	unlink(path);
	strvec_fini(&keys);
}

static void general_configuration_is_told(void **state)
{
	static const struct {
		const char *text;
		bool general;
	} cases[] = {
		{"", true},
		{"# Host x\nHost *\n  SendEnv LANG\n", true},
		{"User deploy\nPort=2222\n", true},
		{"host app\n", false},
		{"  HOST=app*\n", false},
		{"Match host x\n", false},
		{"Match all\n", true},
		{"ProxyCommand nc %h %p\n", false},
		{"HostName example.com\n", false},
		{"HostKeyAlias x\n", true},
		{"CanonicalizeHostname yes\n", false},
		{"Include conf.d/*\n", true},
		{"Include %d/x\n", false},
		{"Host *\r\n", true},
		{"Host * !bad\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct strvec includes = {0};
		bool general =
			ssh_config_is_general(cases[i].text, strlen(cases[i].text), &includes);
		if (general != cases[i].general) {
			fail_msg("%s", cases[i].text);
		}
		strvec_fini(&includes);
	}
}

static void one_answer_serves_all_hosts(void **state)
{
	char path[] = "/tmp/deploy-config.XXXXXX";
	static const char general[] = "User conf\nPort 2222\n";
	static const char particular[] = "Host two\n  Port 3333\nHost *\n  Port 2222\n";
	struct ssh_target t;
	int fd = mkstemp(path);

	(void)state;
	if (access("/usr/bin/ssh", X_OK) < 0) {
		skip();
	}
	assert_int_equal(fd_write_all(fd, general, sizeof(general) - 1), 0);
	struct ssh_config_cache *c = ssh_config_cache_new();
	struct ssh_options one = {.host = "one", .config_file = path};
	struct ssh_options two = {.host = "two", .config_file = path};
	struct ssh_options other = {.host = "two", .config_file = path, .user = "me"};
	assert_int_equal(ssh_target_resolve_cached(&one, c, &t, &why), 0);
	ssh_target_fini(&t);
	close(fd);
	unlink(path); /* nobody asks again */
	assert_int_equal(ssh_target_resolve_cached(&two, c, &t, &why), 0);
	assert_string_equal(t.hostname, "two");
	assert_string_equal(t.user, "conf");
	assert_int_equal(t.port, 2222);
	ssh_target_fini(&t);
	assert_int_equal(ssh_target_resolve_cached(&other, c, &t, &why), -1);
	ssh_config_cache_free(c);

	c = ssh_config_cache_new();
	assert_int_equal(fs_write_atomic(path, particular, sizeof(particular) - 1, 0600, &why), 0);
	assert_int_equal(ssh_target_resolve_cached(&one, c, &t, &why), 0);
	assert_int_equal(t.port, 2222);
	ssh_target_fini(&t);
	assert_int_equal(ssh_target_resolve_cached(&two, c, &t, &why), 0);
	assert_int_equal(t.port, 3333);
	ssh_target_fini(&t);
	ssh_config_cache_free(c);
	unlink(path);
}

static void words_are_quoted(void **state)
{
	CLEANUP_STR struct str s = STR_INIT(1000);

	(void)state;
	ssh_quote(&s, "plain/word-1.0");
	str_addc(&s, ' ');
	ssh_quote(&s, "it's $(here)");
	str_addc(&s, ' ');
	ssh_quote(&s, "");
	assert_string_equal(str_c(&s), "plain/word-1.0 'it'\\''s $(here)' ''");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_are_split),
		cmocka_unit_test(config_is_parsed),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(options_go_over_ssh_config),
		cmocka_unit_test(general_configuration_is_told),
		cmocka_unit_test(one_answer_serves_all_hosts),
		cmocka_unit_test(words_are_quoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
