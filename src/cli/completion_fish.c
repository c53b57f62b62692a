/* SPDX-License-Identifier: MIT */
#include "internal.h"

static const char script_head[] =
	"# fish completion for deploy; made by 'deploy completion fish'\n"
	"function __deploy_destinations\n"
	"\tfor f in deploy.*.yml config/deploy.*.yml\n"
	"\t\tstring replace -r '^(?:.*/)?deploy\\.(.*)\\.yml$' '$1' -- $f\n"
	"\tend\n"
	"end\n"
	"\n"
	"# The words of the line without options: \"deploy app logs\" gives app and logs.\n"
	"function __deploy_words\n"
	"\tset -l skip 0\n"
	"\tfor word in (commandline -opc)[2..-1]\n"
	"\t\tif test $skip = 1\n"
	"\t\t\tset skip 0\n"
	"\t\t\tcontinue\n"
	"\t\tend\n"
	"\t\tswitch $word\n"
	"\t\t\tcase -c --config-file -d --destination --hosts --roles --version --parallel\n"
	"\t\t\t\tset skip 1\n"
	"\t\t\tcase '-*'\n"
	"\t\t\tcase '*'\n"
	"\t\t\t\techo $word\n"
	"\t\tend\n"
	"\tend\n"
	"end\n"
	"\n"
	"function __deploy_at\n"
	"\tset -l words (__deploy_words)\n"
	"\ttest \"$words\" = \"$argv\"\n"
	"end\n"
	"\n"
	"function __deploy_in\n"
	"\tset -l words (__deploy_words)\n"
	"\ttest \"$words[1..\"(count $argv)\"]\" = \"$argv\"\n"
	"end\n"
	"\n"
	"complete -c deploy -f\n";

static void add_quoted(struct str *out, const char *text)
{
	str_addc(out, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\') {
			str_addc(out, '\\');
		}
		str_addc(out, *text);
	}
	str_addc(out, '\'');
}

static void add_options(struct str *out, const char *path, const struct cli_option *table)
{
	for (const struct cli_option *o = table; o != NULL && o->name != NULL; o++) {
		str_add(out, "complete -c deploy");
		if (path != NULL) {
			str_addf(out, " -n '__deploy_in %s'", path);
		}
		str_addf(out, " -l %s", o->name);
		if (o->letter != '\0') {
			str_addf(out, " -s %c", o->letter);
		}
		if (str_eq(o->name, "config-file")) {
			str_add(out, " -rF");
		} else if (str_eq(o->name, "destination")) {
			str_add(out, " -x -a '(__deploy_destinations)'");
		} else if (cli_option_wants_value(o)) {
			str_add(out, " -x");
		}
		str_add(out, " -d ");
		add_quoted(out, o->help);
		str_addc(out, '\n');
	}
}

static void add_word(struct str *out, const char *at, const char *word, const char *summary)
{
	str_addf(out, "complete -c deploy -n '__deploy_at%s%s' -a %s -d ", at[0] != '\0' ? " " : "",
		at, word);
	add_quoted(out, summary);
	str_addc(out, '\n');
}

void completion_fish(struct str *out)
{
	char path[COMMAND_PATH_SIZE];

	str_add(out, script_head);
	add_options(out, NULL, cli_global_options);
	for (const struct command_group *g = command_groups; g->name != NULL; g++) {
		if (command_find(NULL, g->name) == NULL) {
			add_word(out, "", g->name, g->summary);
		}
	}
	for (size_t i = 0; command_table[i] != NULL; i++) {
		const struct command *c = command_table[i];

		add_word(out, c->group != NULL ? c->group : "", c->name, c->summary);
		add_options(out, command_path(c, path), c->options);
	}
	str_add(out, "complete -c deploy -n '__deploy_at completion' -a 'bash zsh fish'\n");
}
