/* SPDX-License-Identifier: MIT */
#include "schema.h"

/* As it was when the release was made; for one that had none, today's: one may be written when the
 * need is there. */
static const char *undo_command(const struct deployment *d, const struct release *left)
{
	const json_t *release = json_object_get(left->config, "release");
	const char *own = json_string_value(json_object_get(release, "rollback_command"));
	return own ? own : d->config->release.rollback_command;
}

static void tell(struct deployment *d, const struct plan_request *req)
{
	struct strvec notes = {0};
	plan_schema_notes(req, &notes);
	VEC_FOREACH (&notes, i) {
		ui_warn(d->ui, NULL, "%s", notes.p[i]);
	}
	strvec_fini(&notes);
}

/* Is there anything that the command would take back? */
static bool nothing_to_undo(struct deployment *d, const struct rollback_options *options,
	const struct plan_request *req)
{
	const struct release *left = req->left;
	enum release_schema is = left ? history_schema(req->history, left) : SCHEMA_STAYED;
	if (left && left->number > req->back_to->number &&
		(is == SCHEMA_MOVED || is == SCHEMA_PERHAPS)) {
		return false;
	}
	if (options->migrations) {
		ui_info(d->ui, NULL, "--migrations: nothing to take back: %s",
			!left || left->number < req->back_to->number ? "this goes forward"
			: is == SCHEMA_BACK                          ? "that was done before"
					    : "the release command did not run");
	}
	return true;
}

static int ask(struct deployment *d, const struct release *left, const char *command, bool *run,
	struct error *err)
{
	enum ui_answer answer;
	if (ui_ask(d->ui, &answer, err,
		    "Run the rollback command of release %ld, '%s', in its image before the "
		    "traffic goes back?",
		    left->number, command) < 0) {
		return -1;
	}
	*run = answer == UI_YES;
	if (answer == UI_UNASKED) {
		ui_warn(d->ui, NULL,
			"the rollback command of release %ld, '%s', is not run: there is no "
			"terminal to ask on (--migrations runs it, --no-migrations does not)",
			left->number, command);
	}
	return 0;
}

int schema_choose(struct deployment *d, const struct rollback_options *options,
	struct plan_request *req, struct error *err)
{
	if (options->restore_snapshot) {
		return 0; /* the data come back with the schema that they had */
	}
	tell(d, req);
	if (nothing_to_undo(d, options, req)) {
		return 0;
	}
	const char *command = undo_command(d, req->left);
	bool run = options->migrations;
	if (!command && run) {
		error_set(
			err, ERROR_USAGE, "release %ld has no rollback command", req->left->number);
		return error_hint(err, "release: {rollback_command: ...} in the manifest");
	}
	if (!command || options->no_migrations) {
		return 0;
	}
	if (!run && ask(d, req->left, command, &run, err) < 0) {
		return -1;
	}
	if (run && !deployment_primary(d)) {
		error_set(err, ERROR_USAGE,
			"the rollback command cannot run: --hosts leaves out every host of role "
			"'%s'",
			d->config->primary_role->name);
		return error_hint(err, "--no-migrations goes back without it");
	}
	if (run) {
		req->undo = command;
		tell(d, req);
	}
	return 0;
}
