/* SPDX-License-Identifier: MIT */
#include "cli/option.h"

#include "manifest/diagnostic.h"

#include <string.h>

/* One option as it was met on the command line. */
struct met {
	const struct cli_option *option;
	void *values;
	char shown[80];    /* as typed, for errors: "--lines" or "-n" */
	const char *value; /* NULL: none was attached */
};

static void *member(void *values, const struct cli_option *option)
{
	return (char *)values + option->offset;
}

void cli_options_init(const struct cli_option_set *set)
{
	for (const struct cli_option *o = set->table; o != NULL && o->name != NULL; o++) {
		if (o->kind == CLI_NUMBER) {
			*(long *)member(set->values, o) = o->preset;
		}
	}
}

void cli_options_fini(const struct cli_option_set *set)
{
	for (const struct cli_option *o = set->table; o != NULL && o->name != NULL; o++) {
		if (o->kind == CLI_LIST) {
			strvec_fini(member(set->values, o));
		}
	}
}

bool cli_is_option(const char *argument)
{
	return argument[0] == '-' && argument[1] != '\0' && strcmp(argument, "--") != 0;
}

bool cli_option_wants_value(const struct cli_option *option)
{
	return option->kind == CLI_TEXT || option->kind == CLI_LIST || option->kind == CLI_NUMBER;
}

const struct cli_option *cli_option_find(
	const struct cli_option *table, const char *name, size_t name_len, char letter)
{
	for (const struct cli_option *o = table; o != NULL && o->name != NULL; o++) {
		if (name != NULL ? strlen(o->name) == name_len &&
					   strncmp(o->name, name, name_len) == 0
				 : letter != '\0' && o->letter == letter) {
			return o;
		}
	}
	return NULL;
}

static bool find(const struct cli_option_set *sets, size_t n, const char *name, size_t name_len,
	char letter, struct met *met)
{
	for (size_t i = 0; i < n; i++) {
		met->option = cli_option_find(sets[i].table, name, name_len, letter);
		if (met->option != NULL) {
			met->values = sets[i].values;
			return true;
		}
	}
	return false;
}

static int unknown(const struct cli_option_set *sets, size_t n, const char *name, struct error *err)
{
	VEC_TYPE(names, const char *) names = {0};

	for (size_t i = 0; i < n; i++) {
		for (const struct cli_option *o = sets[i].table; o != NULL && o->name != NULL;
			o++) {
			vec_push(&names, o->name);
		}
	}
	const char *nearest = diagnostics_nearest(name, names.p, names.len, sizeof(*names.p));

	vec_fini(&names);
	error_set(err, ERROR_USAGE, "unknown option '--%.60s'", name);
	if (nearest != NULL) {
		error_hint(err, "did you mean '--%s'?", nearest);
	}
	return -1;
}

static void split_list(struct strvec *list, const char *value)
{
	while (*value != '\0') {
		size_t len = strcspn(value, ",");

		if (len > 0) {
			strvec_pushf(list, "%.*s", (int)len, value);
		}
		value += len + (value[len] == ',');
	}
}

static int store_number(const struct met *met, struct error *err)
{
	const struct cli_option *o = met->option;
	long number;

	if (str_to_long(met->value, o->min, o->max, &number) < 0) {
		return error_set(err, ERROR_USAGE,
			"option '%s' needs a number between %ld and %ld, not '%.60s'", met->shown,
			o->min, o->max, met->value);
	}
	if (o->kind == CLI_WAIT) {
		*(int *)member(met->values, o) = (int)number;
	} else {
		*(long *)member(met->values, o) = number;
	}
	return 0;
}

static int store(const struct met *met, struct error *err)
{
	void *to = member(met->values, met->option);

	if (met->value != NULL && met->value[0] == '\0') {
		return error_set(err, ERROR_USAGE, "option '%s' needs a value that is not empty",
			met->shown);
	}
	switch (met->option->kind) {
	case CLI_FLAG:
		*(bool *)to = true;
		return 0;
	case CLI_COUNT:
		++*(int *)to;
		return 0;
	case CLI_TEXT:
		*(const char **)to = met->value;
		return 0;
	case CLI_LIST:
		split_list(to, met->value);
		return 0;
	case CLI_WAIT:
		if (met->value == NULL) {
			*(int *)to = -1;
			return 0;
		}
		return store_number(met, err);
	case CLI_NUMBER:
		return store_number(met, err);
	}
	return 0;
}

/* Takes the value from the next argument where the option needs one, then stores it. */
static int complete(struct met *met, const char *const *argv, size_t *at, struct error *err)
{
	if (met->value == NULL && cli_option_wants_value(met->option)) {
		if (argv[*at] == NULL) {
			return error_set(err, ERROR_USAGE, "option '%s' needs a value: %s",
				met->shown, met->option->value);
		}
		met->value = argv[(*at)++];
	}
	return store(met, err);
}

static int take_long(const struct cli_option_set *sets, size_t n, const char *const *argv,
	size_t *at, struct error *err)
{
	const char *name = argv[(*at)++] + 2;
	size_t len = strcspn(name, "=");
	struct met met = {.value = name[len] == '=' ? name + len + 1 : NULL};
	CLEANUP_FREE char *word = xstrndup(name, len);

	if (!find(sets, n, name, len, '\0', &met)) {
		return unknown(sets, n, word, err);
	}
	struct str shown = STR_INIT(sizeof(met.shown));

	str_addf(&shown, "--%s", met.option->name);
	memcpy(met.shown, str_c(&shown), shown.len + 1);
	str_fini(&shown);
	if (met.value != NULL && (met.option->kind == CLI_FLAG || met.option->kind == CLI_COUNT)) {
		return error_set(err, ERROR_USAGE, "option '%s' takes no value", met.shown);
	}
	return complete(&met, argv, at, err);
}

static int take_letters(const struct cli_option_set *sets, size_t n, const char *const *argv,
	size_t *at, struct error *err)
{
	const char *letters = argv[(*at)++] + 1;

	for (const char *l = letters; *l != '\0'; l++) {
		struct met met = {.shown = {'-', *l, '\0'}};

		if (!find(sets, n, NULL, 0, *l, &met)) {
			return error_set(err, ERROR_USAGE, "unknown option '-%.*s'",
				(unsigned char)*l < 0x80 ? 1 : (int)strlen(l), l);
		}
		if (cli_option_wants_value(met.option)) {
			met.value = l[1] != '\0' ? l + 1 : NULL;
			return complete(&met, argv, at, err);
		}
		if (store(&met, err) < 0) {
			return -1;
		}
	}
	return 0;
}

int cli_option_take(const struct cli_option_set *sets, size_t n, const char *const *argv,
	size_t *at, struct error *err)
{
	return argv[*at][1] == '-' ? take_long(sets, n, argv, at, err)
				   : take_letters(sets, n, argv, at, err);
}
