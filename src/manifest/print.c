/* SPDX-License-Identifier: MIT */
/* The configuration back in the words of the manifest. */
#include "print.h"

#include <stdio.h>
#include <string.h>

void put_text(json_t *o, const char *key, const char *text)
{
	if (text != NULL) {
		json_object_set_new(o, key, json_string(text));
	}
}

static void put_bool(json_t *o, const char *key, bool value)
{
	json_object_set_new(o, key, json_boolean(value));
}

void put_int(json_t *o, const char *key, int64_t value)
{
	json_object_set_new(o, key, json_integer(value));
}

void put_ms(json_t *o, const char *key, int ms)
{
	if (ms % 1000 == 0) {
		put_int(o, key, ms / 1000);
	} else {
		json_object_set_new(o, key, json_sprintf("%dms", ms));
	}
}

void put_new(json_t *o, const char *key, json_t *value)
{
	if (json_object_size(value) == 0 && json_array_size(value) == 0) {
		json_decref(value);
	} else {
		json_object_set_new(o, key, value);
	}
}

static json_t *list_of(const struct strvec *v)
{
	json_t *a = json_array();

	VEC_FOREACH (v, i) {
		json_array_append_new(a, json_string(v->p[i]));
	}
	return a;
}

static json_t *map_of(const struct strmap *m)
{
	json_t *o = json_object();

	for (size_t i = 0; i < m->len; i++) {
		put_text(o, m->p[i].key, m->p[i].value);
	}
	return o;
}

void put_list(json_t *o, const char *key, const struct strvec *v)
{
	put_new(o, key, list_of(v));
}

void put_map(json_t *o, const char *key, const struct strmap *m)
{
	put_new(o, key, map_of(m));
}

static json_t *env_json(const struct config_env *env)
{
	json_t *e = json_object();
	json_t *secrets = json_array();

	VEC_FOREACH (&env->secret, i) {
		const struct config_secret_ref *r = &env->secret.p[i];
		bool same = strcmp(r->name, r->from) == 0;

		if (r->of_file) {
			continue;
		}
		json_array_append_new(secrets,
			same ? json_string(r->name) : json_sprintf("%s:%s", r->name, r->from));
	}
	put_map(e, "clear", &env->clear);
	put_new(e, "secret", secrets);
	return e;
}

void put_env(json_t *o, const struct config_env *env)
{
	put_new(o, "env", env_json(env));
	put_list(o, "env_file", &env->files);
}

/* The service's, with those of the tags. */
static void put_whole_env(json_t *o, const struct config *c)
{
	json_t *e = env_json(&c->env);
	json_t *tags = json_object();

	VEC_FOREACH (&c->env_tags, i) {
		json_object_set_new(tags, c->env_tags.p[i].name, env_json(&c->env_tags.p[i].env));
	}
	put_new(e, "tags", tags);
	put_new(o, "env", e);
	put_list(o, "env_file", &c->env.files);
}

void put_options(json_t *o, const struct config_options *options)
{
	json_t *out = json_object();

	VEC_FOREACH (options, i) {
		const struct config_option *option = &options->p[i];

		if (option->values.len == 1) {
			put_text(out, option->name, option->values.p[0]);
		} else {
			json_object_set_new(out, option->name, list_of(&option->values));
		}
	}
	put_new(o, "options", out);
}

void put_logging(json_t *o, const struct config_logging *logging)
{
	json_t *out = json_object();

	put_text(out, "driver", logging->driver);
	put_map(out, "options", &logging->options);
	put_new(o, "logging", out);
}

static json_t *host_text(const struct config_host *h)
{
	bool v6 = strchr(h->name, ':') != NULL && h->port > 0;
	char port[16] = "";

	if (h->port > 0) {
		snprintf(port, sizeof(port), ":%d", h->port);
	}
	return json_sprintf("%s%s%s%s%s%s", h->user != NULL ? h->user : "",
		h->user != NULL ? "@" : "", v6 ? "[" : "", h->name, v6 ? "]" : "", port);
}

void put_hosts(json_t *o, const struct config_hosts *hosts)
{
	json_t *list = json_array();

	VEC_FOREACH (hosts, i) {
		json_t *text = host_text(&hosts->p[i]);

		if (hosts->p[i].tags.len > 0) {
			json_t *tagged = json_object();

			put_list(tagged, json_string_value(text), &hosts->p[i].tags);
			json_decref(text);
			text = tagged;
		}
		json_array_append_new(list, text);
	}
	json_object_set_new(o, "hosts", list);
}

void put_networks(json_t *o, const struct config_network_ptrs *networks)
{
	json_t *list = json_array();

	VEC_FOREACH (networks, i) {
		json_array_append_new(list, json_string(networks->p[i]->key));
	}
	put_new(o, "networks", list);
}

static void put_all_networks(json_t *o, const struct config *c)
{
	json_t *all = json_object();

	for (size_t i = 1; i < c->networks.len; i++) {
		const struct config_network *n = &c->networks.p[i];
		json_t *one = json_object();

		put_bool(one, n->external ? "external" : "internal", n->external || n->internal);
		put_text(one, "name", n->external ? n->name : NULL);
		json_object_set_new(all, n->key, one);
	}
	put_new(o, "networks", all);
}

static void put_crons(json_t *o, const struct config_role *role)
{
	json_t *all = json_object();

	VEC_FOREACH (&role->crons, i) {
		const struct config_cron *cron = &role->crons.p[i];
		json_t *list = json_object_get(all, cron->schedule);

		if (list == NULL) {
			list = json_array();
			json_object_set_new(all, cron->schedule, list);
		}
		json_array_append_new(list, json_string(cron->cmd));
	}
	put_new(o, "cron", all);
}

json_t *print_health(const struct config_health *h)
{
	json_t *o = json_object();

	switch (h->kind) {
	case CONFIG_HEALTH_HTTP:
		put_text(o, "path", h->path);
		put_int(o, "port", h->port);
		break;
	case CONFIG_HEALTH_TCP:
		json_object_set_new(o, "tcp", json_sprintf("%d", h->port));
		break;
	case CONFIG_HEALTH_CMD:
		put_text(o, "cmd", h->cmd);
		break;
	case CONFIG_HEALTH_DOCKER:
		put_bool(o, "docker", true);
		break;
	case CONFIG_HEALTH_RUNNING:
		json_decref(o);
		return json_false();
	}
	put_ms(o, "interval", h->interval_ms);
	put_ms(o, "timeout", h->timeout_ms);
	return o;
}

static json_t *run_json(const struct config_proxy *p)
{
	json_t *o = json_object();

	if (p->publish) {
		put_int(o, "http_port", p->http_port);
		put_int(o, "https_port", p->https_port);
		put_list(o, "bind_ips", &p->bind_ips);
	} else {
		put_bool(o, "publish", false);
	}
	if (p->metrics_port > 0) {
		put_int(o, "metrics_port", p->metrics_port);
		put_text(o, "metrics_ip", p->metrics_ip);
	}
	put_bool(o, "debug", p->debug);
	put_text(o, "log_max_size", p->log_max_size);
	put_options(o, &p->options);
	return o;
}

static void put_rate_limits(json_t *o, const struct config_proxy *p)
{
	json_t *all = json_array();

	VEC_FOREACH (&p->rate_limits, i) {
		const struct config_rate_limit *l = &p->rate_limits.p[i];
		json_t *one = json_object();

		put_text(one, "path", l->path);
		json_object_set_new(
			one, "rate", json_sprintf("%d/%s", l->requests, l->per_minute ? "m" : "s"));
		put_int(one, "burst", l->burst);
		json_array_append_new(all, one);
	}
	put_new(o, "rate_limits", all);
}

static json_t *tls_json(const struct config_tls_settings *s)
{
	json_t *o = json_object();

	if (s->only_13) {
		put_text(o, "min_version", "1.3");
	}
	put_list(o, "ciphers", &s->ciphers);
	if (s->hsts) {
		put_bool(o, "hsts", true);
	}
	return o;
}

static json_t *acme_json(const struct config *c, const struct config_acme *a)
{
	json_t *o = json_object();

	if (a->email != NULL) {
		put_text(o, "email", a->email);
	}
	if (a->server != NULL) {
		put_text(o, "server", a->server);
	}
	if (a->ca != NULL) {
		put_text(o, "ca", print_below(c, a->ca));
	}
	return o;
}

static void put_balancing(json_t *o, const struct config_balancing *s)
{
	json_t *balancing = json_object(), *sticky = json_object();

	if (s->policy != CONFIG_BALANCE_DEFAULT) {
		put_text(balancing, "policy", config_balance_names[s->policy]);
	}
	if (s->cookie) {
		put_text(sticky, "cookie", s->cookie);
		put_bool(sticky, "secure", s->secure);
		if (s->max_age_s > 0) {
			json_object_set_new(
				sticky, "max_age", json_sprintf("%llds", (long long)s->max_age_s));
		}
	}
	put_new(balancing, "sticky", sticky);
	put_new(o, "load_balancing", balancing);
}

static json_t *proxy_json(const struct config *c, const struct config_proxy *p)
{
	json_t *o = json_object();
	json_t *buffering = json_object();
	json_t *logging = json_object();

	put_text(o, "driver", p->driver);
	put_text(o, "image", p->image);
	put_list(o, "hosts", &p->hosts);
	put_int(o, "app_port", p->app_port);
	if (p->tls == CONFIG_TLS_GIVEN) {
		json_object_set_new(o, "ssl",
			json_pack("{s:s*, s:s*}", "certificate_pem", p->certificate_secret,
				"private_key_pem", p->private_key_secret));
	} else {
		put_bool(o, "ssl", p->tls == CONFIG_TLS_AUTO);
	}
	put_new(o, "tls", tls_json(&p->tls_settings));
	put_new(o, "acme", acme_json(c, &p->acme));
	put_bool(o, "ssl_redirect", p->ssl_redirect);
	put_list(o, "path_prefixes", &p->path_prefixes);
	put_bool(o, "strip_path_prefix", p->strip_path_prefix);
	json_object_set_new(o, "healthcheck", print_health(&p->health));
	put_ms(o, "response_timeout", p->response_timeout_ms);
	put_bool(buffering, "requests", p->buffer_requests);
	put_bool(buffering, "responses", p->buffer_responses);
	put_int(buffering, "max_request_body", p->max_request_body);
	put_new(o, "buffering", buffering);
	put_map(o, "response_headers", &p->response_headers);
	put_bool(o, "compress", p->compress);
	put_rate_limits(o, p);
	put_balancing(o, &p->balancing);
	put_text(o, "circuit_breaker", p->circuit_breaker);
	if (p->snippet) {
		put_text(o, "snippet", print_below(c, p->snippet));
	}
	put_bool(o, "forward_headers", p->forward_headers);
	put_list(logging, "request_headers", &p->log_request_headers);
	put_list(logging, "response_headers", &p->log_response_headers);
	put_new(o, "logging", logging);
	put_new(o, "run", run_json(p));
	return o;
}

/* A role that is not the primary one says by itself whether it has the proxy. */
static void put_life(json_t *o, const struct config *c, const struct config_role *role)
{
	if (role->crons.len > 0) {
		put_crons(o, role);
		return;
	}
	put_int(o, "replicas", role->replicas);
	if (role->proxied) {
		if (role != c->primary_role) {
			json_object_set_new(o, "proxy", proxy_json(c, role->proxy));
		}
		return;
	}
	put_bool(o, "proxy", false);
	if (role->health.kind != CONFIG_HEALTH_RUNNING) {
		json_object_set_new(o, "healthcheck", print_health(&role->health));
	}
	put_text(o, "order", role->stop_first ? "stop-first" : "start-first");
}

static json_t *role_json(const struct config *c, const struct config_role *role)
{
	json_t *o = json_object();

	put_hosts(o, &role->hosts);
	put_text(o, "cmd", role->cmd);
	put_life(o, c, role);
	put_env(o, &role->env);
	put_options(o, &role->options);
	put_map(o, "labels", &role->labels);
	put_list(o, "volumes", &role->volumes);
	if (role->networks.len > 1 || role->networks.p[0] != &c->networks.p[0]) {
		put_networks(o, &role->networks);
	}
	put_logging(o, &role->logging);
	put_ms(o, "stop_timeout", role->stop_timeout_ms);
	if (role->asset_path != NULL) {
		json_object_set_new(o, "asset_path",
			json_sprintf("%s%s%s", role->asset_path,
				role->asset_mount != NULL ? ":" : "",
				role->asset_mount != NULL ? role->asset_mount : ""));
	}
	return o;
}

json_t *print_registry(const struct config_registry *r)
{
	json_t *o = json_object();

	put_text(o, "server", r->server);
	put_text(o, "username", r->username);
	if (r->username_secret != NULL) {
		json_object_set_new(o, "username", json_pack("[s]", r->username_secret));
	}
	if (r->password_secret != NULL) {
		json_object_set_new(o, "password", json_pack("[s]", r->password_secret));
	}
	return o;
}

const char *print_below(const struct config *c, const char *path)
{
	size_t n = strcmp(c->root, "/") == 0 ? 0 : strlen(c->root);

	if (strncmp(path, c->root, n) != 0 || (path[n] != '/' && path[n] != '\0')) {
		return path;
	}
	return path[n] == '\0' || path[n + 1] == '\0' ? "." : path + n + 1;
}

static json_t *builder_json(const struct config *c)
{
	const struct config_builder *b = &c->builder;
	json_t *o = json_object();

	put_list(o, "arch", &b->arch);
	if (b->context_kind == CONFIG_CONTEXT_DIR) {
		put_text(o, "context", print_below(c, b->context));
	}
	put_text(o, "dockerfile", b->dockerfile);
	put_text(o, "target", b->target);
	put_map(o, "args", &b->args);
	put_list(o, "secrets", &b->secrets);
	put_list(o, "tags", &b->tags);
	put_text(o, "remote", b->remote);
	put_bool(o, "local", b->local);
	put_bool(o, "no_cache", b->no_cache);
	put_bool(o, "pull", b->pull);
	return o;
}

static json_t *ssh_json(const struct config_ssh *s)
{
	json_t *o = json_object();

	put_text(o, "user", s->user);
	if (s->port > 0) {
		put_int(o, "port", s->port);
	}
	put_text(o, "proxy", s->proxy);
	put_list(o, "keys", &s->keys);
	put_list(o, "key_data", &s->key_data_secrets);
	put_bool(o, "keys_only", s->keys_only);
	if (s->config_files.len > 0) {
		put_list(o, "config", &s->config_files);
	} else {
		put_bool(o, "config", s->use_config);
	}
	put_text(o, "known_hosts", s->known_hosts);
	put_text(o, "host_key_check",
		s->host_key_check == CONFIG_HOST_KEY_ACCEPT_NEW ? "accept-new" : "strict");
	if (s->connect_timeout_ms > 0) {
		put_ms(o, "connect_timeout", s->connect_timeout_ms);
	}
	if (s->keepalive_ms > 0) {
		put_ms(o, "keepalive", s->keepalive_ms);
	}
	if (s->max_parallel > 0) {
		put_int(o, "max_parallel", s->max_parallel);
	}
	if (s->max_concurrent_starts > 0) {
		put_int(o, "max_concurrent_starts", s->max_concurrent_starts);
	}
	put_text(o, "log_level", s->log_level);
	return o;
}

static json_t *rollout_json(const struct config_rollout *r)
{
	static const char *const actions[] = {"rollback", "pause", "continue"};
	json_t *o = json_object();
	char ratio[32];

	put_text(o, "strategy", r->canary ? "canary" : r->rolling ? "rolling" : "all-at-once");
	if (r->rolling) {
		snprintf(ratio, sizeof(ratio), "%.6g", r->max_failure_ratio);
		put_int(o, "parallelism", r->parallelism);
		put_ms(o, "delay", r->delay_ms);
		put_text(o, "order", r->stop_first ? "stop-first" : "start-first");
		put_ms(o, "monitor", r->monitor_ms);
		put_text(o, "failure_action", actions[r->failure_action]);
		put_text(o, "max_failure_ratio", ratio);
	}
	return o;
}

static void put_parts(json_t *o, const struct config *c)
{
	json_t *boot = json_object();
	json_t *release = json_object();

	put_text(release, "command", c->release.command);
	put_text(release, "rollback_command", c->release.rollback_command);
	put_list(release, "snapshot", &c->release.snapshots);
	put_ms(release, "timeout", c->release.timeout_ms);
	put_new(o, "release", release);
	put_new(o, "rollout", rollout_json(&c->rollout));
	if (c->boot.limit > 0) {
		put_int(boot, "limit", c->boot.limit);
	}
	put_ms(boot, "wait", c->boot.wait_ms);
	put_bool(boot, "parallel_roles", c->boot.parallel_roles);
	put_new(o, "boot", boot);
	put_new(o, "ssh", ssh_json(&c->ssh));
	put_new(o, "sshkit", json_pack("{s:i}", "dns_retries", c->ssh.dns_retries));
	put_int(o, "retain_containers", c->retain_containers);
	put_ms(o, "readiness_delay", c->readiness_delay_ms);
	put_ms(o, "deploy_timeout", c->deploy_timeout_ms);
	put_ms(o, "drain_timeout", c->drain_timeout_ms);
	if (c->error_pages_path != NULL) {
		put_text(o, "error_pages_path", print_below(c, c->error_pages_path));
	}
	put_text(o, "minimum_version", c->minimum_version);
	put_bool(o, "require_destination", c->require_destination);
	if (c->hooks_path != NULL) {
		put_text(o, "hooks_path", print_below(c, c->hooks_path));
	}
	put_text(o, "hooks_output", c->hooks_output);
	put_map(o, "hooks_output", &c->hooks_output_of);
	put_map(o, "aliases", &c->aliases);
}

static void put_secret_files(json_t *o, const struct config *c)
{
	json_t *files = json_object();

	VEC_FOREACH (&c->secret_files, i) {
		put_text(files, c->secret_files.p[i].from, c->secret_files.p[i].path);
	}
	put_new(o, "secret_files", files);
}

json_t *config_to_json(const struct config *c)
{
	json_t *o = json_object();
	json_t *roles = json_object();

	put_text(o, "x-file", c->file);
	put_text(o, "x-root", c->root);
	put_text(o, "x-destination", c->destination);
	put_list(o, "x-secrets-files", &c->secrets_files);
	put_text(o, "service", c->service);
	put_text(o, "image", c->image);
	VEC_FOREACH (&c->roles, i) {
		json_object_set_new(roles, c->roles.p[i].name, role_json(c, &c->roles.p[i]));
	}
	put_new(o, "servers", roles);
	put_text(o, "primary_role", c->primary_role != NULL ? c->primary_role->name : NULL);
	put_bool(o, "allow_empty_roles", c->allow_empty_roles);
	if (c->proxy.enabled) {
		json_object_set_new(o, "proxy", proxy_json(c, &c->proxy));
	}
	if (c->registry.enabled) {
		put_new(o, "registry", print_registry(&c->registry));
	}
	put_new(o, "builder", builder_json(c));
	put_accessories(o, c);
	put_whole_env(o, c);
	put_secret_files(o, c);
	put_map(o, "labels", &c->labels);
	put_list(o, "volumes", &c->volumes);
	put_all_networks(o, c);
	put_text(o, "asset_path", c->asset_path);
	put_logging(o, &c->logging);
	put_parts(o, c);
	put_notify(o, c);
	return o;
}
