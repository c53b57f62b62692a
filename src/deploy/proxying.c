/* SPDX-License-Identifier: MIT */
/* proxy boot, reboot, logs, details, config, remove. */
#include "deploy/container.h"
#include "deploy/hooks.h"
#include "deploy/operations.h"
#include "deploy/record.h"
#include "run.h"

#include "util/cancel.h"

#include <stdlib.h>
#include <string.h>

static int need_proxy(const struct deployment *d, struct error *err)
{
	if (d->config->proxy.enabled) {
		return 0;
	}
	return error_set(err, ERROR_USAGE, "'%s' has no proxy", d->config->file);
}

static int boot_one(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct proxy_config pc;
	struct proxy_boot_result result = {0};
	static const char *const what[] = {[PROXY_BOOTED] = "booted",
		[PROXY_STARTED] = "started again",
		[PROXY_RECONFIGURED] = "runs, configured anew",
		[PROXY_UNCHANGED] = "runs already"};
	(void)ctx;
	if (!t->selected || !target_proxied(d, t)) {
		return 0;
	}
	proxy_config_init(&pc, d->config);
	if ((!t->seen.networks[0].there &&
		    container_network(d, t, &d->config->networks.p[0], err) < 0) ||
		proxy_boot(t->host, &pc, &result, err) < 0) {
		return -1;
	}
	ui_done(d->ui, t->host->name, "proxy %s", what[result.outcome]);
	if (result.drift) {
		ui_warn(d->ui, t->host->name,
			"the proxy differs from the manifest: %s (deploy proxy reboot mends it)",
			result.drift);
	}
	free(result.drift);
	return 0;
}

static int reboot_one(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct proxy_config pc;
	struct proxy_reboot_result result;
	const size_t *turn = ctx;
	if (t != &d->targets[*turn] || !t->selected || !target_proxied(d, t)) {
		return 0;
	}
	proxy_config_init(&pc, d->config);
	ui_step(d->ui, t->host->name, "rebooting the proxy");
	if (proxy_reboot(t->host, &pc, d->config->proxy.drain_timeout_ms, &result, err) < 0) {
		return -1;
	}
	if (result.gap_ms > 0) {
		ui_done(d->ui, t->host->name, "proxy rebooted; new connections %s for %d ms",
			result.refused ? "were refused" : "waited", result.gap_ms);
	} else {
		ui_done(d->ui, t->host->name, "proxy booted: there was none");
	}
	if (result.refused) {
		ui_warn(d->ui, t->host->name, "the server cannot hold connections back: %s",
			result.refused);
		free(result.refused);
	}
	return 0;
}

/* One server after the other: the others serve meanwhile; and none more when one has failed. */
static int reboot_all(struct deployment *d, struct error *err)
{
	for (size_t i = 0; i < d->n; i++) {
		if (cancel_check(err) < 0 || deployment_each(d, reboot_one, &i, err) < 0) {
			return -1;
		}
	}
	return 0;
}

static int boot_all(struct deployment *d, struct error *err)
{
	return deployment_each(d, boot_one, NULL, err);
}

static int changed(struct deployment *d, const char *what,
	int (*fn)(struct deployment *d, struct error *err), struct error *err)
{
	int result = need_proxy(d, err);
	if (result == 0) {
		result = deployment_begin(d, err);
	}
	if (result == 0) {
		result = fn(d, err);
	}
	if (result == 0) {
		record_audit(d, what);
	}
	deployment_end(d);
	return result;
}

int operation_proxy_boot(struct deployment *d, struct error *err)
{
	return changed(d, "booted the proxy", boot_all, err);
}

int operation_proxy_reboot(struct deployment *d, struct error *err)
{
	if (hooks_run(d, "pre-proxy-reboot", NULL, NULL, err) < 0 ||
		changed(d, "rebooted the proxy", reboot_all, err) < 0) {
		return -1;
	}
	return hooks_run(d, "post-proxy-reboot", NULL, NULL, err);
}

/* -- Details -- */

static void show_details(
	struct deployment *d, const struct target *t, const struct proxy_details *p)
{
	const char *host = t->host->name;
	json_t *services = json_array();
	ui_print(d->ui, "%s: %s, %s", host, p->present ? p->status : "no proxy",
		p->present ? p->image : "");
	if (p->present) {
		ui_print(d->ui, "  version %s, ports %d and %d", p->version ? p->version : "?",
			p->http_port, p->https_port);
	}
	for (size_t i = 0; i < p->services_len; i++) {
		const struct proxy_state *s = &p->services[i];
		CLEANUP_STR struct str hosts = STR_INIT(STR_MAX_LINE);
		json_t *live = json_array();
		VEC_FOREACH (&s->hosts, j) {
			str_addf(&hosts, "%s%s", j ? ", " : "", s->hosts.p[j]);
		}
		ui_print(d->ui, "  %s%s%s for %s%s%s", s->service, *s->destination ? "@" : "",
			s->destination, hosts.len ? str_c(&hosts) : "every host",
			s->maintenance ? ", in maintenance" : "",
			s->edited ? ", edited by hand" : "");
		VEC_FOREACH (&s->live, j) {
			ui_print(d->ui, "    -> %s", s->live.p[j]);
			json_array_append_new(live, json_string(s->live.p[j]));
		}
		json_array_append_new(
			services, json_pack("{s:s, s:s, s:b, s:b, s:o}", "service", s->service,
					  "destination", s->destination, "maintenance",
					  s->maintenance, "edited", s->edited, "live", live));
	}
	ui_json(d->ui, json_pack("{s:s, s:s, s:b, s:s?, s:s?, s:o}", "result", "proxy", "host",
			       host, "running", p->running, "image", p->image, "version",
			       p->version, "services", services));
}

int operation_proxy_details(struct deployment *d, struct error *err)
{
	if (need_proxy(d, err) < 0 || deployment_look(d, err) < 0) {
		return -1;
	}
	for (size_t i = 0; i < d->n; i++) {
		struct target *t = &d->targets[i];
		struct proxy_details details = {0};
		if (!t->selected || !target_proxied(d, t)) {
			continue;
		}
		if (proxy_details(t->host, d->config->proxy.driver, &details, err) < 0) {
			return host_error(t->host, err);
		}
		show_details(d, t, &details);
		proxy_details_fini(&details);
	}
	return 0;
}

/* What the proxy would be told now: the manifest, with the containers that are live. */
int operation_proxy_config(struct deployment *d, struct error *err)
{
	struct plan_hosts hosts = {0};
	struct plan plan;
	struct run run;
	if (need_proxy(d, err) < 0 || deployment_load_secrets(d, SECRETS_PROXY, err) < 0 ||
		deployment_look(d, err) < 0) {
		return -1;
	}
	plan_init(&plan);
	run_init(&run, d, &plan, &hosts);
	int result = 0;
	for (size_t i = 0; result == 0 && i < d->n; i++) {
		struct target *t = &d->targets[i];
		if (!t->selected || !t->seen.proxy) {
			continue;
		}
		struct proxy_service *service = &run.targets[i].service;
		result = traffic_service(&run, t, err);
		if (result == 0) {
			strvec_copy(&service->live, &proxy_live(t->seen.proxy)->live);
			CLEANUP_FREE char *text = proxy_render(t->seen.proxy, service, err);
			result = text ? 0 : -1;
			if (text) {
				ui_print(d->ui, "# %s", t->host->name);
				ui_print(d->ui, "%s", text);
				ui_json(d->ui, json_pack("{s:s, s:s, s:s}", "result", "config",
						       "host", t->host->name, "text", text));
			}
		}
	}
	run_fini(&run);
	return result;
}

/* -- Remove -- */

static int others_on_proxy(struct deployment *d, struct target *t, struct error *err)
{
	struct proxy_details details = {0};
	CLEANUP_FREE char *own = proxy_service_key(d->config->service, d->config->destination);
	int result = proxy_details(t->host, d->config->proxy.driver, &details, err);
	for (size_t i = 0; result == 0 && i < details.services_len; i++) {
		const struct proxy_state *s = &details.services[i];
		CLEANUP_FREE char *key =
			proxy_service_key(s->service, *s->destination ? s->destination : NULL);
		if (!str_eq(key, own)) {
			error_set(err, ERROR_USAGE, "the proxy also serves '%s'", key);
			(void)error_hint(err, "remove that service first (deploy remove)");
			result = -1;
		}
	}
	proxy_details_fini(&details);
	return result;
}

static int remove_one(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	(void)ctx;
	if (!t->selected || !target_proxied(d, t)) {
		return 0;
	}
	if (others_on_proxy(d, t, err) < 0 ||
		proxy_remove(t->host, d->config->proxy.driver, false, err) < 0) {
		return -1;
	}
	ui_done(d->ui, t->host->name, "proxy removed");
	return 0;
}

static int remove_all(struct deployment *d, struct error *err)
{
	return deployment_each(d, remove_one, NULL, err);
}

int operation_proxy_remove(struct deployment *d, struct error *err)
{
	if (ui_confirm(d->ui, err, "Remove the proxy? Nothing of '%s' is reachable without it.",
		    d->config->service) < 0) {
		return -1;
	}
	return changed(d, "removed the proxy", remove_all, err);
}
