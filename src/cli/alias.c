/* SPDX-License-Identifier: MIT */
/*
 * Aliases of the manifest, as Kamal has them: the first word that is no command is replaced by the
 * words of the alias, and the line is read again.
 */
#include "internal.h"

#include "alias.h"
#include "manifest/syntax.h"

#include <stdlib.h>

/* argv with the word at `at` replaced; the words live in `words`. */
static void splice(
	const char *const *argv, size_t at, const struct strvec *words, struct cli_words *out)
{
	for (size_t i = 0; argv[i] != NULL; i++) {
		if (i != at) {
			vec_push(out, argv[i]);
			continue;
		}
		VEC_FOREACH (words, w) {
			vec_push(out, words->p[w]);
		}
	}
	vec_push(out, NULL);
}

int alias_expand(const struct cli *cli, const char *const *argv, const struct cli_parsed *parsed,
	struct strvec *words, struct cli_words *out, struct error *err)
{
	struct error load_error = {0};
	struct config *config = cli_load_config_quietly(&cli->globals, &load_error);
	const char *text = config != NULL ? strmap_get(&config->aliases, parsed->unknown) : NULL;
	const char *wrong = text != NULL ? syntax_words(text, words) : NULL;
	int status = 0;

	if (text == NULL) {
		status = cli_unknown_command(NULL, parsed->unknown, err);
	} else if (wrong != NULL || words->len == 0) {
		status = error_set(err, ERROR_MANIFEST, "alias '%s': %s", parsed->unknown,
			wrong != NULL ? wrong : "it is empty");
	} else {
		splice(argv, parsed->unknown_at, words, out);
	}
	config_free(config);
	return status;
}
