/* SPDX-License-Identifier: MIT */
/* Single values; what is refused and what a check lets through has to be harmless. */
#include "manifest/syntax.h"
#include "manifest/options.h"
#include "manifest/schema.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *(*const checks[])(const char *) = {syntax_name, syntax_version, syntax_server,
	syntax_domain, syntax_ip, syntax_repository, syntax_image, syntax_registry, syntax_env_name,
	syntax_secret_name, syntax_secret_ref, syntax_label, syntax_word, syntax_line,
	syntax_command, syntax_alias, syntax_header, syntax_user, syntax_number_version,
	syntax_path_inside, syntax_path_relative, syntax_path, syntax_path_absolute,
	syntax_asset_path, syntax_volume, syntax_url_path, syntax_path_prefix, syntax_ssh_url,
	syntax_jump, syntax_tag_template, syntax_port_mapping, syntax_limit, syntax_mode};

/* Names that become parts of paths and arguments. */
static void check_harmless(const char *s)
{
	if (syntax_name(s) == NULL && (*s == '-' || strpbrk(s, "/. \n\t$") != NULL)) {
		abort();
	}
	if (syntax_version(s) == NULL && (*s == '-' || *s == '.' || strchr(s, '/') != NULL)) {
		abort();
	}
	if (syntax_server(s) == NULL && (*s == '-' || strpbrk(s, "/ \n'\"`$;|&") != NULL)) {
		abort();
	}
	if (syntax_image(s) == NULL && (*s == '-' || strstr(s, "..") != NULL)) {
		abort();
	}
	if (syntax_volume(s) == NULL && (*s == '-' || strstr(s, "/../") != NULL)) {
		abort();
	}
}

static void check_server(const char *s)
{
	char *user = NULL, *host = NULL;
	int port;

	if (syntax_server(s) == NULL) {
		syntax_server_split(s, &user, &host, &port);
		if (host == NULL || *host == '\0' || *host == '-') {
			abort();
		}
		free(user);
		free(host);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size);
	struct strvec words = {0};
	int64_t n;
	size_t count;
	const struct option_kind *options = option_table(&count);

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		(void)checks[i](text);
	}
	for (size_t i = 0; i < count; i++) {
		(void)option_check(&options[i], text);
	}
	check_harmless(text);
	check_server(text);
	(void)syntax_duration(text);
	(void)syntax_size(text);
	(void)syntax_integer(text, &n);
	(void)syntax_words(text, &words);
	strvec_fini(&words);
	free(text);
	return 0;
}
