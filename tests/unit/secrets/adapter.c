/* SPDX-License-Identifier: MIT */
/*
 * Adapters against fakes: small scripts that stand in for the programs, take the documented
 * arguments only, and print what those print.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "secrets/adapter.h"
#include "secrets/dotenv.h"
#include "util/fs.h"
#include "util/proc.h"
#include "util/vec.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder of fakes in front of PATH. */
struct bench {
	char *dir;
	char *path;
};

static void fake(const struct bench *b, const char *program, const char *script)
{
	CLEANUP_FREE char *path = fs_join(b->dir, program);
	CLEANUP_FREE char *text = xasprintf("#!/bin/sh\n# fake %s\n%s\n", program, script);
	struct error err = {0};

	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0755, &err), 0);
}

static void run(const char *const *argv, struct str *out)
{
	struct proc_request req = {.argv = argv};
	struct proc_result result;
	struct error err = {0};

	assert_int_equal(proc_run(&req, out, NULL, &result, &err), 0);
	assert_int_equal(result.status, 0);
}

static int bench_open(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	b->dir = xstrdup("/tmp/deploy-adapter-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->path = xstrdup(getenv("PATH"));
	CLEANUP_FREE char *path = xasprintf("%s:%s", b->dir, b->path);
	setenv("PATH", path, 1);
	unsetenv("OP_SERVICE_ACCOUNT_TOKEN");
	unsetenv("DOPPLER_TOKEN");
	*state = b;
	return 0;
}

static int bench_close(void **state)
{
	struct bench *b = *state;
	setenv("PATH", b->path, 1);
	run((const char *const[]){"rm", "-rf", b->dir, NULL}, NULL);
	free(b->dir);
	free(b->path);
	free(b);
	return 0;
}

/* The JSON of what is fetched; or "error: ..." */
static char *fetch(const char *adapter, const char *account, const char *from, const char *words)
{
	CLEANUP_STRVEC struct strvec names = {0};
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_FILE);
	struct secret_map found = {0};
	struct error err = {0};

	while (*words != '\0') {
		size_t n = strcspn(words, " ");
		strvec_pushf(&names, "%.*s", (int)n, words);
		words += n + (words[n] == ' ');
	}
	struct adapter_request req = {.adapter = adapter,
		.account = account,
		.from = from,
		.names = (const char *const *)names.p,
		.n = names.len};
	int rc = adapter_fetch(&req, &found, &err);
	if (rc == 0) {
		rc = secrets_to_json(&found, &out, &err);
	}
	secret_map_fini(&found);
	if (rc < 0) {
		assert_int_equal(err.kind, ERROR_MANIFEST);
		return xasprintf("error: %s", err.text);
	}
	return str_take(&out);
}

static void gives(const char *adapter, const char *account, const char *from, const char *words,
	const char *expected)
{
	CLEANUP_FREE char *found = fetch(adapter, account, from, words);

	assert_string_equal(found, expected);
}

static void onepassword(void **state)
{
	fake(*state, "op",
		"case \"$*\" in\n"
		"'account get --account me') exit 0 ;;\n"
		"'item get item --vault vault --format json --account me "
		"--fields label=section.A,label=B')\n"
		"  printf '%s\\n' '[{\"label\":\"A\",\"value\":\"1\\n2\",\"reference\":"
		"\"op://vault/item/section/A\"},{\"value\":\"b\","
		"\"reference\":\"op://vault/item/B\"}]' ;;\n"
		"'item get other --vault vault --format json --account me --fields "
		"label=password')\n"
		"  printf '%s\\n' "
		"'{\"value\":\"p\\\"w\",\"reference\":\"op://vault/other/password\"}' ;;\n"
		"'item get item --vault vault --format json --account me')\n"
		"  printf '%s\\n' '{\"fields\":[{\"reference\":\"op://vault/item/none\"},"
		"{\"value\":\"x\",\"reference\":\"op://vault/item/X\"}]}' ;;\n"
		"*) echo \"[ERROR] no such item\" >&2; exit 1 ;;\n"
		"esac");
	gives("1password", "me", "op://vault/item", "section/A B",
		"{\"vault/item/section/A\":\"1\\n2\",\"vault/item/B\":\"b\"}");
	gives("one_password", "me", NULL, "vault/item/section/A vault/other op://vault/item/B",
		"{\"vault/item/section/A\":\"1\\n2\",\"vault/item/B\":\"b\","
		"\"vault/other\":\"p\\\"w\"}");
	gives("1password", "me", "vault/item", "", "{\"vault/item/X\":\"x\"}");
	gives("1password", "me", "vault", "gone",
		"error: item 'gone' in vault 'vault': 1Password: 'op item' failed");
	gives("1password", "me", NULL, "justone",
		"error: 1Password: 'justone' is not VAULT/ITEM[/SECTION][/FIELD]");
	gives("1password", NULL, NULL, "v/i", "error: adapter '1password' needs --account");
	gives("1password", "-x", NULL, "v/i", "error: --account '-x' begins with '-'");
	gives("1password", "me", NULL, "v/-i", "error: secret 'v/-i' begins with '-'");
}

/* The token of a login is in the environment of what follows, never in an argv. */
static void onepassword_signs_in(void **state)
{
	fake(*state, "op",
		"case \"$*\" in *TOKEN*) exit 9 ;; esac\n"
		"case $1-$OP_SESSION_me in\n"
		"account-*) exit 1 ;;\n"
		"signin-) printf '%s\\n' 'export OP_SESSION_me=\"TOKEN\"'; printf '%s\\n' '# use "
		"eval' ;;\n"
		"item-TOKEN) printf '%s\\n' "
		"'{\"value\":\"v\",\"reference\":\"op://a/b/password\"}' ;;\n"
		"*) exit 8 ;;\n"
		"esac");
	gives("1password", "me", NULL, "a/b", "{\"a/b\":\"v\"}");
}

static void bitwarden(void **state)
{
	fake(*state, "bw",
		"case \"$*:$BW_SESSION\" in\n"
		"status:) printf '%s\\n' '{\"status\":\"locked\"}' ;;\n"
		"'unlock --raw:') echo SESSION ;;\n"
		"status:SESSION) printf '%s\\n' '{\"status\":\"unlocked\"}' ;;\n"
		"sync:SESSION) printf '%s\\n' 'Syncing complete.' ;;\n"
		"'get item pw:SESSION') printf '%s\\n' '{\"login\":{\"password\":\"secret\"}}' ;;\n"
		"'get item note:SESSION') printf '%s\\n' "
		"'{\"login\":null,\"fields\":[{\"name\":\"a\","
		"\"value\":\"1\"},{\"name\":\"b\",\"value\":\"2\"}]}' ;;\n"
		"'get item bare:SESSION') printf '%s\\n' '{}' ;;\n"
		"*) exit 1 ;;\n"
		"esac");
	gives("bitwarden", "me@example.com", NULL, "pw note/b note/a",
		"{\"pw\":\"secret\",\"note/b\":\"2\",\"note/a\":\"1\"}");
	gives("bitwarden", "me@example.com", "note", "b", "{\"note/b\":\"2\"}");
	gives("bitwarden", "me@example.com", NULL, "note", "{\"note/a\":\"1\",\"note/b\":\"2\"}");
	gives("bitwarden", "me@example.com", NULL, "note/c", "error: Bitwarden has no 'note/c'");
	gives("bitwarden", "me@example.com", NULL, "bare",
		"error: Bitwarden: item 'bare' has neither a password nor fields");
	gives("bitwarden", NULL, NULL, "pw", "error: adapter 'bitwarden' needs --account");
}

static void bitwarden_sm(void **state)
{
	fake(*state, "bws",
		"case \"$*\" in\n"
		"'secret list 82ae') printf '%s\\n' '[{\"key\":\"A\",\"value\":\"1\"},"
		"{\"key\":\"B\",\"value\":\"2\"}]' ;;\n"
		"'secret get 6f8c') printf '%s\\n' '{\"key\":\"C\",\"value\":\"3\"}' ;;\n"
		"*) exit 1 ;;\n"
		"esac");
	gives("bitwarden-sm", NULL, "82ae", "all", "{\"A\":\"1\",\"B\":\"2\"}");
	gives("bitwarden-sm", NULL, NULL, "82ae/all", "{\"A\":\"1\",\"B\":\"2\"}");
	gives("bitwarden-sm", NULL, NULL, "6f8c", "{\"C\":\"3\"}");
	gives("bitwarden-sm", NULL, NULL, "", "error: adapter 'bitwarden-sm': which secrets?");
}

static void lastpass(void **state)
{
	fake(*state, "lpass",
		"case \"$*\" in\n"
		"'status --color never') printf '%s\\n' 'Logged in as me@example.com.' ;;\n"
		"'show F/A F/B --json') printf '%s\\n' '[{\"fullname\":\"F/A\",\"password\":\"1\"},"
		"{\"fullname\":\"F/B\",\"password\":\"2\"}]' ;;\n"
		"'show C --json') printf '%s\\n' '[]' ;;\n"
		"*) exit 1 ;;\n"
		"esac");
	gives("lastpass", "me@example.com", "F", "A B", "{\"F/A\":\"1\",\"F/B\":\"2\"}");
	gives("lastpass", "me@example.com", NULL, "C", "error: LastPass has no 'C'");
	gives("lastpass", "you@example.com", NULL, "C", "error: LastPass: 'lpass login' failed");
}

static void enpass(void **state)
{
	fake(*state, "enpass-cli",
		"[ \"$*\" = '-json -vault vault show Foo' ] || exit 1\n"
		"printf '%s\\n' '[{\"label\":\"A\",\"password\":\"1\",\"title\":\"Foo\"},"
		"{\"label\":\"B\",\"password\":\"2\",\"title\":\"Foo\"},"
		"{\"label\":\"A\",\"password\":\"3\",\"title\":\"Bar\"}]'");
	gives("enpass", NULL, "vault", "Foo/A", "{\"Foo/A\":\"1\"}");
	gives("enpass", NULL, "vault", "Foo", "{\"Foo/A\":\"1\",\"Foo/B\":\"2\"}");
	gives("enpass", NULL, NULL, "Foo", "error: adapter 'enpass' needs --from");
}

static void pass(void **state)
{
	fake(*state, "pass",
		"[ \"$*\" = 'show prod/db' ] || { printf '%s\\n' 'Error: not in the store.' >&2; "
		"exit 1; }\n"
		"printf 'pw\\nuser:  ann\\n'");
	gives("pass", NULL, "prod", "db db:user db:all",
		"{\"prod/db\":\"pw\",\"prod/db:user\":\"ann\","
		"\"prod/db:all\":\"pw\\nuser:  ann\"}");
	gives("pass", NULL, NULL, "prod/db:x", "error: pass has no 'prod/db:x'");
	gives("pass", NULL, NULL, "x", "error: entry 'x': pass: 'pass show' failed");
}

static void sops(void **state)
{
	fake(*state, "sops",
		"[ \"$*\" = '--decrypt --output-type json s.yaml' ] || exit 1\n"
		"printf '%s\\n' '{\"A\":\"1\",\"db\":{\"port\":5432,\"pw\":\"x\"}}'");
	gives("sops", NULL, "s.yaml", "A db/pw db/port",
		"{\"A\":\"1\",\"db/pw\":\"x\",\"db/port\":\"5432\"}");
	gives("sops", NULL, "s.yaml", "", "{\"A\":\"1\",\"db/port\":\"5432\",\"db/pw\":\"x\"}");
	gives("sops", NULL, "s.yaml", "db/none", "error: SOPS has no 'db/none'");
	gives("sops", NULL, NULL, "A", "error: adapter 'sops' needs --from");
}

static void vault(void **state)
{
	fake(*state, "vault",
		"case \"$*\" in\n"
		"'kv get -format=json secret/app') printf '%s\\n' "
		"'{\"data\":{\"data\":{\"A\":\"1\","
		"\"B\":\"2\"},\"metadata\":{\"version\":3}}}' ;;\n"
		"'kv get -format=json kv/one') printf '%s\\n' '{\"data\":{\"data\":\"d\"}}' ;;\n"
		"*) exit 2 ;;\n"
		"esac");
	gives("vault", NULL, "secret/app", "A B",
		"{\"secret/app/A\":\"1\",\"secret/app/B\":\"2\"}");
	gives("vault", NULL, "secret/app", "", "{\"secret/app/A\":\"1\",\"secret/app/B\":\"2\"}");
	gives("vault", NULL, NULL, "kv/one/data", "{\"kv/one/data\":\"d\"}");
	gives("vault", NULL, "secret/app", "C", "error: Vault has no 'secret/app/C'");
	gives("vault", NULL, NULL, "A", "error: Vault: 'A' is not MOUNT/PATH/FIELD");
}

static void aws(void **state)
{
	fake(*state, "aws",
		"case \"$*\" in\n"
		"'secretsmanager batch-get-secret-value --secret-id-list p/a p/b --profile x "
		"--output json')\n"
		"  printf '%s\\n' '{\"SecretValues\":[{\"Name\":\"p/a\",\"SecretString\":"
		"\"{\\\"K\\\":\\\"v\\\",\\\"n\\\":1}\"},{\"Name\":\"p/b\",\"SecretString\":"
		"\"text\"}],\"Errors\":[]}' ;;\n"
		"*) printf '%s\\n' '{\"Errors\":[{\"SecretId\":\"q\",\"Message\":\"not found\"}]}' "
		";;\n"
		"esac");
	gives("aws_secrets_manager", "x", "p", "a b",
		"{\"p/a/K\":\"v\",\"p/a/n\":\"1\",\"p/b\":\"text\"}");
	gives("aws", NULL, NULL, "q", "error: AWS Secrets Manager: 'q': not found");
}

static void gcp(void **state)
{
	fake(*state, "gcloud",
		"case \"$*\" in\n"
		"'auth list --format=json') printf '%s\\n' '[{\"account\":\"a\"}]' ;;\n"
		"'secrets versions access latest --secret=s --format=json')\n"
		"  printf '%s\\n' '{\"payload\":{\"data\":\"fn5-Pz8_\"}}' ;;\n"
		"'secrets versions access 7 --secret=s --project=p --account=u@x "
		"--impersonate-service-account=v@x --format=json')\n"
		"  printf '%s\\n' '{\"payload\":{\"data\":\"c2V2ZW4=\"}}' ;;\n"
		"*) exit 1 ;;\n"
		"esac");
	gives("gcp", "default", NULL, "s", "{\"default/s\":\"~~~???\"}");
	gives("gcp", "u@x|v@x", "p", "s/7", "{\"p/s\":\"seven\"}");
	gives("gcp", NULL, NULL, "t",
		"error: secret 'default/t': Google Cloud Secret Manager: 'gcloud secrets' failed");
}

static void doppler(void **state)
{
	fake(*state, "doppler",
		"case \"$*\" in\n"
		"'me --json') ;;\n"
		"'secrets get A B --json -p proj -c prd'|'secrets get A B --json')\n"
		"  printf '%s\\n' '{\"A\":{\"computed\":\"1\"},\"B\":{\"computed\":\"2\"}}' ;;\n"
		"*) exit 1 ;;\n"
		"esac");
	gives("doppler", NULL, "proj/prd", "A B", "{\"A\":\"1\",\"B\":\"2\"}");
	gives("doppler", NULL, NULL, "A B", "error: Doppler: --from PROJECT/CONFIG is missing");
	setenv("DOPPLER_TOKEN", "dp.st.x", 1);
	gives("doppler", NULL, NULL, "A B", "{\"A\":\"1\",\"B\":\"2\"}");
	unsetenv("DOPPLER_TOKEN");
}

static void passbolt(void **state)
{
	fake(*state, "passbolt",
		"case \"$*\" in\n"
		"verify) ;;\n"
		"'list folders --json') printf '%s\\n' '[{\"id\":\"1\",\"folder_parent_id\":\"\","
		"\"name\":\"p\"},{\"id\":\"2\",\"folder_parent_id\":\"1\",\"name\":\"q\"}]' ;;\n"
		"'list resources --filter (Name == \"A\" && FolderParentID == \"2\") || "
		"(Name == \"B\" && FolderParentID == \"1\") --column name --column password "
		"--json')\n"
		"  printf '%s\\n' '[{\"name\":\"A\",\"password\":\"1\"},{\"name\":\"B\","
		"\"password\":\"2\"}]' ;;\n"
		"*) printf '%s\\n' '[]' ;;\n"
		"esac");
	gives("passbolt", NULL, "p", "q/A B", "{\"A\":\"1\",\"B\":\"2\"}");
	gives("passbolt", NULL, NULL, "C", "error: Passbolt has no 'C'");
	gives("passbolt", NULL, "none", "C", "error: Passbolt has no folder 'none'");
}

static void bad_programs(void **state)
{
	gives("keepass", NULL, NULL, "x", "error: there is no adapter 'keepass'");
	setenv("PATH", "/nowhere", 1);
	gives("pass", NULL, NULL, "x",
		"error: entry 'x': pass: the program 'pass' is not installed");
	setenv("PATH", ((struct bench *)*state)->dir, 1);
	fake(*state, "sops", "printf '%s\\n' 'value: topsecret'");
	gives("sops", NULL, "f", "A",
		"error: file 'f': SOPS: 'sops' did not print JSON (line 1, column 5)");
}

/* -- JSON and the shell -- */

static char *extracted(const char *name, const char *json)
{
	struct error err = {0};
	struct secret *s = secrets_extract(name, json, strlen(json), &err);

	if (s == NULL) {
		return xasprintf("error: %s", err.text);
	}
	char *text = xstrdup(secret_reveal(s));
	secret_unref(s);
	return text;
}

static void extracts(void **state)
{
	static const char *const cases[][3] = {
		{"foo", "{\"foo\":\"oof\", \"bar\":\"rab\"}", "oof"},
		{"foo", "{\"abc/foo\":\"oof\", \"bar\":\"rab\"}", "oof"},
		{"foo", "{\"abc/foo\":\"1\", \"foo\":\"2\"}", "2"},
		{"foo", "\\{\\\"foo\\\":\\\"o\\\\\\\"f\\\"\\}", "o\"f"},
		{"foo", "{\"foo\":\"a\\nb\"}", "a\nb"},
		{"foo", "{\"foo\":12}", "12"},
		{"foo", "{\"foo\":null}", "error: extract 'foo': the fetch did not give it"},
		{"oo", "{\"foo\":\"x\"}", "error: extract 'oo': the fetch did not give it"},
		{"foo", "hunter2",
			"error: extract 'foo': what was given is not the JSON object of a fetch"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_FREE char *found = extracted(cases[i][0], cases[i][1]);
		assert_string_equal(found, cases[i][2]);
	}
}

/* What is escaped for a shell comes back as it was, by a shell and by extract. */
static void escapes(void **state)
{
	static const char json[] = "{\"a/K\":\"p)w $x `y` 'z' \\\"q\\\" \\\\ \xc3\xa4 ~*\"}";
	CLEANUP_STR struct str escaped = STR_INIT(STR_MAX_LINE);
	CLEANUP_STR struct str back = STR_INIT(STR_MAX_LINE);

	secrets_shell_escape(json, strlen(json), &escaped);
	CLEANUP_FREE char *command = xasprintf("printf %%s %s", str_c(&escaped));
	run((const char *const[]){"sh", "-c", command, NULL}, &back);
	assert_string_equal(str_c(&back), json);
	CLEANUP_FREE char *value = extracted("K", str_c(&escaped));
	assert_string_equal(value, "p)w $x `y` 'z' \"q\" \\ \xc3\xa4 ~*");
}

/* -- In secrets files -- */

/* Answers with the request as text. */
static int fake_fetch(
	void *ctx, const struct adapter_request *req, struct secret_map *out, struct error *err)
{
	int *calls = ctx;
	CLEANUP_FREE char *asked =
		xasprintf("%s|%s|%s|%s", req->adapter, req->account != NULL ? req->account : "-",
			req->from != NULL ? req->from : "-", req->dir != NULL ? req->dir : "-");

	++*calls;
	secret_map_set(out, "v/asked", secret_new(asked, strlen(asked)));
	for (size_t i = 0; i < req->n; i++) {
		CLEANUP_FREE char *value = xasprintf("<%s>'\"$(x)\n", req->names[i]);
		secret_map_set(out, req->names[i], secret_new(value, strlen(value)));
	}
	return 0;
}

static int no_shell(
	void *ctx, const char *command, const char *const *env, struct str *out, struct error *err)
{
	return error_set(err, ERROR_MANIFEST, "a shell for %s", command);
}

static char *resolved(const char *text, const char *name, int *calls)
{
	struct dotenv_source source = {
		.run = no_shell, .fetch = fake_fetch, .ctx = calls, .dir = "/d"};
	struct dotenv *d = dotenv_new();
	struct error err = {0};
	char *result = NULL;

	assert_int_equal(dotenv_parse(d, "f", text, strlen(text), &err), 0);
	struct secret *s = dotenv_resolve(d, name, &source, &err);
	result = s != NULL ? xstrdup(secret_reveal(s)) : xasprintf("error: %s", err.text);
	secret_unref(s);
	dotenv_free(d);
	return result;
}

static void answers_within(void **state)
{
	static const char text[] =
		"SECRETS=$(kamal secrets fetch --adapter 1password --account my-account "
		"--from MyVault/MyItem REGISTRY_PASSWORD MASTER_KEY)\n"
		"REGISTRY_PASSWORD=$(kamal secrets extract REGISTRY_PASSWORD $SECRETS)\n"
		"MASTER_KEY=\"$(bundle exec kamal secrets extract MASTER_KEY ${SECRETS})\"\n"
		"ASKED=$(bin/kamal  secrets\textract asked \"${SECRETS}\")\n"
		"OWN=$(deploy secrets fetch -a pass --from='a b' 'c d' -d prod)\n"
		"OWN_ASKED=$(deploy secrets extract asked $OWN)\n"
		"OWN_NAME=$(deploy secrets extract \"c d\" $OWN)\n"
		"LITERAL=$(kamal secrets extract KEY1 \\{\\\"KEY1\\\":\\\"pass\\)word\\\"\\})\n"
		"PIPED=$(kamal secrets fetch -a pass x | tr a b)\n"
		"OTHER=$(kamal envify)\n"
		"UNSET=$(kamal secrets extract X $NO_SUCH_VARIABLE)\n"
		"BARE=$(kamal secrets fetch x)\n"
		"WRONG=$(kamal secrets fetch --frmo x y)\n";
	static const char *const cases[][2] = {
		{"REGISTRY_PASSWORD", "<REGISTRY_PASSWORD>'\"$(x)"},
		{"MASTER_KEY", "<MASTER_KEY>'\"$(x)"},
		{"ASKED", "1password|my-account|MyVault/MyItem|/d"},
		{"OWN_ASKED", "pass|-|a b|/d"},
		{"OWN_NAME", "<c d>'\"$(x)"},
		{"LITERAL", "pass)word"},
		{"PIPED", "error: f:9: secret 'PIPED': a shell for kamal secrets fetch -a pass x | "
			  "tr a b"},
		{"OTHER", "error: f:10: secret 'OTHER': a shell for kamal envify"},
		{"UNSET", "error: f:11: secret 'UNSET': variable 'NO_SUCH_VARIABLE' is not set"},
		{"BARE", "error: f:12: secret 'BARE': secrets fetch: --adapter is missing"},
		{"WRONG", "error: f:13: secret 'WRONG': secrets fetch: unknown option '--frmo'"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int calls = 0;
		CLEANUP_FREE char *found = resolved(text, cases[i][0], &calls);
		assert_string_equal(found, cases[i][1]);
		assert_true(calls <= 1);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_open, bench_close)
	const struct CMUnitTest tests[] = {
		TEST(onepassword),
		TEST(onepassword_signs_in),
		TEST(bitwarden),
		TEST(bitwarden_sm),
		TEST(lastpass),
		TEST(enpass),
		TEST(pass),
		TEST(sops),
		TEST(vault),
		TEST(aws),
		TEST(gcp),
		TEST(doppler),
		TEST(passbolt),
		TEST(bad_programs),
		cmocka_unit_test(extracts),
		cmocka_unit_test(escapes),
		cmocka_unit_test(answers_within),
	};

	return cmocka_run_group_tests_name("adapter", tests, NULL, NULL);
}
