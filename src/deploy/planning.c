/* SPDX-License-Identifier: MIT */
/* plan and build: what can be seen or made without touching a server. */
#include "builder.h"
#include "certificates.h"
#include "deploy/operations.h"
#include "run.h"
#include "state.h"

#include <stdlib.h>

static int make_plan(struct deployment *d, const struct version *v, struct plan_hosts *hosts,
	struct plan *plan, struct error *err)
{
	struct plan_request req = {
		.config = d->config,
		.history = &d->history,
		.hosts = hosts,
		.roles = &d->roles,
		.version = v->version,
	};
	if (plan_mend(&req, plan, err) < 0) {
		return -1;
	}
	secrets_changes(d, &plan->notes);
	return plan_release(&req, plan, err);
}

/* What the manifest says otherwise than when the live release was made. */
static json_t *show_config_changes(struct deployment *d, const struct release *live)
{
	json_t *changes = json_array();
	CLEANUP_JSON json_t *now = config_to_json(d->config);
	if (live && live->config && !json_equal(live->config, now)) {
		ui_print(d->ui, "configuration");
		releases_diff_config(d, live->config, now, changes);
	}
	return changes;
}

static void show_plan(struct deployment *d, const struct plan *plan, const struct plan_hosts *hosts)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
	const struct release *live = deployment_live(d);
	if (live) {
		ui_print(d->ui, "live: release %ld, version %s", live->number, live->version);
	}
	json_t *changes = show_config_changes(d, live);
	plan_text(plan, hosts, &text);
	if (!ui_is_json(d->ui)) {
		ui_write(d->ui, str_c(&text), text.len);
	}
	json_t *j = plan_json(plan, hosts);
	json_object_set_new(j, "config", changes);
	ui_json(d->ui, j);
}

int operation_plan(struct deployment *d, struct error *err)
{
	struct version version = {0};
	struct plan_hosts hosts = {0};
	struct plan plan;
	plan_init(&plan);
	deployment_add_accessories(d);
	int result = version_resolve(d, &version, err);
	if (result == 0) {
		result = deployment_load_secrets(d, SECRETS_ALL, err);
	}
	if (result == 0) {
		result = certificates_check(d, err);
	}
	if (result == 0) {
		result = deployment_look(d, err);
	}
	if (result == 0) {
		deployment_tell_left(d);
		state_hosts(d, &hosts);
		result = make_plan(d, &version, &hosts, &plan, err);
	}
	if (result == 0) {
		show_plan(d, &plan, &hosts);
	}
	plan_fini(&plan);
	plan_hosts_fini(&hosts);
	version_fini(&version);
	return result;
}

static int publish(struct builder *b, struct error *err)
{
	struct image_source_request req = {
		.docker = b->host->docker,
		.builder_host = b->host->ssh ? b->host->name : NULL,
		.ui = b->d->ui,
		.image = b->result.id,
		.tags = &b->result.tags,
	};
	struct image_source *image = image_source_open(&req, err);
	int result = image ? image_source_publish(image, &b->auth, err) : -1;
	image_source_free(image);
	return result;
}

static void show_built(struct deployment *d, const struct builder *b)
{
	json_t *tags = json_array();
	VEC_FOREACH (&b->result.tags, i) {
		ui_print(d->ui, "%s%s", b->result.tags.p[i],
			i == 0 && b->result.reused ? " (was built already)" : "");
		json_array_append_new(tags, json_string(b->result.tags.p[i]));
	}
	ui_json(d->ui, json_pack("{s:s, s:s, s:b, s:o}", "result", "build", "id", b->result.id,
			       "reused", b->result.reused, "tags", tags));
}

int operation_build(struct deployment *d, bool push, struct error *err)
{
	struct version version = {0};
	struct builder builder = {0};
	int result = version_resolve(d, &version, err);
	if (result == 0) {
		result = deployment_load_secrets(d, SECRETS_ALL, err);
	}
	if (result == 0) {
		result = builder_open(&builder, d, &version, err);
	}
	if (result == 0) {
		result = builder_build(&builder, false, err);
	}
	if (result == 0 && push && d->config->registry.enabled) {
		result = publish(&builder, err);
	}
	if (result == 0) {
		show_built(d, &builder);
	}
	builder_fini(&builder);
	version_fini(&version);
	return result;
}
