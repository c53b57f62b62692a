/* SPDX-License-Identifier: MIT */
/* What the manifest's table of options lets through, the docker layer understands. */
#include "docker/spec.h"
#include "manifest/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *const values[] = {"true", "yes", "false", "no", "1", "0", "-1", "2", "0.5", "64",
	"100", "1000", "512m", "1g", "1.5g", "1GiB", "1gb", "512k", "40_000_000", "30s", "2m", "1h",
	"500ms", "1.5s", "1d", "10min", "10", "a", "a=b", "a=1", "nofile=1024", "nofile=1024:2048",
	"nofile=1:2:3", "core=-1", "/a", "/tmp:size=64m", "/a:/b", "80", "80:80", "80/udp",
	"127.0.0.1:80:80", "80-90", "8.8.8.8", "db:10.0.0.1", "db=10.0.0.1", "always", "on-failure",
	"on-failure:3", "unless-stopped", "all", "device=0,1", "ALL", "host", "none",
	"type=bind,source=/a,target=/b", "type=bind,source=a,target=/b", "type=tmpfs,target=/x",
	"type=x,target=/b", "target=b", "source=v,target=/b,readonly", "type=bind", "SIGTERM",
	"/dev/null", "/dev/a:/dev/b:rw", "c 1:3 mr", "no-new-privileges", "label=a", "c1",
	"linux/amd64", "1000:1000", "sh -c 'x y'", "a 'b", "container:x", "private"};

static enum docker_option_kind expected(const struct option_kind *o)
{
	if (o->list) {
		return DOCKER_OPTION_LIST;
	}
	return o->type == OPTION_BOOL ? DOCKER_OPTION_BOOL : DOCKER_OPTION_VALUE;
}

static void test_kinds(void **state)
{
	size_t n;
	const struct option_kind *table = option_table(&n);

	for (size_t i = 0; i < n; i++) {
		if (table[i].refused == NULL) {
			enum docker_option_kind kind = docker_option_kind(table[i].name);

			if (kind != expected(&table[i])) {
				print_message("# %s is %d\n", table[i].name, (int)kind);
			}
			assert_int_equal(kind, expected(&table[i]));
		}
	}
}

static void test_values(void **state)
{
	size_t n;
	const struct option_kind *table = option_table(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
			struct docker_container_spec spec = {0};
			struct error err = {0};
			bool flag = table[i].type == OPTION_BOOL; /* config has "true" or "false" */

			if (table[i].refused == NULL &&
				option_check(&table[i], values[j]) == NULL &&
				docker_spec_option(&spec, table[i].name, flag ? "true" : values[j],
					&err) != 0) {
				print_message("# %s\n", err.text);
				fail();
			}
			docker_container_spec_fini(&spec);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
