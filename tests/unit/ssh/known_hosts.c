/* SPDX-License-Identifier: MIT */
/* Known host keys, against files that ssh-keygen wrote. */
#include "sshd.h"

#include "ssh/known_hosts.h"
#include "util/digest.h"

#include "../../../src/ssh/keys.h"

static char dir[] = "/tmp/deploy-known.XXXXXX";
static struct str one, two, ecdsa; /* blobs */
static struct str one_line, two_line, ecdsa_line;
static struct error why;

static void load(const char *name, const char *type, struct str *blob, struct str *line)
{
	CLEANUP_FREE char *file = fs_join(dir, name);
	CLEANUP_FREE char *pub = xasprintf("%s.pub", file);

	make_key(file, type, "");
	str_init(line, 4096);
	str_init(blob, 4096);
	assert_int_equal(fs_read(pub, line, &why), 0);
	assert_int_equal(ssh_public_line(str_c(line), blob), 0);
	line->len = strcspn(line->p, "\n");
	line->p[line->len] = '\0';
}

static int start(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL || access("/usr/bin/ssh-keygen", X_OK) < 0) {
		return -1;
	}
	load("one", "ed25519", &one, &one_line);
	load("two", "ed25519", &two, &two_line);
	load("three", "ecdsa", &ecdsa, &ecdsa_line);
	return 0;
}

static int stop(void **state)
{
	const char *argv[] = {"rm", "-rf", dir, NULL};

	(void)state;
	str_fini(&one);
	str_fini(&two);
	str_fini(&ecdsa);
	str_fini(&one_line);
	str_fini(&two_line);
	str_fini(&ecdsa_line);
	return run_program(argv);
}

static enum ssh_known look(const char *text, const char *host, const struct str *key, int *line)
{
	bool authority = false;

	return ssh_known_hosts_lookup(text, strlen(text), host, key->p, key->len, line, &authority);
}

static void every_form_is_found(void **state)
{
	static const struct {
		const char *hosts;
		const char *host;
		bool found;
	} cases[] = {
		{"example.com", "example.com", true},
		{"example.com", "example.org", false},
		{"a,example.com,b", "example.com", true},
		{"*.example.com", "www.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com,!bad.example.com", "bad.example.com", false},
		{"!bad.example.com,*.example.com", "good.example.com", true},
		{"[example.com]:2222", "[example.com]:2222", true},
		{"[example.com]:2222", "example.com", false},
		{"h?st", "host", true},
		{"*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
		{"EXAMPLE.com", "example.com", true},
	};
	int line;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_FREE char *text =
			xasprintf("# comment\n\n%s %s\n", cases[i].hosts, str_c(&one_line));
		enum ssh_known known = look(text, cases[i].host, &one, &line);
		assert_int_equal(known, cases[i].found ? SSH_KNOWN_MATCH : SSH_KNOWN_UNKNOWN);
		assert_int_equal(line, cases[i].found ? 3 : 0);
	}
}

static void outcome_is_the_gravest(void **state)
{
	int line;
	CLEANUP_FREE char *changed = xasprintf("h %s\n", str_c(&two_line));
	CLEANUP_FREE char *both = xasprintf("h %s\nh %s\r\n", str_c(&two_line), str_c(&one_line));
	CLEANUP_FREE char *other = xasprintf("h %s\n", str_c(&ecdsa_line));
	CLEANUP_FREE char *revoked =
		xasprintf("h %s\n@revoked * %s\n", str_c(&one_line), str_c(&one_line));
	CLEANUP_FREE char *authority = xasprintf("@cert-authority * %s\n", str_c(&one_line));

	(void)state;
	assert_int_equal(look(changed, "h", &one, &line), SSH_KNOWN_CHANGED);
	assert_int_equal(look(both, "h", &one, &line), SSH_KNOWN_MATCH);
	assert_int_equal(line, 2);
	assert_int_equal(look(other, "h", &one, &line), SSH_KNOWN_OTHER);
	assert_int_equal(look(revoked, "h", &one, &line), SSH_KNOWN_REVOKED);
	assert_int_equal(look(authority, "h", &one, &line), SSH_KNOWN_UNKNOWN);
	assert_int_equal(look("", "h", &one, &line), SSH_KNOWN_UNKNOWN);
	assert_int_equal(look("h", "h", &one, &line), SSH_KNOWN_UNKNOWN);
	assert_int_equal(look("|1|x h y", "h", &one, &line), SSH_KNOWN_UNKNOWN);
	assert_int_equal(look("|1|", "h", &one, &line), SSH_KNOWN_UNKNOWN);
	assert_int_equal(look("h ssh-ed25519 !!!!\n", "h", &one, &line), SSH_KNOWN_UNKNOWN);
}

static void make_target(struct ssh_target *t, const char *file)
{
	*t = (struct ssh_target){.host = xstrdup("alias"), .port = 22};
	t->hostname = xstrdup("Example.com");
	strvec_push(&t->known_hosts, file);
}

static void hashed_by_ssh_keygen(void **state)
{
	struct ssh_target t;
	CLEANUP_FREE char *file = fs_join(dir, "hashed");
	CLEANUP_FREE char *text = xasprintf("example.com %s\n", str_c(&one_line));
	const char *argv[] = {"ssh-keygen", "-q", "-H", "-f", file, NULL};
	CLEANUP_STRVEC struct strvec types = {0};

	(void)state;
	assert_int_equal(fs_write_atomic(file, text, strlen(text), 0600, &why), 0);
	assert_int_equal(run_program(argv), 0);
	make_target(&t, file);
	assert_int_equal(ssh_known_hosts_check(&t, one.p, one.len, &why), 0);
	ssh_known_hosts_types(&t, &types);
	assert_int_equal(types.len, 1);
	assert_string_equal(types.p[0], "ssh-ed25519");
	why = (struct error){0};
	assert_int_equal(ssh_known_hosts_check(&t, two.p, two.len, &why), -1);
	assert_int_equal(why.kind, ERROR_CONNECT);
	assert_non_null(strstr(why.text, "CHANGED"));
	assert_non_null(strstr(why.text, "hashed:1"));
	/* Another port is another name, but a matching key without port counts, as in ssh. */
	t.port = 2222;
	assert_int_equal(ssh_known_hosts_check(&t, one.p, one.len, &why), 0);
	assert_int_equal(ssh_known_hosts_check(&t, two.p, two.len, &why), -1);
	ssh_target_fini(&t);
}

static void unknown_says_how_to_accept(void **state)
{
	struct ssh_target t;
	CLEANUP_FREE char *file = fs_join(dir, "none");
	CLEANUP_FREE char *print = ssh_fingerprint(one.p, one.len);
	CLEANUP_FREE char *pub = fs_join(dir, "one.pub");
	const char *argv[] = {"ssh-keygen", "-lf", pub, NULL};
	struct proc_request req = {.argv = argv, .timeout_ms = 5000};
	struct proc_result result;
	CLEANUP_STR struct str out = STR_INIT(1000);

	(void)state;
	make_target(&t, file);
	why = (struct error){0};
	assert_int_equal(ssh_known_hosts_check(&t, one.p, one.len, &why), -1);
	assert_non_null(strstr(why.text, print));
	assert_non_null(strstr(why.hint, "ssh-keyscan"));
	assert_non_null(strstr(why.hint, "accept-new"));
	assert_int_equal(proc_run(&req, &out, NULL, &result, &why), 0);
	assert_non_null(strstr(str_c(&out), print));
	ssh_target_fini(&t);
}

static void accept_new_records_once_and_hashed(void **state)
{
	struct ssh_target t;
	CLEANUP_FREE char *file = fs_join(dir, "new/known_hosts");
	CLEANUP_STR struct str text = STR_INIT(10000);
	const char *argv[] = {"ssh-keygen", "-F", "[example.com]:2022", "-f", file, NULL};
	struct stat st;

	(void)state;
	make_target(&t, file);
	t.port = 2022;
	t.host_key_check = SSH_HOST_KEY_ACCEPT_NEW;
	t.hash_known_hosts = true;
	assert_int_equal(ssh_known_hosts_check(&t, one.p, one.len, &why), 0);
	assert_int_equal(ssh_known_hosts_check(&t, one.p, one.len, &why), 0);
	assert_int_equal(fs_read(file, &text, &why), 0);
	assert_true(str_starts(str_c(&text), "|1|"));
	assert_ptr_equal(strchr(text.p, '\n'), text.p + text.len - 1);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(run_program(argv), 0); /* ssh-keygen finds it too */
	assert_int_equal(ssh_known_hosts_check(&t, two.p, two.len, &why), -1);
	assert_int_equal(ssh_known_hosts_check(&t, ecdsa.p, ecdsa.len, &why), -1);
	ssh_target_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_is_found),
		cmocka_unit_test(outcome_is_the_gravest),
		cmocka_unit_test(hashed_by_ssh_keygen),
		cmocka_unit_test(unknown_says_how_to_accept),
		cmocka_unit_test(accept_new_records_once_and_hashed),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
