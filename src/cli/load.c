/* SPDX-License-Identifier: MIT */
/* The manifest for a command, and its mistakes for the user. */
#include "internal.h"

#include <stdlib.h>

static struct config *load(
	const struct cli_globals *globals, struct diagnostics *diags, struct error *err)
{
	const char *destination = globals->destination;
	struct config_request request = {.file = globals->config_file};

	if (destination == NULL) {
		destination = getenv("DEPLOY_DESTINATION");
	}
	request.destination = destination != NULL && destination[0] != '\0' ? destination : NULL;
	return config_load(&request, diags, err);
}

static json_t *diagnostic_json(const struct diagnostic *d)
{
	return json_pack("{s:s, s:s, s:s?, s:i, s:i, s:s?, s:s?, s:s?}", "event", "diagnostic",
		"level", d->level == DIAGNOSTIC_ERROR ? "error" : "warning", "file", d->file,
		"line", d->line, "column", d->column, "message", d->message, "source", d->source,
		"hint", d->hint);
}

void cli_show_diagnostics(struct ui *ui, const struct diagnostics *diags, bool color)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);

	if (ui_is_json(ui)) {
		VEC_FOREACH (diags, i) {
			ui_json(ui, diagnostic_json(&diags->p[i]));
		}
		return;
	}
	diagnostics_render(diags, color, &text);
	if (text.len > 0) {
		ui_note(ui, str_c(&text));
	}
}

struct config *cli_load_config(const struct cli_globals *globals, struct ui *ui, struct error *err)
{
	struct diagnostics diags = {0};
	struct config *config = load(globals, &diags, err);

	if (config == NULL || !globals->quiet) {
		cli_show_diagnostics(ui, &diags, cli_wants_color(globals));
	}
	diagnostics_fini(&diags);
	return config;
}

struct config *cli_load_config_quietly(const struct cli_globals *globals, struct error *err)
{
	struct diagnostics diags = {0};
	struct config *config = load(globals, &diags, err);

	diagnostics_fini(&diags);
	return config;
}
