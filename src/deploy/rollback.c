/* SPDX-License-Identifier: MIT */
#include "cron.h"
#include "deploy/operations.h"
#include "run.h"
#include "schema.h"
#include "snapshot.h"
#include "state.h"

#include "util/clock.h"
#include "util/digest.h"

#include <stdlib.h>
#include <string.h>

static const struct release *choose(struct deployment *d, const char *version, struct error *err)
{
	const struct release *live = deployment_live(d);
	const struct release *to = version ? history_lookup(&d->history, version)
					   : history_previous_good(&d->history, live);
	if (!to) {
		error_set(err, ERROR_USAGE,
			version ? "no release with version '%s' is on record"
				: "there is no earlier release%s to go back to",
			version ? version : "");
		(void)error_hint(err, "deploy releases lists them");
		return NULL;
	}
	/* A rollback stands for the release whose containers it brought back. */
	const struct release *owner = history_owner(&d->history, to);
	to = owner ? owner : to;
	if (!release_was_good(to)) {
		error_set(err, ERROR_USAGE, "release %ld (%s) never took the traffic: it %s",
			to->number, to->version, release_outcome_name(to->outcome));
		return NULL;
	}
	if (live && live->runs == to->number) {
		error_set(err, ERROR_USAGE, "release %ld (%s) is what is live now", to->number,
			to->version);
		return NULL;
	}
	return to;
}

static void describe(
	struct run *r, const struct plan_request *req, const struct snapshots *snapshots)
{
	const struct release *to = req->back_to;
	struct deployment *d = r->d;
	const struct release *live = deployment_live(d);
	struct release *release = &r->release;
	release_copy(release, to);
	strmap_fini(&release->hosts);
	strvec_fini(&release->roles);
	strmap_fini(&release->snapshots);
	free(release->id);
	free(release->command);
	free(release->performer);
	free(release->operator_host);
	free(release->lock_host);
	free(release->error);
	free(release->ran);
	release->error = release->ran = NULL;
	release->number = r->plan->number;
	release->runs = to->number;
	release->replaced = live ? live->number : 0;
	release->outcome = RELEASE_PENDING;
	release->id = xcalloc(1, RELEASE_ID_HEX + 1);
	digest_random_hex(RELEASE_ID_HEX / 2, release->id);
	release->command = xstrdup("rollback");
	release->performer = xstrdup(d->performer);
	release->operator_host = xstrdup(d->operator_host);
	release->lock_host = xstrdup(d->targets[d->lock_target].address->name);
	release->started_ms = clock_wall_ms();
	release->finished_ms = 0;
	release->requests = release->failed_requests = -1;
	release->bytes_sent = 0;
	release->recovered = false;
	release->undoes = req->undo ? req->left->number : 0;
	release->restores = snapshots->len > 0;
	VEC_FOREACH (r->hosts, i) {
		if (r->hosts->p[i].selected) {
			strmap_set(&release->hosts, r->hosts->p[i].name, "pending");
		}
	}
	run_note_roles(r);
}

/* The old release serves already: a failure is one of the data alone. */
static void restore(struct run *r, const struct snapshots *snapshots)
{
	struct error failed = {0};
	if (snapshots_restore(r->d, snapshots, &failed) < 0) {
		r->late = failed;
		(void)error_wrap(&r->late, "release %ld is live, but its data are not restored",
			r->release.number);
	}
}

static int go_back(struct deployment *d, const struct rollback_options *options,
	const struct release *to, const struct snapshots *snapshots, struct error *err)
{
	const struct release *live = deployment_live(d);
	struct plan_hosts hosts = {0};
	struct plan plan;
	struct run run;
	plan_init(&plan);
	state_hosts(d, &hosts);
	struct plan_request req = {
		.config = d->config,
		.history = &d->history,
		.hosts = &hosts,
		.roles = &d->roles,
		.back_to = to,
		.left = live ? history_owner(&d->history, live) : NULL,
	};
	int result = schema_choose(d, options, &req, err);
	if (result == 0) {
		result = plan_release(&req, &plan, err);
	}
	if (result == 0) {
		result = cron_check(d, &plan, err);
	}
	if (result == 0) {
		run_init(&run, d, &plan, &hosts);
		describe(&run, &req, snapshots);
		result = run_execute(&run, err);
		if (result == 0) {
			restore(&run, snapshots);
		}
		result = run_finish(&run, result, err);
		run_fini(&run);
	}
	plan_fini(&plan);
	plan_hosts_fini(&hosts);
	return result;
}

int operation_rollback(
	struct deployment *d, const struct rollback_options *options, struct error *err)
{
	struct snapshots snapshots = {0};
	d->skip_hooks = options->skip_hooks;
	if (options->restore_snapshot) {
		deployment_add_accessories(d);
	}
	int result = deployment_begin(d, err);
	if (result == 0) {
		const struct release *to = choose(d, options->version, err);
		result = to ? 0 : -1;
		if (to && options->restore_snapshot) {
			result = snapshots_find(d, to, &snapshots, err);
		}
		if (result == 0) {
			result = go_back(d, options, to, &snapshots, err);
		}
	}
	deployment_end(d);
	snapshots_fini(&snapshots);
	return result;
}
