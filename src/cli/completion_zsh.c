/* SPDX-License-Identifier: MIT */
#include "internal.h"

static const char script_head[] = "#compdef deploy\n"
				  "# zsh completion for deploy; made by 'deploy completion zsh'\n"
				  "_deploy_destinations() {\n"
				  "\tlocal -a names\n"
				  "\tnames=({,config/}deploy.*.yml(N:t:r))\n"
				  "\tcompadd -- ${names#deploy.}\n"
				  "}\n"
				  "\n";

/* Text inside of '...[here]...': quotes and brackets would end it. */
static void add_quoted(struct str *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'') {
			str_add(out, "'\\''");
		} else if (*text == '[' || *text == ']' || *text == ':' || *text == '\\') {
			str_addf(out, "\\%c", *text);
		} else {
			str_addc(out, *text);
		}
	}
}

static void add_spec(struct str *out, const char *dashes, const char *name, const char *equals,
	const struct cli_option *o)
{
	const char *action = str_eq(o->name, "config-file")   ? "_files"
			     : str_eq(o->name, "destination") ? "_deploy_destinations"
							      : " ";

	str_addf(out, "\t\t%s'%s%s%s[", o->kind == CLI_COUNT || o->kind == CLI_LIST ? "\\*" : "",
		dashes, name, equals);
	add_quoted(out, o->help);
	str_add(out, "]");
	if (o->value != NULL) {
		str_addf(out, ":%s%s:%s", o->kind == CLI_WAIT ? ":" : "", o->value, action);
	}
	str_add(out, "' \\\n");
}

static void add_specs(struct str *out, const struct cli_option *table)
{
	for (const struct cli_option *o = table; o != NULL && o->name != NULL; o++) {
		char letter[2] = {o->letter, '\0'};

		if (o->letter != '\0') {
			add_spec(out, "-", letter, cli_option_wants_value(o) ? "+" : "", o);
		}
		add_spec(out, "--", o->name,
			cli_option_wants_value(o) ? "="
			: o->kind == CLI_WAIT     ? "=-"
						  : "",
			o);
	}
}

static void add_description(struct str *out, const char *name, const char *summary)
{
	str_addf(out, "\t\t'%s:", name);
	add_quoted(out, summary);
	str_add(out, "'\n");
}

static void add_lists(struct str *out)
{
	str_add(out, "_deploy_commands() {\n\tlocal -a list\n\tlist=(\n");
	for (size_t i = 0; command_table[i] != NULL; i++) {
		if (command_table[i]->group == NULL) {
			add_description(out, command_table[i]->name, command_table[i]->summary);
		}
	}
	for (const struct command_group *g = command_groups; g->name != NULL; g++) {
		if (command_find(NULL, g->name) == NULL) {
			add_description(out, g->name, g->summary);
		}
	}
	str_add(out, "\t)\n\t_describe command list\n}\n\n");
	for (const struct command_group *g = command_groups; g->name != NULL; g++) {
		str_addf(out, "_deploy_%s() {\n\tlocal -a list\n\tlist=(\n", g->name);
		for (size_t i = 0; command_table[i] != NULL; i++) {
			if (str_eq(command_table[i]->group, g->name)) {
				add_description(
					out, command_table[i]->name, command_table[i]->summary);
			}
		}
		str_addf(out, "\t)\n\t_describe '%s command' list\n}\n\n", g->name);
	}
}

static void add_dispatch(struct str *out)
{
	char path[COMMAND_PATH_SIZE];

	str_add(out, "\tcase $words[1] in\n");
	for (const struct command_group *g = command_groups; g->name != NULL; g++) {
		str_addf(out,
			"\t%s) (( CURRENT == 2 )) && _deploy_%s\n\t\tpath_=\"$words[1] $words[2]\" "
			";;\n",
			g->name, g->name);
	}
	str_add(out, "\tcompletion) compadd -- bash zsh fish ;;\n"
		     "\thelp) _deploy_commands ;;\n"
		     "\t*) path_=$words[1] ;;\n"
		     "\tesac\n"
		     "\tcase $path_ in\n");
	for (size_t i = 0; command_table[i] != NULL; i++) {
		if (command_table[i]->options != NULL) {
			str_addf(out, "\t'%s') _arguments -s -S \\\n",
				command_path(command_table[i], path));
			add_specs(out, command_table[i]->options);
			str_add(out, "\t\t$globals '*: :_default' ;;\n");
		}
	}
	str_add(out, "\t*) _arguments -s -S $globals '*: : ' ;;\n\tesac\n");
}

void completion_zsh(struct str *out)
{
	str_add(out, script_head);
	add_lists(out);
	str_add(out, "_deploy() {\n"
		     "\tlocal curcontext=$curcontext state path_\n"
		     "\tlocal -a globals\n"
		     "\tglobals=( \\\n");
	add_specs(out, cli_global_options);
	str_add(out,
		"\t)\n"
		"\t_arguments -C -s -S $globals '1: :_deploy_commands' '*:: :->rest' && return\n"
		"\t[[ $state == rest ]] || return\n");
	add_dispatch(out);
	str_add(out, "}\n\n_deploy \"$@\"\n");
}
