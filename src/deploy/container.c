/* SPDX-License-Identifier: MIT */
#include "deploy/container.h"

#include "cron.h"
#include "internal.h"
#include "labels.h"
#include "manifest/digest.h"
#include "manifest/syntax.h"
#include "util/digest.h"

#include <stdlib.h>
#include <string.h>

/* Docker's json-file grows without end unless told; Kamal's default. */
#define LOG_MAX_SIZE "10m"

int container_command(const char *text, struct strvec *words, struct error *err)
{
	/* What a shell would do more than split words: pipes, expansions, globs, assignments. */
	if (strpbrk(text, "|&;<>()$`*?[]#~!{}\n") || strchr(text, '=')) {
		strvec_push(words, "sh");
		strvec_push(words, "-c");
		strvec_push(words, text);
		return 0;
	}
	const char *wrong = syntax_words(text, words);
	if (wrong || words->len == 0) {
		return error_set(
			err, ERROR_MANIFEST, "command '%s' %s", text, wrong ? wrong : "is empty");
	}
	return 0;
}

static void add_labels(
	struct deployment *d, const struct container_request *req, struct strmap *labels)
{
	CLEANUP_FREE char *release = xasprintf("%ld", req->release);
	CLEANUP_FREE char *replica = xasprintf("%d", req->replica);
	strmap_copy(labels, &req->role->labels);
	labels_add(labels, d->config);
	strmap_set(labels, LABEL_ROLE, req->role->name);
	strmap_set(labels, LABEL_RELEASE, release);
	strmap_set(labels, LABEL_RELEASE_ID, req->release_id);
	strmap_set(labels, LABEL_VERSION, req->version);
	strmap_set(labels, LABEL_REPLICA, replica);
	strmap_set(labels, LABEL_KIND, req->kind);
	if (req->commit) {
		strmap_set(labels, LABEL_COMMIT, req->commit);
	}
	if (req->subject) {
		strmap_set(labels, LABEL_SUBJECT, req->subject);
	}
}

int container_add_secrets(struct deployment *d, const struct config_secret_refs *refs,
	struct secret_map *env, struct error *err)
{
	VEC_FOREACH (refs, i) {
		const struct config_secret_ref *ref = &refs->p[i];
		struct secret *value = secret_map_get(&d->secrets, ref->from);
		if (!value) {
			return error_set(err, ERROR_MANIFEST, "secret '%s' is not set", ref->from);
		}
		secret_map_set(env, ref->name, secret_ref(value));
	}
	return 0;
}

/* The variables of the manifest: the service's, the role's, those of the host's tags. */
static int add_env(struct deployment *d, const struct target *t, const struct config_role *role,
	struct docker_container_spec *spec, struct error *err)
{
	struct config_env env;
	config_host_env(d->config, role, t->address->name, &env);
	strmap_copy(&spec->env, &env.clear);
	int rc = container_add_secrets(d, &env.secret, &spec->secret_env, err);
	config_env_fini(&env);
	return rc;
}

/* What a container may want to know of itself; Kamal's names too, for applications that came. */
static void add_own_env(
	const struct target *t, const struct container_request *req, struct strmap *env)
{
	CLEANUP_FREE char *release = xasprintf("%ld", req->release);
	strmap_set(env, "DEPLOY_VERSION", req->version);
	strmap_set(env, "DEPLOY_RELEASE", release);
	strmap_set(env, "DEPLOY_HOST", t->address->name);
	strmap_set(env, "DEPLOY_CONTAINER_NAME", req->name);
	strmap_set(env, "KAMAL_VERSION", req->version);
	strmap_set(env, "KAMAL_HOST", t->address->name);
	strmap_set(env, "KAMAL_CONTAINER_NAME", req->name);
}

int container_add_options(
	const struct config_options *options, struct docker_container_spec *spec, struct error *err)
{
	VEC_FOREACH (options, i) {
		const struct config_option *option = &options->p[i];
		for (size_t j = 0; j < option->values.len; j++) {
			if (docker_spec_option(spec, option->name, option->values.p[j], err) < 0) {
				return error_wrap(err, "%s:%d:%d: option '%s'", option->mark.file,
					option->mark.line, option->mark.column, option->name);
			}
		}
		if (option->values.len == 0 &&
			docker_spec_option(spec, option->name, "", err) < 0) {
			return -1;
		}
	}
	return 0;
}

void container_add_logging(const struct config_logging *logging, struct docker_container_spec *spec)
{
	if (spec->log_driver) {
		return; /* the options said it */
	}
	if (!logging->driver && logging->options.len == 0) {
		spec->log_driver = xstrdup("json-file");
		strmap_set(&spec->log_options, "max-size", LOG_MAX_SIZE);
		return;
	}
	spec->log_driver = xstrdup(logging->driver);
	strmap_copy(&spec->log_options, &logging->options);
}

int container_spec(struct deployment *d, const struct target *t,
	const struct container_request *req, struct docker_container_spec *spec, struct error *err)
{
	const struct config_role *role = req->role;
	const char *command = req->command ? req->command : req->cron ? req->cron->cmd : role->cmd;
	spec->name = xstrdup(req->name);
	spec->image = xstrdup(req->image);
	container_add_networks(&role->networks, spec);
	spec->stop_timeout = role->stop_timeout_ms / 1000;
	if (add_env(d, t, role, spec, err) < 0) {
		return -1;
	}
	add_own_env(t, req, &spec->env);
	add_labels(d, req, &spec->labels);
	if (req->cron) {
		cron_labels(d->config, role, req->cron, &spec->labels);
	}
	strvec_copy(&spec->binds, &role->volumes);
	if (req->serves) {
		CLEANUP_FREE char *digest = container_digest(d, t, role);
		strmap_set(&spec->labels, LABEL_CONFIG_DIGEST, digest);
	}
	/* A candidate that ends must not come back: its exit code and log are what people need. */
	spec->restart = xstrdup("no");
	if (command && container_command(command, &spec->cmd, err) < 0) {
		return -1;
	}
	if (container_add_options(&role->options, spec, err) < 0 ||
		secret_files_prepare(d->config, spec, err) < 0) {
		return -1;
	}
	container_add_logging(&role->logging, spec);
	return 0;
}

int container_check(const struct config *c, struct error *err)
{
	VEC_FOREACH (&c->roles, i) {
		const struct config_role *role = &c->roles.p[i];
		CLEANUP_DOCKER_SPEC struct docker_container_spec spec = {0};
		strvec_copy(&spec.binds, &role->volumes);
		if (container_add_options(&role->options, &spec, err) < 0 ||
			secret_files_prepare(c, &spec, err) < 0) {
			return -1;
		}
	}
	return 0;
}

int container_create(struct deployment *d, const struct target *t,
	const struct docker_container_spec *spec, char **id, struct error *err)
{
	char *made = NULL;
	int rc = docker_container_create(t->host->docker, spec, &made, err);

	if (rc == 0) {
		rc = secret_files_deliver(d, t->host->docker, made, err);
	}
	if (id) {
		*id = made;
	} else {
		free(made);
	}
	return rc;
}

int container_run(struct deployment *d, const struct target *t,
	const struct docker_container_spec *spec, char **id, struct docker_container *seen,
	struct error *err)
{
	if (d->config->secret_files.len == 0) {
		return docker_container_run(t->host->docker, spec, id, seen, err);
	}
	if (container_create(d, t, spec, id, err) < 0) {
		return -1;
	}
	return docker_container_start(t->host->docker, *id, err);
}

int container_keep_up(struct docker *docker, const char *name, struct error *err)
{
	return docker_container_update_restart(docker, name, "always", 0, err);
}

int container_retire(struct docker *docker, const char *name, int grace_s, struct error *err)
{
	return docker_container_update_stop(docker, name, "unless-stopped", grace_s, err);
}

struct mac {
	struct deployment *d;
	const struct target *t;
};

static const char *secret_mac(void *ctx, const char *name, char buf[DIGEST_HEX_SIZE])
{
	const struct mac *m = ctx;
	const struct secret *value = secret_map_get(&m->d->secrets, name);
	if (!value) {
		return NULL;
	}
	digest_hmac_hex(m->t->seen.key, strlen(m->t->seen.key), secret_reveal(value),
		secret_len(value), buf);
	return buf;
}

char *container_digest(struct deployment *d, const struct target *t, const struct config_role *role)
{
	struct mac mac = {d, t};
	char hex[DIGEST_HEX_SIZE];
	config_digest(d->config, role, t->address->name, secret_mac, &mac, hex);
	return xstrndup(hex, 32);
}
