/* SPDX-License-Identifier: MIT */
/* The JSON schema that is shipped and the manual are in step with the table. UPDATE=1 writes it. */
#include "manifest/schema.h"
#include "util/fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SCHEMA_FILE "deploy/schema/deploy.schema.json"
#define MAN_FILE    "man/deploy-manifest.5.scd"

static void test_json_schema(void **state)
{
	json_t *made = schema_to_json();
	char *text = json_dumps(made, JSON_INDENT(1));
	struct str file = STR_INIT(STR_MAX_FILE), now = STR_INIT(STR_MAX_FILE);
	struct error err = {0};

	str_addf(&now, "%s\n", text);
	if (getenv("UPDATE") != NULL) {
		assert_int_equal(fs_write_atomic(SCHEMA_FILE, str_c(&now), now.len, 0644, &err), 0);
	}
	assert_int_equal(fs_read(SCHEMA_FILE, &file, &err), 0);
	assert_string_equal(str_c(&file), str_c(&now));
	str_fini(&file);
	str_fini(&now);
	free(text);
	json_decref(made);
}

/* Every key is a heading "*key*" in the manual. */
static size_t check_keys(const struct schema *s, const char *manual, int depth)
{
	size_t missing = 0;

	for (const struct schema_key *k = s->keys; k != NULL && k->name != NULL; k++) {
		char *word = xasprintf("*%s*", k->name);
		char *escaped = xcalloc(1, 2 * strlen(word) + 1);
		size_t n = 0;

		for (const char *p = word; *p != '\0'; p++) { /* scdoc: \_ */
			if (*p == '_') {
				escaped[n++] = '\\';
			}
			escaped[n++] = *p;
		}
		if (strstr(manual, escaped) == NULL && strstr(manual, word) == NULL) {
			print_message("# %s is not in the manual\n", word);
			missing++;
		}
		free(word);
		free(escaped);
		if (depth < 5) {
			missing += check_keys(k->value, manual, depth + 1);
		}
	}
	if (s->values != NULL && depth < 5) {
		missing += check_keys(s->values, manual, depth + 1);
	}
	return missing;
}

static void test_manual(void **state)
{
	struct str file = STR_INIT(STR_MAX_FILE);
	struct error err = {0};

	assert_int_equal(fs_read(MAN_FILE, &file, &err), 0);
	assert_int_equal(check_keys(&schema_root, str_c(&file), 0), 0);
	str_fini(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_schema),
		cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
