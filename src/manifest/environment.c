/* SPDX-License-Identifier: MIT */
/* The environment of a role on one host. */
#include "manifest/config.h"

#include <string.h>

static const struct config_host *find_host(const struct config_role *role, const char *name)
{
	for (size_t i = 0; name != NULL && i < role->hosts.len; i++) {
		if (strcmp(role->hosts.p[i].name, name) == 0) {
			return &role->hosts.p[i];
		}
	}
	return NULL;
}

static void drop_secret(struct config_env *env, const char *name)
{
	size_t kept = 0;

	VEC_FOREACH (&env->secret, i) {
		if (strcmp(env->secret.p[i].name, name) != 0) {
			env->secret.p[kept++] = env->secret.p[i];
		}
	}
	env->secret.len = kept;
}

/* The later of two settings of one variable counts, clear or secret. */
static void lay_over(struct config_env *env, const struct config_env *over)
{
	for (size_t i = 0; i < over->clear.len; i++) {
		drop_secret(env, over->clear.p[i].key);
		strmap_set(&env->clear, over->clear.p[i].key, over->clear.p[i].value);
	}
	VEC_FOREACH (&over->secret, i) {
		drop_secret(env, over->secret.p[i].name);
		strmap_del(&env->clear, over->secret.p[i].name);
		vec_push(&env->secret, over->secret.p[i]);
	}
}

void config_host_env(const struct config *c, const struct config_role *role, const char *host,
	struct config_env *out)
{
	const struct config_host *h = find_host(role, host);

	*out = (struct config_env){0};
	lay_over(out, &role->env);
	VEC_FOREACH (&c->env_tags, i) {
		if (h != NULL && strvec_has(&h->tags, c->env_tags.p[i].name)) {
			lay_over(out, &c->env_tags.p[i].env);
		}
	}
}

void config_env_fini(struct config_env *env)
{
	strmap_fini(&env->clear);
	vec_fini(&env->secret);
}
