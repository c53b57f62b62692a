/* SPDX-License-Identifier: MIT */
/* A service's own pages for errors of the proxy. */
#include "internal.h"

#include <string.h>

const char *const proxy_page_statuses[] = {"502", "503", "504", NULL};

int proxy_pages_write(struct proxy *p, const struct strmap *pages, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	CLEANUP_FREE char *relative = xasprintf("pages/%s", p->sid);
	CLEANUP_FREE char *dir = proxy_path(p, relative);
	sftp_mkdirs(b, dir, 0700);
	int rc = sftp_run(b, PROXY_TIMEOUT_MS, err) < 0 || sftp_check(b, err) < 0 ? -1 : 0;
	for (size_t i = 0; rc == 0 && proxy_page_statuses[i]; i++) {
		const char *text = strmap_get(pages, proxy_page_statuses[i]);
		CLEANUP_FREE char *path = xasprintf("%s/%s.html", dir, proxy_page_statuses[i]);
		if (text) {
			sftp_write(b, path, text, strlen(text), 0600);
		} else {
			struct sftp_op *op = sftp_remove(b, path);
			rc = sftp_run(b, PROXY_TIMEOUT_MS, err);
			op->status = rc == 0 && op->status == SFTP_NOENT ? SFTP_OK : op->status;
		}
	}
	if (rc == 0) {
		rc = sftp_run(b, PROXY_TIMEOUT_MS, err) < 0 || sftp_check(b, err) < 0 ? -1 : 0;
	}
	sftp_batch_free(b);
	return rc < 0 ? error_wrap(err, "write the error pages") : 0;
}
