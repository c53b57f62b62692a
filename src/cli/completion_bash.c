/* SPDX-License-Identifier: MIT */
#include "internal.h"

/* Destinations are the middle parts of deploy.NAME.yml, in both places of a manifest. */
static const char script_head[] =
	"# bash completion for deploy; made by 'deploy completion bash'\n"
	"_deploy_destinations() {\n"
	"\tlocal f\n"
	"\tfor f in deploy.*.yml config/deploy.*.yml; do\n"
	"\t\t[[ -e $f ]] || continue\n"
	"\t\tf=${f##*/deploy.}\n"
	"\t\tf=${f#deploy.}\n"
	"\t\tprintf '%s\\n' \"${f%.yml}\"\n"
	"\tdone\n"
	"}\n"
	"\n"
	"_deploy() {\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"\tlocal word path='' skip='' options='' words='' i\n"
	"\t[[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
	"\t[[ $cur == = ]] && cur=\n"
	"\tCOMPREPLY=()\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tif [[ $word == = ]]; then\n"
	"\t\t\tskip=1\n"
	"\t\t\tcontinue\n"
	"\t\tfi\n"
	"\t\tif [[ $skip ]]; then\n"
	"\t\t\tskip=\n"
	"\t\t\tcontinue\n"
	"\t\tfi\n"
	"\t\tcase \"$path $word\" in\n"
	"\t\t";

static void add_words(struct str *out, const struct cli_option *table)
{
	for (const struct cli_option *o = table; o != NULL && o->name != NULL; o++) {
		str_addf(out, " --%s", o->name);
		if (o->letter != '\0') {
			str_addf(out, " -%c", o->letter);
		}
	}
}

/* Options of all commands that take the next word, as a case pattern without its closing ')'. */
static void add_value_pattern(struct str *out)
{
	const char *before = "";

	for (const struct cli_option *o = cli_global_options; o->name != NULL; o++) {
		if (cli_option_wants_value(o)) {
			str_addf(out, "%s*' --%s'", before, o->name);
			before = "|";
			if (o->letter != '\0') {
				str_addf(out, "|*' -%c'", o->letter);
			}
		}
	}
}

/* The same for a command's own: a letter may be a flag of another one. */
static void add_own_pattern(struct str *out, const struct command *c)
{
	char path[COMMAND_PATH_SIZE];

	for (const struct cli_option *o = c->options; o != NULL && o->name != NULL; o++) {
		if (cli_option_wants_value(o)) {
			str_addf(out, "|'%s --%s'", command_path(c, path), o->name);
			if (o->letter != '\0') {
				str_addf(out, "|'%s -%c'", path, o->letter);
			}
		}
	}
}

static void add_groups(struct str *out)
{
	for (const struct command_group *g = command_groups; g->name != NULL; g++) {
		str_addf(out, "\t%s) words='", g->name);
		for (size_t i = 0; command_table[i] != NULL; i++) {
			if (str_eq(command_table[i]->group, g->name)) {
				str_addf(out, "%s ", command_table[i]->name);
			}
		}
		str_addf(out, "' ;;\n");
	}
}

static void add_top_words(struct str *out)
{
	for (size_t i = 0; command_table[i] != NULL; i++) {
		if (command_table[i]->group == NULL) {
			str_addf(out, "%s ", command_table[i]->name);
		}
	}
	for (const struct command_group *g = command_groups; g->name != NULL; g++) {
		if (command_find(NULL, g->name) == NULL) {
			str_addf(out, "%s ", g->name);
		}
	}
}

/* Which words make the command: two where the first is a group's and the second its command's. */
static void add_path_rule(struct str *out)
{
	str_add(out, "\t\t-*) ;;\n"
		     "\t\t*)\n"
		     "\t\t\tcase $path in\n"
		     "\t\t\t'') path=$word ;;\n"
		     "\t\t\t");
	for (const struct command_group *g = command_groups; g->name != NULL; g++) {
		str_addf(out, "%s%s", g == command_groups ? "" : "|", g->name);
	}
	str_add(out, ") path=\"$path $word\" ;;\n"
		     "\t\t\tesac ;;\n"
		     "\t\tesac\n"
		     "\tdone\n");
}

void completion_bash(struct str *out)
{
	char path[COMMAND_PATH_SIZE];

	str_add(out, script_head);
	add_value_pattern(out);
	for (size_t i = 0; command_table[i] != NULL; i++) {
		add_own_pattern(out, command_table[i]);
	}
	str_add(out, ") skip=1 ;;\n"
		     "\t\tesac\n"
		     "\t\tcase $word in\n"
		     "\t\t--) [[ $path ]] && return ;;\n");
	add_path_rule(out);
	str_add(out,
		"\tcase $prev in\n"
		"\t-c|--config-file) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n"
		"\t-d|--destination) words=$(_deploy_destinations) ;;\n"
		"\tesac\n"
		"\tif [[ $skip ]]; then\n"
		"\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
		"\t\treturn\n"
		"\tfi\n"
		"\toptions='");
	add_words(out, cli_global_options);
	str_add(out, "'\n\tcase $path in\n");
	for (size_t i = 0; command_table[i] != NULL; i++) {
		if (command_table[i]->options != NULL) {
			str_addf(out, "\t'%s') options+='", command_path(command_table[i], path));
			add_words(out, command_table[i]->options);
			str_add(out, "' ;;\n");
		}
	}
	str_add(out, "\tesac\n\tcase $path in\n\t''|help) words='");
	add_top_words(out);
	str_add(out, "' ;;\n\tcompletion) words='bash zsh fish' ;;\n");
	add_groups(out);
	str_add(out, "\tesac\n"
		     "\t[[ $cur == -* ]] && words=$options\n"
		     "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
		     "}\n"
		     "complete -F _deploy deploy\n");
}
