/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "deploy/container.h"
#include "secrets/dotenv.h"
#include "util/digest.h"

#include <stdlib.h>
#include <string.h>

static bool has_secret(void *ctx, const char *name)
{
	return dotenv_has(ctx, name);
}

static int check_names(struct deployment *d, struct dotenv *files, struct error *err)
{
	struct diagnostics diags = {0};
	int result = config_secrets_check(d->config, has_secret, files, &diags, err);
	if (result < 0) {
		CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);
		diagnostics_render(&diags, false, &text);
		(void)error_detail(err, str_c(&text), text.len);
		(void)error_hint(err, "secrets are read from '%s'", d->config->secrets_wanted);
	}
	diagnostics_fini(&diags);
	return result;
}

static int resolve(struct deployment *d, struct dotenv *files, const char *name, struct error *err)
{
	struct dotenv_source source = {.dir = d->config->root};
	if (secret_map_get(&d->secrets, name)) {
		return 0;
	}
	struct secret *value = dotenv_resolve(files, name, &source, err);
	if (!value) {
		return -1;
	}
	ui_redact(d->ui, secret_reveal(value), secret_len(value));
	secret_map_set(&d->secrets, name, value);
	return 0;
}

static void collect_ssh_keys(struct deployment *d)
{
	const struct strvec *names = &d->config->ssh.key_data_secrets;
	VEC_FOREACH (names, i) {
		struct secret *value = secret_map_get(&d->secrets, names->p[i]);
		if (value) {
			vec_push(&d->ssh_keys, secret_ref(value));
		}
	}
}

/* Text of a private key: as it is, or in base64 (which CI systems keep on one line). NULL: none. */
static struct secret *key_of_text(const char *text)
{
	CLEANUP_FREE char *packed = xcalloc(1, strlen(text) + 2);
	size_t n = 0;
	while (*text == ' ' || *text == '\n' || *text == '\r' || *text == '\t') {
		text++;
	}
	if (str_starts(text, "-----BEGIN ")) {
		n = strlen(text);
		memcpy(packed, text, n);
		packed[n] = '\n'; /* variables lose the last one; without it the key is no key */
		struct secret *key = secret_new(packed, n + 1);
		explicit_bzero(packed, n);
		return key;
	}
	for (; *text; text++) {
		if (!strchr(" \n\r\t", *text)) {
			packed[n++] = *text;
		}
	}
	size_t len = 0;
	unsigned char *plain = digest_unbase64(packed, &len);
	explicit_bzero(packed, n);
	struct secret *key = plain && len > 11 && memcmp(plain, "-----BEGIN ", 11) == 0
				     ? secret_new(plain, len)
				     : NULL;
	if (plain) {
		explicit_bzero(plain, len);
	}
	free(plain);
	return key;
}

/*
 * $DEPLOY_SSH_KEY, for CI: it never touches the disk.  Taken out of the environment, so that hooks
 * and the commands of secrets files do not get it.
 */
static int take_environment_key(struct deployment *d, struct error *err)
{
	const char *text = getenv("DEPLOY_SSH_KEY");
	if (!text || !*text) {
		return 0;
	}
	struct secret *key = key_of_text(text);
	unsetenv("DEPLOY_SSH_KEY");
	if (!key) {
		error_set(err, ERROR_USAGE, "DEPLOY_SSH_KEY holds no private key");
		return error_hint(err, "the text of a key file, or 'base64 -w0 FILE' of it");
	}
	ui_redact(d->ui, secret_reveal(key), secret_len(key));
	vec_push(&d->ssh_keys, key);
	return 0;
}

/* A command asks for no secret that it can do without: each may be a prompt of a password manager.
 */
static bool is_needed(const struct config_secret_use *use, enum secrets_need need)
{
	bool ssh = strncmp(use->key, "ssh.", 4) == 0;
	bool proxy = strncmp(use->key, "proxy.", 6) == 0;
	bool notify = strncmp(use->key, "notify", 6) == 0;
	return need == SECRETS_ALL || ssh || (proxy && need >= SECRETS_PROXY) ||
	       (notify && need >= SECRETS_NOTIFY);
}

static int load(struct deployment *d, const struct config_secret_uses *uses, enum secrets_need need,
	struct error *err)
{
	struct dotenv *files = dotenv_new();
	int result = config_secrets_load(d->config, need == SECRETS_ALL, files, err);
	if (result == 0 && need == SECRETS_ALL) {
		result = check_names(d, files, err);
	}
	VEC_FOREACH (uses, i) {
		result = result < 0 ? -1 : resolve(d, files, uses->p[i].name, err);
	}
	dotenv_free(files);
	return result;
}

int deployment_load_secrets(struct deployment *d, enum secrets_need need, struct error *err)
{
	struct config_secret_uses all = {0};
	struct config_secret_uses uses = {0};
	if (d->secrets_loaded >= need) {
		return 0;
	}
	config_secret_names(d->config, &all);
	VEC_FOREACH (&all, i) {
		if (is_needed(&all.p[i], need)) {
			vec_push(&uses, all.p[i]);
		}
	}
	bool env_files = need == SECRETS_ALL && d->config->env_files.len > 0;
	int result = uses.len > 0 || env_files ? load(d, &uses, need, err) : 0;
	if (result == 0 && need == SECRETS_ALL) {
		result = container_check(d->config, err);
	}
	if (result == 0 && d->secrets_loaded == SECRETS_NONE) {
		collect_ssh_keys(d);
		result = take_environment_key(d, err);
	}
	d->secrets_loaded = result == 0 ? need : d->secrets_loaded;
	vec_fini(&all);
	vec_fini(&uses);
	return result;
}

int deployment_load_backup_secrets(struct deployment *d, struct error *err)
{
	CLEANUP_STRVEC struct strvec names = {0};
	VEC_FOREACH (&d->accessories, i) {
		const struct config_backup *b = &d->accessories.p[i]->backup;
		const char *const all[] = {
			b->key_secret, b->s3_access_key_secret, b->s3_secret_key_secret};
		for (size_t j = 0; j < sizeof(all) / sizeof(*all); j++) {
			if (all[j] && !secret_map_get(&d->secrets, all[j])) {
				strvec_push(&names, all[j]);
			}
		}
	}
	if (names.len == 0) {
		return 0;
	}
	struct dotenv *files = dotenv_new();
	int result = config_secrets_load(d->config, false, files, err);
	VEC_FOREACH (&names, i) {
		result = result < 0 ? -1 : resolve(d, files, names.p[i], err);
	}
	dotenv_free(files);
	return result;
}

void secrets_digests(const struct deployment *d, struct strmap *out)
{
	const char *key = d->targets[d->lock_target].seen.key;
	VEC_FOREACH (&d->secrets, i) {
		char hex[DIGEST_HEX_SIZE];
		const struct secret *value = d->secrets.p[i].value;
		digest_hmac_hex(key, strlen(key), secret_reveal(value), secret_len(value), hex);
		hex[16] = '\0';
		strmap_set(out, d->secrets.p[i].name, hex);
	}
}

void secrets_changes(struct deployment *d, struct strvec *notes)
{
	const struct release *live = deployment_live(d);
	if (!live || !d->targets[d->lock_target].seen.key_there) {
		return;
	}
	struct strmap now = {0};
	secrets_digests(d, &now);
	VEC_FOREACH (&now, i) {
		const char *before = strmap_get(&live->env_digests, now.p[i].key);
		if (!before || !str_eq(before, now.p[i].value)) {
			strvec_pushf(
				notes, "secret %s %s", now.p[i].key, before ? "changed" : "is new");
		}
	}
	for (size_t i = 0; i < live->env_digests.len; i++) {
		if (!strmap_get(&now, live->env_digests.p[i].key)) {
			strvec_pushf(notes, "secret %s is gone", live->env_digests.p[i].key);
		}
	}
	strmap_fini(&now);
}
