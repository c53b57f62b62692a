/* SPDX-License-Identifier: MIT */
/*
 * TEMPORARY, goes before issue 2 is closed: weak stand-ins so that the executable links while the
 * deploy and manifest layers are written.  A real definition in the library wins (link_whole).
 */
#include "deploy/operations.h"
#include "ui/ui.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

#define PENDING __attribute__((weak))

static int pending(struct error *err)
{
	return error_set(err, ERROR_INTERNAL, "not written yet");
}

PENDING int operation_push(
	struct deployment *d, const struct push_options *options, struct error *err)
{
	return pending(err);
}

PENDING int operation_rollback(
	struct deployment *d, const struct rollback_options *options, struct error *err)
{
	return pending(err);
}

PENDING int operation_plan(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_build(struct deployment *d, bool push, struct error *err)
{
	return pending(err);
}

PENDING int operation_status(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_releases_list(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_releases_show(struct deployment *d, long number, struct error *err)
{
	return pending(err);
}

PENDING int operation_releases_diff(struct deployment *d, long from, long to, struct error *err)
{
	return pending(err);
}

PENDING int operation_app_logs(
	struct deployment *d, const struct logs_options *options, struct error *err)
{
	return pending(err);
}

PENDING int operation_app_exec(struct deployment *d, const struct exec_options *options,
	int *exit_status, struct error *err)
{
	return pending(err);
}

PENDING int operation_app_start(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_app_stop(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_app_restart(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_app_containers(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_app_version(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_app_maintenance(struct deployment *d, const char *message, struct error *err)
{
	return pending(err);
}

PENDING int operation_app_live(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_proxy_boot(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_proxy_reboot(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_proxy_logs(
	struct deployment *d, const struct logs_options *options, struct error *err)
{
	return pending(err);
}

PENDING int operation_proxy_details(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_proxy_config(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_proxy_remove(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_exec(
	struct deployment *d, const char *const *argv, int *exit_status, struct error *err)
{
	return pending(err);
}

PENDING int operation_lock_status(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_lock_acquire(struct deployment *d, const char *message, struct error *err)
{
	return pending(err);
}

PENDING int operation_lock_release(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_audit(struct deployment *d, long lines, struct error *err)
{
	return pending(err);
}

PENDING int operation_prune(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_remove(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING int operation_check(struct deployment *d, struct error *err)
{
	return pending(err);
}

PENDING struct deployment *deployment_new(const struct deployment_request *req, struct error *err)
{
	pending(err);
	return NULL;
}

PENDING void deployment_free(struct deployment *d)
{
}

PENDING char *config_to_yaml(const struct config *c)
{
	return xstrdup("");
}

PENDING json_t *config_to_json(const struct config *c)
{
	return json_object();
}

PENDING void config_secret_names(const struct config *c, struct config_secret_uses *out)
{
}
