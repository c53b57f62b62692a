/* SPDX-License-Identifier: MIT */
/* A service's own pages for errors of the proxy, and what else of it lies beside its fragment. */
#include "internal.h"

#include <string.h>

#define MAX_FILES 4096

const char *const proxy_page_statuses[] = {"502", "503", "504", NULL};

int proxy_pages_write(struct proxy *p, const struct strmap *pages, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	CLEANUP_FREE char *relative = xasprintf("pages/%s", p->sid);
	CLEANUP_FREE char *dir = proxy_path(p, relative);
	struct sftp_op *gone[3];
	size_t n = 0;
	sftp_mkdirs(b, dir, 0700);
	for (size_t i = 0; proxy_page_statuses[i]; i++) {
		const char *text = strmap_get(pages, proxy_page_statuses[i]);
		CLEANUP_FREE char *path = xasprintf("%s/%s.html", dir, proxy_page_statuses[i]);
		if (text) {
			sftp_write(b, path, text, strlen(text), 0600);
		} else {
			gone[n++] = sftp_remove(b, path);
		}
	}
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		gone[i]->status = gone[i]->status == SFTP_NOENT ? SFTP_OK : gone[i]->status;
	}
	rc = rc == 0 ? sftp_check(b, err) : rc;
	sftp_batch_free(b);
	return rc < 0 ? error_wrap(err, "write the error pages") : 0;
}

int proxy_leftovers_remove(struct proxy *p, struct error *err)
{
	static const char *const folders[] = {"next", "snippets"};
	CLEANUP_FREE char *pages = xasprintf("%s/pages/%s", p->root, p->sid);
	CLEANUP_FREE char *prefix = xasprintf("%s-", p->sid);
	CLEANUP_FREE char *certs = proxy_path(p, "certs");
	const struct sftp_op *lists[2];
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	for (size_t i = 0; i < 2; i++) {
		CLEANUP_FREE char *dir = proxy_path(p, folders[i]);
		lists[i] = sftp_list(b, dir, MAX_FILES);
	}
	const struct sftp_op *given = sftp_list(b, certs, PROXY_MAX_CERTS);
	sftp_rmtree(b, pages, MAX_FILES);
	if (p->driver->slots) {
		proxy_slots_remove(p, b);
	}
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		for (size_t j = 0; lists[i]->status == SFTP_OK && j < lists[i]->entries.len; j++) {
			const char *name = lists[i]->entries.p[j].name;
			CLEANUP_FREE char *path = xasprintf("%s/%s/%s", p->root, folders[i], name);
			if (str_starts(name, prefix)) {
				sftp_remove(b, path);
			}
		}
	}
	if (rc == 0) {
		proxy_certs_drop(p, given, NULL, b);
		rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
	}
	sftp_batch_free(b);
	return rc;
}
