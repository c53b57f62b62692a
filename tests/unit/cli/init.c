/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../src/cli/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void service_names_are_valid(void **state)
{
	static const struct {
		const char *folder, *name;
	} cases[] = {
		{"shop", "shop"},
		{"My Shop_2", "my-shop-2"},
		{"--x--", "x"},
		{"...", "app"},
		{"", "app"},
		{"caf\xc3\xa9", "caf"},
		{"a/b", "a-b"},
	};
	char longest[300];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CLEANUP_FREE char *name = init_service_name(cases[i].folder);

		assert_string_equal(name, cases[i].name);
	}
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	CLEANUP_FREE char *name = init_service_name(longest);

	assert_true(strlen(name) <= 63);
}

static void ports_are_found(void **state)
{
	static const struct {
		const char *text;
		int port;
	} cases[] = {
		{"FROM x\nEXPOSE 8080\n", 8080},
		{"expose 80/tcp 443/tcp", 80},
		{"EXPOSE 1\nFROM y\n\tEXPOSE\t9000/tcp\n", 9000},
		{"# EXPOSE 80\n", 0},
		{"EXPOSE $PORT\n", 0},
		{"EXPOSE 99999\n", 0},
		{"EXPOSED 80\n", 0},
		{"EXPOSE", 0},
		{"", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(init_exposed_port(cases[i].text), cases[i].port);
	}
}

/* What `init` writes is a manifest that loads, with the values it was given. */
static void manifest_loads(void **state)
{
	struct init_facts facts = {.service = "shop", .app_port = 4567, .port_from_image = true};
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);
	char dir[] = "/tmp/deploy-init-XXXXXX";
	struct diagnostics diags = {0};
	struct error err = {0};

	init_manifest_text(&facts, &text);
	assert_false(text.overflow);
	assert_non_null(mkdtemp(dir));
	CLEANUP_FREE char *path = xasprintf("%s/deploy.yml", dir);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text.p, 1, text.len, file), text.len);
	fclose(file);
	struct config_request request = {.file = path};
	struct config *config = config_load(&request, &diags, &err);

	assert_int_equal(diags.len, 0);
	assert_non_null(config);
	assert_string_equal(config->service, "shop");
	assert_string_equal(config->proxy.driver, "caddy");
	assert_int_equal(config->proxy.app_port, 4567);
	config_free(config);
	diagnostics_fini(&diags);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(service_names_are_valid),
		cmocka_unit_test(ports_are_found),
		cmocka_unit_test(manifest_loads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
