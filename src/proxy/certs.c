/* SPDX-License-Identifier: MIT */
/*
 * Given certificates on a server: certs/<digest>.crt and .key, by their content, and beside them an
 * empty <digest>.<sid> for each service that has put them there.  So what a service no longer uses
 * can be told from what another one is about to use, of which no fragment speaks yet.
 */
#include "internal.h"

#include <string.h>

static char *certs_path(const struct proxy *p, const char *digest, const char *ext)
{
	CLEANUP_FREE char *relative = xasprintf("certs/%s.%s", digest, ext);
	return proxy_path(p, relative);
}

static void add_mine(struct proxy *p, const char *digest)
{
	if (digest && *digest && !strvec_has(&p->certs, digest)) {
		strvec_push(&p->certs, digest);
	}
}

/* A mark of ours: "<digest>.<sid>". */
static bool mine(const struct proxy *p, const char *name)
{
	CLEANUP_FREE char *ending = xasprintf(".%s", p->sid);
	return *name != '.' && str_ends(name, ending);
}

void proxy_certs_take(struct proxy *p, const struct sftp_op *list)
{
	VEC_FOREACH (&list->entries, i) {
		const char *name = list->entries.p[i].name;
		if (mine(p, name)) {
			CLEANUP_FREE char *digest =
				xstrndup(name, strlen(name) - strlen(p->sid) - 1);
			add_mine(p, digest);
		}
	}
	add_mine(p, p->state.certificate); /* it may have been put there without a mark, once */
}

void proxy_certs_write(struct proxy *p, struct sftp_batch *b, const struct proxy_service *full)
{
	const char *digest = full->certificate_digest;
	if (full->tls != CONFIG_TLS_GIVEN || !full->certificate || !full->private_key) {
		return;
	}
	CLEANUP_FREE char *mark = certs_path(p, digest, p->sid);
	CLEANUP_FREE char *crt = certs_path(p, digest, "crt");
	CLEANUP_FREE char *key = certs_path(p, digest, "key");
	sftp_write(b, mark, "", 0, 0600);
	sftp_barrier(b); /* no key without it */
	sftp_write(b, crt, secret_reveal(full->certificate), secret_len(full->certificate), 0600);
	sftp_write(b, key, secret_reveal(full->private_key), secret_len(full->private_key), 0600);
	add_mine(p, digest);
}

/* Another service has put it there too. */
static bool is_marked(const struct proxy *p, const struct sftp_op *list, const char *digest)
{
	CLEANUP_FREE char *begin = xasprintf("%s.", digest);
	VEC_FOREACH (&list->entries, i) {
		const char *name = list->entries.p[i].name;
		if (str_starts(name, begin) && strlen(name) == strlen(begin) + strlen(p->sid) &&
			!mine(p, name)) {
			return true;
		}
	}
	return false;
}

static bool is_named(const struct proxy *p, const char *digest)
{
	VEC_FOREACH (&p->others, i) {
		if (str_eq(p->others.p[i].state.certificate, digest)) {
			return true;
		}
	}
	return false;
}

/* The files of a digest, also one that was not written to its end (".<digest>.key.tmp-..."). */
static void queue_files(
	const struct proxy *p, const struct sftp_op *list, const char *digest, struct sftp_batch *b)
{
	CLEANUP_FREE char *begin = xasprintf("%s.", digest);
	VEC_FOREACH (&list->entries, i) {
		const char *name = list->entries.p[i].name;
		if (str_starts(*name == '.' ? name + 1 : name, begin) && !mine(p, name)) {
			CLEANUP_FREE char *relative = xasprintf("certs/%s", name);
			CLEANUP_FREE char *path = proxy_path(p, relative);
			sftp_remove(b, path);
		}
	}
}

void proxy_certs_drop(
	struct proxy *p, const struct sftp_op *list, const char *keep, struct sftp_batch *b)
{
	CLEANUP_STRVEC struct strvec gone = {0};
	if (list->status != SFTP_OK) {
		return;
	}
	proxy_certs_take(p, list);
	VEC_FOREACH (&p->certs, i) {
		const char *digest = p->certs.p[i];
		bool marked = is_marked(p, list, digest);
		if (str_eq(digest, keep) || (!marked && is_named(p, digest))) {
			continue;
		}
		if (!marked) {
			queue_files(p, list, digest, b);
		}
		strvec_push(&gone, digest);
	}
	sftp_barrier(b); /* as long as there is one of its files there is the mark */
	VEC_FOREACH (&gone, i) {
		CLEANUP_FREE char *mark = certs_path(p, gone.p[i], p->sid);
		sftp_remove(b, mark);
	}
}

int proxy_prune(struct proxy *p, struct error *err)
{
	bool all_used = true;
	VEC_FOREACH (&p->certs, i) {
		all_used = all_used && str_eq(p->certs.p[i], p->state.certificate);
	}
	if (all_used || !p->state.present) {
		return 0;
	}
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	CLEANUP_FREE char *dir = proxy_path(p, "certs");
	const struct sftp_op *list = sftp_list(b, dir, PROXY_MAX_CERTS);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	if (rc == 0) {
		proxy_certs_drop(p, list, p->state.certificate, b);
		rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	}
	sftp_batch_free(b);
	return rc < 0 ? host_error(p->host, err) : 0;
}
